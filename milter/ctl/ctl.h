/*
 * gatepostctl: what its commands share. A command is a function that is given the words after its
 * name; it prints and returns an exit status. One thread, one command a process.
 */
#ifndef GATEPOST_CTL_CTL_H
#define GATEPOST_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "gatepost/base/json_text.h"
#include "gatepost/config/config.h"
#include "gatepost/core/address.h"
#include "gatepost/core/policy_field.h"
#include "gatepost/store/store.h"
#include "gatepost/write/fact_check.h"
#include "gatepost/write/writer.h"

/* The exit status, the same for every command. */
enum ctl_exit {
    CTL_DONE = 0,     /* done; nothing found */
    CTL_REFUSED = 1,  /* refused: invalid input, a guard; or lint has findings */
    CTL_CHANGES = 1,  /* replay: verdicts would change, as diff(1) says it */
    CTL_FAILED = 2,   /* could not be done: usage, configuration, store */
    CTL_MARKED = 3,   /* explain: the message would be marked, */
    CTL_DEFERRED = 4, /* deferred (4xx) */
    CTL_REJECTED = 5, /* or rejected (5xx); 0: accepted */
};

/* What explain is asked; texts of the command line, NULL where not given. */
struct ctl_question {
    const char *ip, *helo, *from, *login, *listener, *log;
    const char *session; /* whose line of the log is meant; NULL: the last one */
    bool app_password;
    const char *door, *service; /* of a login elsewhere than at the MTA */
    bool tls;
    bool connect_only; /* the line of the log is about the connection, not about a message */
};

/* Of a command that is made from a row of the table of fields: `source any` sets source to any. */
struct ctl_setting {
    const struct policy_field *field;
    const char *value; /* NULL: unset */
};

/* What doors check is asked; texts of the command line, NULL where not given. */
#define CTL_DOORS_MAX 32
struct ctl_doors {
    const char *canary, *password_file, *address, *timeout;
    const char *ports[CTL_DOORS_MAX], *paths[CTL_DOORS_MAX]; /* SERVICE=... */
    size_t n_ports, n_paths;
};

struct ctl {
    struct store *trial; /* NULL; else `store`, which commands change instead of anything real */
    struct config *config;
    struct address_rules address_rules;
    struct fact_rules fact_rules;
    struct store *store;         /* NULL until ctl_open_store() */
    struct store_writer *writer; /* NULL until ctl_open_writer() */
    bool json, dry_run, force, replace, prune, watch;
    struct ctl_setting setting;
    struct ctl_question question; /* of explain */
    struct ctl_doors doors;
    bool kick;
    /*
     * What follows a change that was made, or NULL. It adds to the JSON that is told, which is NULL
     * without --json, and returns an exit status.
     */
    int (*after_change)(struct ctl *ctl, const char *subject, json_t *told);
    const char *actor;  /* whom the history names; of `history` the filter, NULL for all */
    const char *until;  /* --until as given; NULL */
    const char *field;  /* --field of history; NULL */
    const char *since;  /* --since as given; NULL */
    const char *length; /* --for of unused and suggest; NULL */
    const char *format; /* --format of history; NULL */
    const char *policy; /* --policy of replay; NULL */
    const char **with;  /* --with of replay, as often as it was given; owned */
    size_t n_with, with_room;
    /* Runs one command that edits the policy, its words as of a command line, on this trial. */
    int (*run_words)(struct ctl *ctl, int argc, char **argv);
    const char *note; /* of a new app password; NULL */
    bool forget, commands, all, dns;
    unsigned long last; /* --last of history; 0 for all */
    int64_t now;        /* seconds since the epoch */
};

/* fact_check_subject() and fact_check(), which end the process for want of memory. */
enum fact_kind ctl_check_subject(const struct ctl *ctl, const char *subject, struct why *why);
enum fact_kind ctl_check(const struct ctl *ctl, const char *subject, const struct store_text *field,
                         const struct store_text *value, struct why *why);

typedef int ctl_command(struct ctl *ctl, int argc, char **argv);

/*
 * Opens the store for reading, or for writing as well; nothing when it is open. Returns CTL_DONE,
 * or CTL_FAILED after saying why.
 */
int ctl_open_store(struct ctl *ctl);
int ctl_open_writer(struct ctl *ctl);

/* Who makes the change: the user who called sudo, or the user, and the host. */
void ctl_name_actor(char *out, size_t out_size);

/*
 * --since as milliseconds since the epoch: a time, a day, or how long ago; 0 where it is not given.
 * Returns CTL_DONE, or CTL_REFUSED after saying why.
 */
int ctl_parse_since(struct ctl *ctl, int64_t *since);

/* --until, which must be given, as seconds since the epoch: a time, a day, or how long from now. */
int ctl_parse_until(const struct ctl *ctl, int64_t *until);

ctl_command ctl_account_show, ctl_account_list, ctl_account_delete;
ctl_command ctl_self_forget;
ctl_command ctl_set, ctl_set_names;
ctl_command ctl_ip_add, ctl_ip_remove, ctl_ip_list;
ctl_command ctl_as_add, ctl_as_remove, ctl_as_list;
ctl_command ctl_network_add, ctl_network_remove, ctl_network_list;
ctl_command ctl_spf_set, ctl_spf_unset, ctl_spf_check;
ctl_command ctl_lint, ctl_export, ctl_import, ctl_history;
ctl_command ctl_use, ctl_unused, ctl_suggest, ctl_replay;
ctl_command ctl_password_add, ctl_password_list, ctl_password_remove;
ctl_command ctl_explain, ctl_status, ctl_reload, ctl_doors_check;

/* Removes all app passwords of an account, where there are any. CTL_DONE, or another status after
 * saying why. */
int ctl_passwords_drop(struct ctl *ctl, const char *account);

/* Removes what the user of an account has set himself, likewise. */
int ctl_self_drop(struct ctl *ctl, const char *account);

#endif
