/*
 * The fields of an account's policy: one row of one table for each.
 *
 * The table drives the decoding of a field, its inheritance, what is proposed for a misspelt one,
 * what lint and `account show` call it, and the commands of gatepostctl with their completion. A
 * new field is a new id, a new row, and whatever the decision makes of it; CONTRIBUTING.md has the
 * whole way.
 *
 * Pure constants; every function may be called from any thread.
 */
#ifndef GATEPOST_CORE_POLICY_FIELD_H
#define GATEPOST_CORE_POLICY_FIELD_H

#include "gatepost/core/vocabulary.h"

/*
 * A field with one setting is in front of FIELD_SPF: its id is also the number of its setting in
 * struct policy. The settings of spf: follow, one for each result.
 */
enum policy_field_id {
    FIELD_SOURCE,
    FIELD_TLS,
    FIELD_SENDER,
    FIELD_MODE,
    FIELD_PASSWORD,
    FIELD_SPF,
    FIELD_PROTOCOL,
    FIELD_IP,
    FIELD_IP_SPF,
    FIELD_AS,
    POLICY_FIELDS
};

#define POLICY_SETTINGS ((size_t)FIELD_SPF + SPF_RESULTS)

/* The words of single fields that nothing but the policy has. */
enum source { SOURCE_ANY, SOURCE_AUTHORIZED };
extern const struct words source_words;
enum password { PASSWORD_ANY, PASSWORD_APPLICATION };
extern const struct words password_words;
enum sender_rule { SENDER_ANY, SENDER_OWN };
extern const struct words sender_words;

/* What a field consists of, and how an account inherits it. */
enum policy_field_kind {
    /* `source`: one word. The most specific subject that has it answers. */
    FIELD_IS_SETTING,
    /* `spf:RESULT`: one word for each of some keys. Each key inherits as a setting. */
    FIELD_HAS_KEYS,
    /* `protocol:NAME`: on or off for any name; `*` is for those that the subject does not name.
     * The most specific subject that has the name or `*` answers. */
    FIELD_HAS_NAMES,
    /* `ip:CIDR`: an entry, whose value is a note. The entries of all subjects add up. */
    FIELD_HAS_ENTRIES,
};

/* No subject has the setting: the configuration says what holds. */
#define FIELD_CONFIGURED (-1)

struct policy_field {
    enum policy_field_id id;
    enum policy_field_kind kind;
    const char *name;          /* "source", "spf": in lower case, without colon and key */
    const char *key;           /* what stands after the colon: "RESULT"; NULL where nothing does */
    const struct words *words; /* the values; NULL for a note. Of names see switch_parse() */
    int otherwise;             /* the value where no subject has one, or FIELD_CONFIGURED */
    const char *about;         /* in one line */
    /* What a user may set for himself: of a field with words the only one, with its value. It is
     * the stricter one, and holds where either the host or he has it. NULL: he may not. */
    const char *own;
    int stricter;
    /* of FIELD_HAS_KEYS */
    const struct words *keys;
    const char *keys_name;            /* "results" */
    const char *const *setting_names; /* "spf:none", for each key */
};

/* In the order in which they are listed for people. */
extern const struct policy_field policy_fields[POLICY_FIELDS];

/* The row of a field. */
const struct policy_field *policy_field_of(enum policy_field_id id);

/* What stands after the colon of a field's name; empty where nothing does. */
struct policy_field_key {
    const char *text; /* within the name */
    size_t len;
    size_t number; /* of FIELD_HAS_KEYS: which of the keys, else 0 */
};

/*
 * The row of a field as it is stored, in any case, with its key; of two fields whose names match,
 * such as a:KEY and a:b:KEY, the longer one. NULL: there is no such field, or no such key of
 * FIELD_HAS_KEYS. Other keys are not looked at.
 */
const struct policy_field *policy_field_find(const char *name, size_t len,
                                             struct policy_field_key *key);

/* How many settings a field has in struct policy: 1, the number of its keys, or 0. */
size_t policy_field_settings(const struct policy_field *field);

/* The whole name of one of them, "source" or "spf:fail"; a static text. */
const char *policy_field_setting_name(const struct policy_field *field, size_t number);

#endif
