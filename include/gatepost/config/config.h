/*
 * The configuration: gatepost.conf, read with libconfuse, checked whole before anybody sees it.
 *
 * A loaded configuration never changes; a reload loads another one. All texts in it belong to it.
 */
#ifndef GATEPOST_CONFIG_CONFIG_H
#define GATEPOST_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "gatepost/base/host_port.h"
#include "gatepost/base/log.h"
#include "gatepost/core/decision.h"
#include "gatepost/core/netset.h"
#include "gatepost/core/why.h"

/* A list of texts. */
struct config_list {
    const char **items;
    size_t n;
};

struct config_listener {
    struct decision_listener rules;
    const char *daemon_name;       /* "" when not matched on; likewise below */
    int daemon_port;               /* 0 */
    struct ip_address daemon_addr; /* IP_NONE */
    struct config_list connect_from;
    struct config_list real_client_from; /* who is connected must be in one of these */
    struct host_port backend;            /* for nginx's mail proxy; port 0: none */
    bool authenticated;                  /* who asks has checked the password */
    bool unknown_login_given;            /* in the file */
};

struct config_network {
    const char *name;
    struct config_list texts; /* the members as they stand in the file */
    struct netset *members;
};

/* The section `settings`: gatepost-settings. Its texts are "" where nothing is set. */
struct config_settings {
    const char *listen, *socket_group;
    mode_t socket_mode;
    const char *store_user, *store_password_file; /* its own; store_user "": no user */
    const char *token_file;
    const char *origin;
    int64_t loosen_after;             /* milliseconds; 0: at once */
    bool passwords;                   /* users may make app passwords */
    struct config_list suggested_ips; /* "BLOCK" or "BLOCK NOTE", for users to list */
};

struct config {
    const char *path; /* the caller's */
    const char *socket, *socket_group, *user;
    /* in the file; a default may name nobody */
    bool socket_group_given, user_given, trusted_given;
    mode_t socket_mode;
    const char *store, *store_user, *store_password_file, *key_prefix;
    const char *store_tls_ca, *store_tls_cert, *store_tls_key; /* "": none */
    int64_t store_timeout, cache_ttl, stale_max;               /* milliseconds */
    size_t cache_entries;
    const char *authserv_id; /* "": the MTA's {j} */
    bool authentication_results, received_spf;
    const char *default_domain, *address_delimiter;
    enum log_target log;
    enum log_format log_format;
    int log_level;           /* of syslog(3) */
    const char *http_listen; /* "": nowhere */
    struct config_list doors_listen;
    mode_t doors_mode;
    const char *doors_group, *doors_token_file, *passwords_listen; /* "": none */
    struct config_list source_services;
    bool record_use;
    const char *use_store;           /* "": the same as `store` */
    int64_t use_kept;                /* milliseconds */
    bool self_facts;                 /* the section `settings` stands: what users set counts */
    struct config_settings settings; /* where it does not, all is 0 and NULL */
    struct config_list trusted;
    struct config_list nameservers;
    int64_t spf_timeout; /* milliseconds */
    struct decision_rules rules;
    struct config_network *networks;
    struct config_listener *listeners;
    size_t n_networks, n_listeners;
    bool any_connect_from;        /* some listener has connect_from */
    const char *replies[REASONS]; /* templates; NULL for the default */
    struct cfg_t *cfg;            /* owns the texts */
    struct protocol *protocols;   /* rules.protocols, owned */
};

/*
 * Reads and checks a file; `path` must outlive the result. Returns 0 and a configuration owned by
 * the caller, or -1 with one line "FILE:LINE: reason" in `why` (FILE alone where no line is at
 * fault). One thread at a time; config_free() any thread.
 */
int config_load(const char *path, struct config **out, struct why *why);
void config_free(struct config *config);

/*
 * May others than its owner change a file with a secret, or others than its group read it? Then a
 * warning in `why`. A file that is not there, or that cannot be looked at, is none.
 */
bool config_secret_is_exposed(const struct config *config, struct why *why);

/* Prints the settings that differ from the defaults, in the file's own syntax. */
void config_print_changed(const struct config *config, FILE *to);

/*
 * The listener of an MTA's connection: of those of its door the first whose daemon_name,
 * daemon_port and daemon_addr, as far as it has them, match the MTA's macros (NULL where the MTA
 * gave none); the first of all when none matches; one of service smtp that requires nothing when
 * there is no listener section.
 */
const struct config_listener *config_listener(const struct config *config, const char *daemon_name,
                                              const char *daemon_port, const char *daemon_addr);

/*
 * What is known of a login at a door other than the MTA, and how to ask for more: is the client
 * that is really connected in one of these networks? No answer but yes is a match.
 */
struct config_door_query {
    enum door door;
    const char *service; /* as the peer calls it */
    int port;            /* 0: not known */
    struct ip_address local;
    bool (*is_real_client_in)(void *context, const struct config_list *networks);
    void *context;
};

/*
 * The listener of such a login: the first of its door whose daemon_port, daemon_addr and
 * real_client_from match, as far as it has them; else the first with none of them, whose service it
 * is. Returns 1 and the listener; 0 when there is no listener of that service, which is then judged
 * without one; -1 when there are some and none matches, or there is no such service.
 */
int config_door_listener(const struct config *config, const struct config_door_query *query,
                         const struct config_listener **out);

/* The configuration's network of that name, or NULL. */
const struct config_network *config_network(const struct config *config, const char *name);

#endif
