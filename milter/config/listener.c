/*
 * The listeners. Owns how a section becomes one, and which one a session or a login comes to; and
 * how a list is copied, which all of the configuration has.
 */
#include "listener.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int word(const struct words *words, cfg_t *section, const char *name) {
    const char *text = cfg_getstr(section, name);
    return words_find(words, text, strlen(text));
}

int config_copy_list(cfg_t *cfg, const char *name, struct config_list *out) {
    unsigned n = cfg_size(cfg, name);
    out->items = calloc(n + 1, sizeof *out->items);
    if (out->items == NULL)
        return -1;
    for (unsigned i = 0; i < n; i++)
        out->items[i] = cfg_getnstr(cfg, name, i);
    out->n = n;
    return 0;
}

static bool is_given(cfg_t *section, const char *name) {
    return (cfg_getopt(section, name)->flags & CFGF_MODIFIED) != 0;
}

static int copy_listener(cfg_t *section, struct config_listener *listener) {
    const char *addr = cfg_getstr(section, "daemon_addr");
    listener->rules = (struct decision_listener){
        .name = cfg_title(section),
        .service = cfg_getstr(section, "service"),
        .door = (enum door)word(&door_words, section, "door"),
        .tls_required = strcasecmp(cfg_getstr(section, "tls"), "required") == 0,
        .tls_offloaded = strcasecmp(cfg_getstr(section, "tls"), "offloaded") == 0,
        .auth_required = word(&need_words, section, "auth") == NEED_REQUIRED,
        .reject_unknown = strcmp(cfg_getstr(section, "unknown_sender"), "reject") == 0,
        .reject_unknown_login = strcmp(cfg_getstr(section, "unknown_login"), "reject") == 0,
        .mode = (enum mode)word(&mode_words, section, "mode"),
    };
    listener->unknown_login_given = is_given(section, "unknown_login");
    listener->daemon_name = cfg_getstr(section, "daemon_name");
    listener->daemon_port = (int)cfg_getint(section, "daemon_port");
    if (addr[0] != '\0')
        ip_parse(addr, strlen(addr), &listener->daemon_addr);
    if (cfg_getstr(section, "backend")[0] != '\0')
        host_port_parse(cfg_getstr(section, "backend"), &listener->backend);
    listener->authenticated = cfg_getbool(section, "authenticated");
    if (config_copy_list(section, "connect_from", &listener->connect_from) != 0 ||
        config_copy_list(section, "real_client_from", &listener->real_client_from) != 0)
        return -1;
    listener->rules.has_connect_from = listener->connect_from.n > 0;
    return 0;
}

/* Without a section of the MTA's there is one listener of it, of service smtp: it asks for nothing.
 */
int config_copy_listeners(struct config *config, cfg_t *cfg) {
    unsigned n = cfg_size(cfg, "listener");
    bool has_mta = false;
    config->listeners = calloc(n + 1, sizeof *config->listeners);
    if (config->listeners == NULL)
        return -1;
    for (unsigned i = 0; i < n; i++) {
        struct config_listener *listener = &config->listeners[i];
        config->n_listeners++; /* its lists are freed in any case */
        if (copy_listener(cfg_getnsec(cfg, "listener", i), listener) != 0)
            return -1;
        config->any_connect_from |= listener->rules.has_connect_from;
        has_mta |= listener->rules.door == DOOR_MTA;
    }
    if (!has_mta) {
        struct config_listener *listener = &config->listeners[config->n_listeners++];
        listener->rules = (struct decision_listener){.service = "smtp", .mode = MODE_ENFORCE};
        listener->daemon_name = "";
    }
    return 0;
}

void config_free_listener(struct config_listener *listener) {
    free(listener->connect_from.items);
    free(listener->real_client_from.items);
}

/* Settings that only some doors know, as bits of their numbers. */
static const struct {
    const char *option;
    unsigned doors;
    const char *whose;
} of_doors[] = {
    {"daemon_name", 1U << DOOR_MTA, "door = mta"},
    {"daemon_port", 1U << DOOR_MTA | 1U << DOOR_DOVECOT, "door = mta or dovecot"},
    {"daemon_addr", 1U << DOOR_MTA | 1U << DOOR_DOVECOT, "door = mta or dovecot"},
    {"connect_from", 1U << DOOR_MTA, "door = mta"},
    {"unknown_sender", 1U << DOOR_MTA, "door = mta"},
    {"real_client_from", 1U << DOOR_DOVECOT, "door = dovecot"},
    {"backend", 1U << DOOR_HTTP, "door = http"},
    {"authenticated", 1U << DOOR_HTTP, "door = http"},
};

static int check_listener(const struct config *config, cfg_t *section, enum door door,
                          struct why *why) {
    for (size_t i = 0; i < sizeof of_doors / sizeof *of_doors; i++)
        if (is_given(section, of_doors[i].option) && (of_doors[i].doors >> door & 1) == 0)
            return why_set(why, "%s:%d: listener \"%.100s\": %s is a setting of %s", config->path,
                           config_schema_line(cfg_getopt(section, of_doors[i].option)),
                           cfg_title(section), of_doors[i].option, of_doors[i].whose);
    return 0;
}

int config_check_listeners(const struct config *config, struct why *why) {
    for (unsigned i = 0; i < cfg_size(config->cfg, "listener"); i++)
        if (check_listener(config, cfg_getnsec(config->cfg, "listener", i),
                           config->listeners[i].rules.door, why) != 0)
            return -1;
    return 0;
}

static bool matches_mta(const struct config_listener *listener, const char *name, const char *port,
                        const struct ip_address *addr) {
    if (listener->daemon_name[0] == '\0' && listener->daemon_port == 0 &&
        listener->daemon_addr.family == IP_NONE)
        return false;
    if (listener->daemon_name[0] != '\0' &&
        (name == NULL || strcmp(listener->daemon_name, name) != 0))
        return false;
    if (listener->daemon_port != 0 && (port == NULL || atoi(port) != listener->daemon_port))
        return false;
    return listener->daemon_addr.family == IP_NONE ||
           memcmp(&listener->daemon_addr, addr, sizeof *addr) == 0;
}

const struct config_listener *config_listener(const struct config *config, const char *daemon_name,
                                              const char *daemon_port, const char *daemon_addr) {
    const struct config_listener *first = NULL;
    struct ip_address addr = {.family = IP_NONE};
    if (daemon_addr != NULL && ip_parse(daemon_addr, strlen(daemon_addr), &addr) != 0)
        addr.family = IP_NONE;
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->rules.door != DOOR_MTA)
            continue;
        if (matches_mta(listener, daemon_name, daemon_port, &addr))
            return listener;
        if (first == NULL)
            first = listener;
    }
    return first;
}

/* Is it by more than the service that logins come to this listener? */
static bool has_place(const struct config_listener *listener) {
    return listener->daemon_port != 0 || listener->daemon_addr.family != IP_NONE ||
           listener->real_client_from.n > 0;
}

static bool matches_place(const struct config_listener *listener,
                          const struct config_door_query *query) {
    return (listener->daemon_port == 0 || listener->daemon_port == query->port) &&
           (listener->daemon_addr.family == IP_NONE ||
            memcmp(&listener->daemon_addr, &query->local, sizeof listener->daemon_addr) == 0) &&
           (listener->real_client_from.n == 0 ||
            query->is_real_client_in(query->context, &listener->real_client_from));
}

int config_door_listener(const struct config *config, const struct config_door_query *query,
                         const struct config_listener **out) {
    bool exists = false;
    *out = NULL;
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        bool same = strcmp(listener->rules.service, query->service) == 0;
        if (listener->rules.door != query->door)
            continue;
        if (has_place(listener) && matches_place(listener, query)) {
            *out = listener;
            return 1;
        }
        if (*out == NULL && !has_place(listener) && same)
            *out = listener;
        exists |= same;
    }
    if (*out != NULL)
        return 1;
    for (size_t i = 0; !exists && i < service_words.count; i++)
        if (strcmp(service_words.names[i], query->service) == 0)
            return 0;
    return -1;
}
