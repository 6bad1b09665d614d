/*
 * What a user has set himself: `gatepost-self:ACCOUNT`, for the program that he sets it with.
 *
 * Self facts only restrict. The stricter of host and self holds; what the host has closed the user
 * cannot open, and what he closed himself he may open again. Closing acts at once; loosening - a
 * protocol opened again, an address more, `source` or `password` taken back - after loosen_after:
 * until then it is pending, and the same wish the other way round cancels it.
 *
 * One thread for each struct self_store. Texts are UTF-8.
 */
#ifndef GATEPOST_WRITE_SELF_H
#define GATEPOST_WRITE_SELF_H

#include "gatepost/config/config.h"
#include "gatepost/core/policy.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"
#include "gatepost/write/writer.h"

struct self_store;

/*
 * Takes settings as for store_open(), with the key_prefix of the policy and with who writes self
 * facts as user; `config` must outlive it. Connects at the first use. Returns 0 and what is to be
 * freed by the caller, or -1 with the reason.
 */
int self_store_open(const struct config *config, const struct store_settings *settings,
                    struct self_store **out, struct why *why);
void self_store_free(struct self_store *store);

/*
 * The account of a name, as an MTA's login is understood: canonical. Returns 1 and a malloc'd text;
 * 0 when no account can have self facts by this name ("@example.com", "*", "", two '@'), with the
 * reason; -1: no memory.
 */
int self_account(const struct config *config, const char *name, char **out, struct why *why);

/* ---- reading ---- */

/* What holds for one protocol: of the configuration's sections, or a service that none names. */
struct self_protocol {
    const char *name;
    const char *const *services;
    size_t n_services;
    bool on;                   /* open now, by the host and by himself */
    bool malformed;            /* it cannot be read: who needs it is refused; `on` is false */
    bool set_off;              /* he has switched it off himself, and that holds now */
    int64_t until;             /* of set_off: open again from then on; 0: no end */
    bool may_off, may_on;      /* what a change to this would be taken */
    struct policy_origin from; /* what decides it; NULLs: nobody has set anything */
};

/* An address or block that is listed. */
struct self_ip {
    struct netblock block;
    const char *field; /* as stored: "ip:192.0.2.0/24" */
    struct store_text note;
    bool own;            /* his own entry, which he may remove; else the host's */
    bool counts;         /* now */
    bool malformed;      /* block, from and until are undefined */
    int64_t from, until; /* seconds since the epoch; 0: from the beginning, without end */
};

/* One word that the host or the user has set: `source`, `password`. */
struct self_setting {
    const char *value;         /* what holds: "any", "authorized", "application" */
    bool malformed;            /* value is then NULL */
    bool set;                  /* by himself, and that holds now */
    int64_t until;             /* of set; as above */
    struct policy_origin from; /* as above */
    bool may_restrict, may_unset;
};

/* Everything is owned by the view and lasts until self_view_clear(). */
struct self_view {
    const char *account;
    struct self_protocol *protocols;
    size_t n_protocols;
    struct self_setting source, password;
    struct self_ip *ips; /* the host's first, then his own */
    size_t n_ips;
    bool may_add_ips; /* not where the host demands its own listed addresses, or there are
                         SELF_IPS_MAX */
    uint64_t state;   /* of all that was read, facts of the host included; never 0 */
    void *inside;     /* private */
};

/* Own addresses of one account. */
#define SELF_IPS_MAX 32
/* Protocols in one change. */
#define SELF_PROTOCOLS_MAX 100
/* Octets of a note. */
#define SELF_NOTE_MAX 200

/*
 * Reads what holds for a canonical account at `now` (seconds since the epoch). Returns 0 and a view
 * to be cleared, or -1 with the reason and nothing to clear: the store cannot be asked.
 */
int self_read(struct self_store *store, const char *account, int64_t now, struct self_view *out,
              struct why *why);
void self_view_clear(struct self_view *view);

/* ---- changing ---- */

/* What is wanted of a protocol, of `source` or of `password`. */
enum self_wish {
    SELF_LEAVE,    /* nothing is said of it */
    SELF_RESTRICT, /* "off", "authorized", "application" */
    SELF_OPEN,     /* "on", "any": refused where the host has closed it */
    SELF_UNSET,    /* null: whatever he has set goes */
};

struct self_wish_protocol {
    const char *name; /* any case */
    enum self_wish wish;
};

struct self_wish_ip {
    const char *block; /* an address or a block; host bits are refused */
    const char *note;  /* NULL: the entry goes */
};

struct self_change {
    const char *account;  /* canonical */
    const char *actor;    /* whom the history names; NULL: himself, "self:ACCOUNT" */
    const char *client;   /* address of who asks, for the history; NULL: unknown */
    int64_t now;          /* seconds since the epoch */
    int64_t loosen_after; /* seconds; 0: loosening acts at once, too */
    uint64_t if_state;    /* self_view.state that it must still have; 0: any */
    bool confirm;         /* also where it locks him out */
    int app_passwords;    /* that he has and that are good now; below 0: unknown */
    const struct self_wish_protocol *protocols;
    size_t n_protocols;
    enum self_wish source, password;
    const struct self_wish_ip *ips;
    size_t n_ips;
};

enum self_result {
    SELF_DONE,        /* also when nothing had to change: then n_changes is 0 */
    SELF_PENDING,     /* done, but some of it acts only from `pending` on */
    SELF_REFUSED,     /* nothing is done: `field` may not become that, for `why` */
    SELF_LOCKS_OUT,   /* nothing is done: it needs `confirm`; `why` says what he would lose */
    SELF_STALE,       /* nothing is done: somebody has changed it since if_state */
    SELF_UNAVAILABLE, /* the store cannot be asked or does not take it, for `why`: it may be done */
};

/* What has come of it. */
struct self_outcome {
    enum self_result result;
    char field[300]; /* of SELF_REFUSED: "protocols.pop3", "source", "ips.192.0.2.1", "password" */
    struct why why;  /* a sentence for the user; of SELF_UNAVAILABLE one for the operator */
    int64_t pending; /* of SELF_PENDING: when the last of it acts, seconds since the epoch */
    bool unrecorded; /* done, but not in the history, for `why` */
    uint64_t state;  /* of SELF_DONE and SELF_PENDING: self_view.state from now on */
    /* What was changed in the store, for the log; owned, until self_outcome_clear(). */
    struct store_change *changes;
    size_t n_changes;
    void *inside; /* private */
};

/*
 * Makes a change, all of it or nothing, and records it in the history of self facts with the actor
 * "self:ACCOUNT", or the one that is given, and the client. self_outcome_clear() in every case.
 */
void self_change(struct self_store *store, const struct self_change *change,
                 struct self_outcome *out);
void self_outcome_clear(struct self_outcome *outcome);

#endif
