/*
 * The policy of one subject (an account, a domain, its parents, everybody, or what the account's
 * user has set himself), decoded from its facts, and the questions that a decision asks of all
 * subjects of an account together.
 *
 * Decoding keeps what is malformed beside what is good: a bad field stops only the message that
 * needs it. Pure; a decoded policy never changes and may be read by any number of threads.
 */
#ifndef GATEPOST_CORE_POLICY_H
#define GATEPOST_CORE_POLICY_H

#include <stdint.h>

#include "gatepost/core/address.h"
#include "gatepost/core/netblock.h"
#include "gatepost/core/parents.h"
#include "gatepost/core/policy_field.h"
#include "gatepost/core/self_fact.h"

enum setting_state { SETTING_UNSET = 0, SETTING_SET, SETTING_MALFORMED };

/* One fact. `value` has the meaning of the field; `field` is its name as stored. */
struct setting {
    enum setting_state state;
    int value;
    char *field;
    struct fact_time time; /* of a self fact: when it holds */
};

struct protocol_switch {
    char *name;        /* in lower case; "*" for those not named */
    struct setting on; /* value 1 on, 0 off */
};

struct ip_entry {
    struct netblock block;
    int64_t until;  /* seconds since the epoch from which it no longer counts; 0 never */
    int64_t from;   /* from which it counts, of a self fact; 0 always */
    char *field;    /* as stored, "ip:192.0.2.0/24" */
    bool malformed; /* address or a time cannot be read: all of these are undefined */
};

/* An entry that is no block: a domain of `ip:spf:`; an address, @DOMAIN or @.DOMAIN of `as:`. */
struct name_entry {
    char *name;     /* what stands after the colon, in lower case */
    int64_t until;  /* as above */
    char *field;    /* as stored, "ip:spf:_spf.example.com" */
    bool malformed; /* name or until= cannot be read: until is undefined */
};

enum policy_fault_kind {
    FAULT_UNKNOWN_FIELD, /* it is reported and otherwise ignored */
    FAULT_MALFORMED,     /* its name or value cannot be read */
    FAULT_CONTRADICTION, /* another spelling of the field has another value */
};

/* What is wrong with a field, as it is reported. */
struct policy_fault {
    char *field;
    char why[160];
    enum policy_fault_kind kind;
};

struct policy {
    struct setting settings[POLICY_SETTINGS]; /* by FIELD_SOURCE; FIELD_SPF + result */
    struct protocol_switch *protocols;
    struct ip_entry *ips;
    struct name_entry *providers; /* of ip:spf: */
    struct name_entry *as;
    struct policy_fault *faults;
    size_t n_protocols, n_ips, n_providers, n_as, n_faults;
    bool own;        /* of self facts */
    bool wrong_type; /* the key is there but is no hash: every setting is malformed */
    bool too_large;  /* the key has more than is read of one subject: the same */
};

/*
 * An empty policy, to be filled by policy_add(); NULL when there is no memory. That of a subject
 * takes what its subject may have: self facts are fewer, and each holds for a time.
 */
struct policy *policy_new(void);
struct policy *policy_new_of(const char *subject);
void policy_free(struct policy *policy);

/*
 * Decodes one field. What cannot be read is kept as malformed and reported in policy->faults. Two
 * spellings of one field that differ in value make it malformed. Returns 0, or -1 when there is
 * no memory.
 */
int policy_add(struct policy *policy, const char *field, size_t field_len, const char *value,
               size_t value_len);

enum policy_subject {
    SUBJECT_ACCOUNT,
    SUBJECT_DOMAIN,
    SUBJECT_PARENT, /* the nearest; those further up follow */
    SUBJECT_DEFAULT = SUBJECT_PARENT + PARENTS_MAX,
    SUBJECTS, /* the host's: of these an account inherits */
    SUBJECT_SELF = SUBJECTS,
    ALL_SUBJECTS
};

/*
 * The subjects of one account, most specific first, then what its user has set himself. A policy is
 * NULL where the subject is absent from the store or does not exist (an account without a domain, a
 * domain with fewer parents). Owned by the caller.
 */
struct policy_set {
    const char *subjects[ALL_SUBJECTS]; /* "account:alice@example.com" */
    const struct policy *policies[ALL_SUBJECTS];
    int64_t now; /* the time for which self facts are asked, seconds since the epoch */
};

/* Where an answer comes from: texts of the set or of its policies, NULL when it was unset. */
struct policy_origin {
    const char *subject, *field;
};

/* Is it what the user has set himself? */
bool policy_is_own(const struct policy_set *set, const struct policy_origin *origin);

/*
 * A single setting, by its number in struct policy: the answer of the most specific subject that
 * has it, or what the user has set himself where that is stricter. SETTING_UNSET when none has, and
 * *value stays as it was; SETTING_MALFORMED when that subject's cannot be read (*value is then
 * undefined). `origin` has subject and field in both other cases.
 */
enum setting_state policy_setting(const struct policy_set *set, size_t setting, int *value,
                                  struct policy_origin *origin);

/* The same of one field each. */
enum setting_state policy_source(const struct policy_set *set, int *value,
                                 struct policy_origin *origin);
enum setting_state policy_mode(const struct policy_set *set, int *value,
                               struct policy_origin *origin);
enum setting_state policy_spf(const struct policy_set *set, enum spf_result result, int *value,
                              struct policy_origin *origin);

/*
 * Is the protocol on (1) or off (0)? The most specific subject that has either the protocol or
 * `protocol:*` answers, and there the protocol's own field comes first; it is off as well where the
 * user has switched it off himself.
 */
enum setting_state policy_protocol(const struct policy_set *set, const char *name, int *value,
                                   struct policy_origin *origin);

/*
 * By which field the user has switched the protocol off himself: the one that holds at `now`, or
 * cannot be read, that of its name before `protocol:*`. NULL: by none. What has ended, or is to
 * come, is in nobody's way.
 */
const struct setting *policy_own_switch(const struct policy *policy, const char *name, int64_t now);

/*
 * Is the address listed by an `ip:` entry of any subject at time `now` (seconds since the epoch)?
 * SETTING_SET when it is; SETTING_UNSET when it is not; SETTING_MALFORMED when it is not and an
 * entry that cannot be read, of `ip:spf:` too, might have listed it. The user's own entries come
 * last, and count only where it is he who demands a listed address.
 */
enum setting_state policy_ip_listed(const struct policy_set *set, const struct ip_address *ip,
                                    int64_t now, struct policy_origin *origin);

/* Has the entry an effect at this time (seconds since the epoch)? */
bool policy_ip_counts(const struct ip_entry *entry, int64_t now);

bool policy_name_counts(const struct name_entry *entry, int64_t now);

/* So many `ip:spf:` entries of one account are asked; the others have no effect. */
#define PROVIDERS_MAX 4

struct policy_provider {
    const char *domain; /* of the policy; as policy_origin */
    struct policy_origin from;
};

/*
 * The `ip:spf:` entries that count at this time, those of the most specific subject first, within
 * one in the order of their names; each domain once. Returns how many are written to `out`.
 */
size_t policy_providers(const struct policy_set *set, int64_t now,
                        struct policy_provider out[PROVIDERS_MAX]);

/*
 * May a login of the account send as this address? SETTING_SET when it is the account itself (then
 * `origin` has NULLs) or an `as:` entry of any subject says so; SETTING_UNSET when it may not;
 * SETTING_MALFORMED when an entry that cannot be read might have said so.
 */
enum setting_state policy_sends_as(const struct policy_set *set, const struct address *sender,
                                   int64_t now, struct policy_origin *origin);

/* Does the account, its domain or a parent have any policy of its own? `*` makes nobody known, nor
 * do self facts. */
bool policy_is_known(const struct policy_set *set);

/* Of the set what the user has set himself, and nothing else. */
struct policy_set policy_own(const struct policy_set *set);

#endif
