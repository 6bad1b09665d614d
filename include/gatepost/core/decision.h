/*
 * The decision: may this client, through this door, send as this account?
 *
 * It is a pure function in pieces. A caller begins it with the facts of a message and learns what
 * the decision needs next (the account's policy, an SPF result) or that it is made; it fetches what
 * is wanted in its own way and goes on. The filter and `explain` drive the same code.
 *
 *     next = decision_mail(&d, &rules, &listener, &facts);
 *     while (next != DECISION_MADE)
 *         next = next == DECISION_WANTS_POLICY ? decision_policy(&d, fetched) : ...;
 *     use d.verdict
 *
 * It keeps its trace: the steps that it has asked, in their order, each with its answer and where
 * the answer comes from. `explain` prints them.
 *
 * Nothing here allocates, waits or reads a clock. A struct decision belongs to one thread at a
 * time; what it points to must outlive it.
 */
#ifndef GATEPOST_CORE_DECISION_H
#define GATEPOST_CORE_DECISION_H

#include "gatepost/core/policy.h"

/* A named set of services that a user switches on and off together. */
struct protocol {
    const char *name; /* in lower case */
    const char *const *services;
    size_t n_services;
};

/* What the configuration says for every listener. */
struct decision_rules {
    const struct protocol *protocols;
    size_t n_protocols;
    enum verdict_kind spf[SPF_RESULTS]; /* the action for each result */
    bool helo_always;                   /* check the HELO identity first for every message */
    const char *const *source_services; /* where a login's `source` is asked for */
    size_t n_source_services;
    unsigned widest4, widest6; /* an SPF pass by fewer bits of the client's address says nothing */
    enum mode mode;
    enum verdict_kind on_store_error; /* accept, defer or reject */
};

/* One door, as the configuration names it; its name is NULL where there is no section for it. */
struct decision_listener {
    const char *name, *service;
    enum door door;
    bool tls_required, auth_required;
    bool tls_offloaded;        /* TLS ended before this door: a login counts as made by TLS */
    bool reject_unknown;       /* unknown_sender = reject */
    bool reject_unknown_login; /* unknown_login = reject */
    bool has_connect_from;     /* only clients of its networks may connect */
    enum mode mode;
};

/*
 * Is the client in a set of networks? When it is in none that can be read: UNKNOWN if one of them
 * cannot be had, MALFORMED if one has a member that cannot be read.
 */
enum membership { MEMBER_NO, MEMBER_YES, MEMBER_UNKNOWN, MEMBER_MALFORMED };

struct network_answer {
    enum membership membership;
    struct policy_origin from; /* of MALFORMED: the network and its member */
};

struct decision_facts {
    struct ip_address client;
    struct network_answer allowed; /* in the listener's connect_from */
    struct network_answer trusted; /* in a trusted network */
    bool tls;
    bool logged_in;
    bool null_sender;  /* without a login */
    bool has_account;  /* false for the null sender where its HELO name has none */
    bool misnamed;     /* the login: no account can have its name */
    bool app_password; /* at a door other than the MTA: it was made with one of the account's */
    /* The sender of a login's mail as accounts are named, and all others that the MTA may read it
     * as; "" is the null sender. None: the login is for something else than mail. */
    const struct address *senders;
    size_t n_senders;
    bool more_senders; /* there are more than can be told */
    int64_t now;       /* seconds since the epoch */
};

enum spf_identity { IDENTITY_NONE, IDENTITY_HELO, IDENTITY_MAILFROM };

struct verdict {
    enum verdict_kind kind; /* what was decided */
    enum reason reason;
    enum spf_identity identity; /* which was evaluated, IDENTITY_NONE when none was */
    enum spf_result spf;        /* its result */
    struct policy_origin from;  /* what decided; NULLs: the configuration or the design */
    enum door door;             /* at which it was asked for */
    enum reason read_as;        /* of sender-ambiguous: the reason of the reading that decides */
    const char *provider;       /* of spf: the provider of `from` that cannot be asked; else NULL */
    bool monitor;               /* only reported: the message is accepted */
};

enum decision_next {
    DECISION_MADE,
    DECISION_WANTS_POLICY,       /* decision_policy() or decision_policy_failed() */
    DECISION_WANTS_SPF_HELO,     /* decision_spf() with the HELO identity's result */
    DECISION_WANTS_SPF_MAILFROM, /* decision_spf() with the MAIL FROM identity's */
    DECISION_WANTS_PROVIDER,     /* decision_provider() with that of decision_provider_domain() */
};

/*
 * What a step asks, and what its `value` then is. A message comes to them in this order, but for
 * the source of a sender who is not logged in: that is asked after SPF.
 */
enum decision_rule {
    RULE_CONNECT,     /* enum membership: the client, in the listener's connect_from */
    RULE_TRUSTED,     /* enum membership: the client, in a trusted network; never a login */
    RULE_TLS,         /* bool: the session has it */
    RULE_AUTH,        /* bool: it is logged in */
    RULE_ACCOUNT,     /* bool: the message has one */
    RULE_POLICY,      /* enum policy_found */
    RULE_KNOWN,       /* bool: the account, its domain or a parent has policy */
    RULE_SERVICE,     /* bool: it is allowed */
    RULE_ACCOUNT_TLS, /* enum need */
    RULE_PASSWORD,    /* enum password: which the account takes */
    RULE_SENDER,      /* enum sender_rule */
    RULE_OWNED,       /* bool: the sender is the account's own, or one of its `as:` entries */
    RULE_SOURCE,      /* enum source */
    RULE_LISTED,      /* bool: an entry lists the client's address */
    RULE_PROVIDER,    /* enum spf_result: of the client, for the domain of an ip:spf: entry */
    RULE_SPF,         /* enum spf_result */
    RULE_ACTION,      /* enum verdict_kind, for the result of SPF */
    RULE_MODE,        /* enum mode */
    RULES
};

enum policy_found { POLICY_ABSENT, POLICY_FOUND, POLICY_UNAVAILABLE };

struct decision_step {
    enum decision_rule rule;
    enum setting_state state;  /* of the policy; MALFORMED: `value` is undefined */
    int value;                 /* what holds, also where the policy does not say */
    bool listener;             /* the listener has a setting of its own for this */
    bool too_wide;             /* an SPF pass that says nothing */
    struct policy_origin from; /* where the policy has it; NULLs where it does not say */
};

/* Each rule of a message once, SPF and its action for HELO and for MAIL FROM, each provider. */
#define DECISION_STEPS (RULES - RULE_TRUSTED + 2 + PROVIDERS_MAX - 1)

struct decision {
    const struct decision_rules *rules;
    const struct decision_listener *listener;
    const struct decision_facts *facts;
    const struct policy_set *policy; /* NULL until given, and without an account */
    enum decision_next next;
    struct verdict verdict; /* valid once DECISION_MADE */
    size_t decider;         /* the step that made it: its place in `steps`; likewise */
    size_t unowned; /* of sender-not-owned: which of the senders, n_senders for those not told */
    struct policy_provider providers[PROVIDERS_MAX];
    size_t n_providers, provider; /* the next one to be asked */
    size_t listed;                /* the place of that step; once asked */
    bool held;         /* rule 2 refuses, but only on trial: the policy says whether that holds */
    bool own_listed;   /* by the user's own entry, which his own `source` asks for */
    size_t unanswered; /* the first provider that could not be asked, from 1; 0: none */
    size_t n_steps;
    struct decision_step steps[DECISION_STEPS];
};

/* How a rule is called where people see it: "account-tls"; a static text. */
const char *decision_rule_name(enum decision_rule rule);

/* The field with one setting that a rule asks the policy for; NULL: it asks for none. */
const struct policy_field *decision_rule_field(enum decision_rule rule);

bool protocol_contains(const struct protocol *protocol, const char *service);

/* The service of a message: a login through a listener of service smtp counts as submission. */
const char *decision_service(const struct decision_listener *listener, bool logged_in);

/* Is this a service at which the source of a login matters? */
bool decision_asks_source(const struct decision_rules *rules, const char *service);

/*
 * Is the service allowed? SETTING_SET with *value 1 or 0, or SETTING_MALFORMED when no protocol
 * that contains it is on and one cannot be read. `origin` names what switched it off, or which of
 * the protocols could not be read; of a service that is allowed what is on, NULLs when nothing is
 * set.
 */
enum setting_state decision_service_state(const struct decision_rules *rules,
                                          const struct policy_set *policy, const char *service,
                                          int *value, struct policy_origin *origin);

/* At connect. Always makes the decision: accept means "go on, and ask at MAIL FROM". */
void decision_connect(struct decision *d, const struct decision_rules *rules,
                      const struct decision_listener *listener, const struct decision_facts *facts);

/*
 * A login at any door, that of the MTA included: what the listener needs, then the policy of the
 * account. At the other doors a store that cannot be asked refuses, whatever on_store_error says:
 * who asks there has no mail to lose, and could come again.
 */
enum decision_next decision_login(struct decision *d, const struct decision_rules *rules,
                                  const struct decision_listener *listener,
                                  const struct decision_facts *facts);

/* The service that was asked for does not exist, or no listener of it matches: refuses. */
void decision_service_unknown(struct decision *d, const struct decision_rules *rules,
                              const struct decision_listener *listener,
                              const struct decision_facts *facts);

/* At MAIL FROM. */
enum decision_next decision_mail(struct decision *d, const struct decision_rules *rules,
                                 const struct decision_listener *listener,
                                 const struct decision_facts *facts);

/* The answers to DECISION_WANTS_POLICY: the policy, or that the store had none to give. */
enum decision_next decision_policy(struct decision *d, const struct policy_set *policy);
enum decision_next decision_policy_failed(struct decision *d);

/*
 * The answer to DECISION_WANTS_SPF_HELO and DECISION_WANTS_SPF_MAILFROM. `prefix` is for a pass: by
 * how many bits of the client's address it was found, 0 for `all`.
 */
enum decision_next decision_spf(struct decision *d, enum spf_result result, unsigned prefix);

/* The domain of DECISION_WANTS_PROVIDER, a text of the policy; the answer, as above. */
const char *decision_provider_domain(const struct decision *d);
enum decision_next decision_provider(struct decision *d, enum spf_result result, unsigned prefix);

/* How many evaluations may still be asked for, the one that is wanted now not among them. */
size_t decision_evaluations_left(const struct decision *d);

/*
 * The header of a message that was accepted or marked has too many forged fields. Makes the
 * decision anew, from what is known by now.
 */
void decision_header_forged(struct decision *d);

/* What happens to the message: `kind`, or accept when only monitored. */
enum verdict_kind verdict_applied(const struct verdict *verdict);

/* Does `a` do more against the message than `b`? Among those that do the same, what is not
 * monitored. */
bool verdict_is_stricter(const struct verdict *a, const struct verdict *b);

#endif
