/*
 * The configuration. Owns the making of a struct config from a parsed file and the checks that
 * need more than one value; what a single value may be is config_check.c's.
 */
#include "gatepost/config/config.h"
#include "gatepost/core/duration.h"
#include "gatepost/core/store_url.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "config_schema.h"
#include "listener.h"

static int word(const struct words *words, cfg_t *cfg, const char *name) {
    const char *text = cfg_getstr(cfg, name);
    return words_find(words, text, strlen(text));
}

/* The syslog(3) level of a checked word. */
static int log_level_of(const char *word) {
    static const char *const words[] = {"error", "warning", "info", "debug"};
    static const int levels[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    int i = 0;
    while (strcmp(words[i], word) != 0)
        i++;
    return levels[i];
}

static void copy_scalars(struct config *config, cfg_t *cfg) {
    config->socket = cfg_getstr(cfg, "socket");
    config->socket_group = cfg_getstr(cfg, "socket_group");
    config->socket_group_given = (cfg_getopt(cfg, "socket_group")->flags & CFGF_MODIFIED) != 0;
    config->user = cfg_getstr(cfg, "user");
    config->trusted_given = (cfg_getopt(cfg, "trusted")->flags & CFGF_MODIFIED) != 0;
    config->user_given = (cfg_getopt(cfg, "user")->flags & CFGF_MODIFIED) != 0;
    config->socket_mode = (mode_t)strtoul(cfg_getstr(cfg, "socket_mode"), NULL, 8);
    config->store = cfg_getstr(cfg, "store");
    config->store_user = cfg_getstr(cfg, "store_user");
    config->store_password_file = cfg_getstr(cfg, "store_password_file");
    config->store_tls_ca = cfg_getstr(cfg, "store_tls_ca");
    config->store_tls_cert = cfg_getstr(cfg, "store_tls_cert");
    config->store_tls_key = cfg_getstr(cfg, "store_tls_key");
    config->key_prefix = cfg_getstr(cfg, "key_prefix");
    duration_parse(cfg_getstr(cfg, "store_timeout"), &config->store_timeout);
    config->cache_entries = (size_t)cfg_getint(cfg, "cache_entries");
    duration_parse(cfg_getstr(cfg, "cache_ttl"), &config->cache_ttl);
    duration_parse(cfg_getstr(cfg, "stale_max"), &config->stale_max);
    config->authserv_id = cfg_getstr(cfg, "authserv_id");
    config->authentication_results = cfg_getbool(cfg, "authentication_results");
    config->received_spf = cfg_getbool(cfg, "received_spf");
    config->default_domain = cfg_getstr(cfg, "default_domain");
    config->address_delimiter = cfg_getstr(cfg, "address_delimiter");
    config->http_listen = cfg_getstr(cfg, "http_listen");
    config->record_use = cfg_getbool(cfg, "record_use");
    config->use_store = cfg_getstr(cfg, "use_store");
    duration_parse(cfg_getstr(cfg, "use_kept"), &config->use_kept);
    config->doors_mode = (mode_t)strtoul(cfg_getstr(cfg, "doors_mode"), NULL, 8);
    config->doors_group = cfg_getstr(cfg, "doors_group");
    config->doors_token_file = cfg_getstr(cfg, "doors_token_file");
    config->passwords_listen = cfg_getstr(cfg, "passwords_listen");
    config->log_level = log_level_of(cfg_getstr(cfg, "log_level"));
    config->log = strcmp(cfg_getstr(cfg, "log"), "stderr") == 0    ? LOG_TO_STDERR
                  : strcmp(cfg_getstr(cfg, "log"), "journal") == 0 ? LOG_TO_JOURNAL
                                                                   : LOG_TO_SYSLOG;
    config->log_format = strcmp(cfg_getstr(cfg, "log_format"), "json") == 0 ? LOG_JSON : LOG_LOGFMT;
}

static int copy_settings(struct config *config, cfg_t *cfg) {
    if (cfg_size(cfg, "settings") == 0)
        return 0;
    cfg_t *section = cfg_getsec(cfg, "settings");
    config->self_facts = true;
    config->settings = (struct config_settings){
        .listen = cfg_getstr(section, "listen"),
        .socket_group = cfg_getstr(section, "socket_group"),
        .socket_mode = (mode_t)strtoul(cfg_getstr(section, "socket_mode"), NULL, 8),
        .store_user = cfg_getstr(section, "store_user"),
        .store_password_file = cfg_getstr(section, "store_password_file"),
        .token_file = cfg_getstr(section, "token_file"),
        .origin = cfg_getstr(section, "origin"),
        .passwords = cfg_getbool(section, "passwords"),
    };
    duration_parse(cfg_getstr(section, "loosen_after"), &config->settings.loosen_after);
    return config_copy_list(section, "suggested_ips", &config->settings.suggested_ips);
}

static void copy_rules(struct config *config, cfg_t *cfg) {
    cfg_t *spf = cfg_getsec(cfg, "spf");
    for (size_t i = 0; i < SPF_RESULTS; i++)
        config->rules.spf[i] =
            (enum verdict_kind)word(&verdict_words, spf, spf_result_name((enum spf_result)i));
    config->rules.widest4 = (unsigned)cfg_getint(spf, "widest_ipv4");
    config->rules.widest6 = (unsigned)cfg_getint(spf, "widest_ipv6");
    config->rules.helo_always = strcmp(cfg_getstr(spf, "helo"), "always") == 0;
    config->rules.mode = (enum mode)word(&mode_words, cfg, "mode");
    config->rules.on_store_error = (enum verdict_kind)word(&verdict_words, cfg, "on_store_error");
    duration_parse(cfg_getstr(spf, "timeout"), &config->spf_timeout);
}

static int copy_protocols(struct config *config, cfg_t *cfg) {
    unsigned n = cfg_size(cfg, "protocol");
    config->protocols = calloc(n + 1, sizeof *config->protocols);
    if (config->protocols == NULL)
        return -1;
    config->rules.protocols = config->protocols;
    for (unsigned i = 0; i < n; i++) {
        cfg_t *section = cfg_getnsec(cfg, "protocol", i);
        struct config_list services;
        if (config_copy_list(section, "services", &services) != 0)
            return -1;
        config->protocols[i] = (struct protocol){cfg_title(section), services.items, services.n};
        config->rules.n_protocols++;
    }
    return 0;
}

static int copy_network(cfg_t *section, struct config_network *network) {
    unsigned n = cfg_size(section, "members");
    struct netblock *blocks = calloc(n + 1, sizeof *blocks);
    if (blocks == NULL)
        return -1;
    for (unsigned i = 0; i < n; i++) {
        struct why why;
        const char *text = cfg_getnstr(section, "members", i);
        netblock_parse(text, strlen(text), &blocks[i], &why); /* checked before */
    }
    network->name = cfg_title(section);
    network->members = netset_new(blocks, n);
    free(blocks);
    return network->members == NULL ? -1 : config_copy_list(section, "members", &network->texts);
}

static int copy_networks(struct config *config, cfg_t *cfg) {
    unsigned n = cfg_size(cfg, "network");
    config->networks = calloc(n + 1, sizeof *config->networks);
    if (config->networks == NULL)
        return -1;
    for (unsigned i = 0; i < n; i++) {
        struct config_network *network = &config->networks[config->n_networks++];
        if (copy_network(cfg_getnsec(cfg, "network", i), network) != 0)
            return -1;
    }
    return 0;
}

static void copy_replies(struct config *config, cfg_t *cfg) {
    for (unsigned i = 0; i < cfg_size(cfg, "reply"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "reply", i);
        const char *title = cfg_title(section);
        config->replies[words_find(&reason_words, title, strlen(title))] =
            cfg_getstr(section, "text");
    }
}

/* What one value alone does not show. */
static int check_together(const struct config *config, struct why *why) {
    if (config->store_user[0] != '\0' && config->store_password_file[0] == '\0')
        return why_set(why, "%s:%d: store_user: \"%s\" needs a store_password_file", config->path,
                       config_schema_line(cfg_getopt(config->cfg, "store_user")),
                       config->store_user);
    if (config->self_facts && config->settings.store_user[0] != '\0' &&
        config->settings.store_password_file[0] == '\0')
        return why_set(
            why, "%s:%d: settings: store_user: \"%s\" needs a store_password_file of its own",
            config->path,
            config_schema_line(cfg_getopt(cfg_getsec(config->cfg, "settings"), "store_user")),
            config->settings.store_user);
    bool cert = config->store_tls_cert[0] != '\0';
    if (cert != (config->store_tls_key[0] != '\0'))
        return why_set(
            why, "%s:%d: %s needs a %s", config->path,
            config_schema_line(cfg_getopt(config->cfg, cert ? "store_tls_cert" : "store_tls_key")),
            cert ? "store_tls_cert" : "store_tls_key", cert ? "store_tls_key" : "store_tls_cert");
    for (size_t i = 0; i < config->doors_listen.n; i++)
        if (strncmp(config->doors_listen.items[i], "unix:", 5) != 0 &&
            config->doors_token_file[0] == '\0')
            return why_set(why, "%s:%d: doors_listen: \"%s\" needs a doors_token_file",
                           config->path,
                           config_schema_line(cfg_getopt(config->cfg, "doors_listen")),
                           config->doors_listen.items[i]);
    if (config->record_use && config->use_store[0] == '\0' && store_url_file(config->store) != NULL)
        return why_set(why, "%s:%d: record_use: a policy file has no record of use; set use_store",
                       config->path, config_schema_line(cfg_getopt(config->cfg, "record_use")));
    return config_check_listeners(config, why);
}

int config_load(const char *path, struct config **out, struct why *why) {
    cfg_t *cfg = config_schema_parse(path, why);
    if (cfg == NULL)
        return -1;
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        config_schema_free(cfg);
        return why_set(why, "%s: no memory", path);
    }
    config->cfg = cfg;
    config->path = path;
    copy_scalars(config, cfg);
    copy_rules(config, cfg);
    copy_replies(config, cfg);
    if (copy_settings(config, cfg) != 0 ||
        config_copy_list(cfg, "trusted", &config->trusted) != 0 ||
        config_copy_list(cfg_getsec(cfg, "spf"), "nameservers", &config->nameservers) != 0 ||
        config_copy_list(cfg, "doors_listen", &config->doors_listen) != 0 ||
        config_copy_list(cfg, "source_services", &config->source_services) != 0 ||
        copy_protocols(config, cfg) != 0 || copy_networks(config, cfg) != 0 ||
        config_copy_listeners(config, cfg) != 0) {
        why_set(why, "%s: no memory", path);
        config_free(config);
        return -1;
    }
    config->rules.source_services = config->source_services.items;
    config->rules.n_source_services = config->source_services.n;
    if (check_together(config, why) != 0) {
        config_free(config);
        return -1;
    }
    *out = config;
    return 0;
}

void config_free(struct config *config) {
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->rules.n_protocols; i++)
        free((void *)config->protocols[i].services);
    for (size_t i = 0; i < config->n_networks; i++) {
        netset_free(config->networks[i].members);
        free(config->networks[i].texts.items);
    }
    for (size_t i = 0; i < config->n_listeners; i++)
        config_free_listener(&config->listeners[i]);
    free(config->protocols);
    free(config->networks);
    free(config->listeners);
    free(config->trusted.items);
    free(config->nameservers.items);
    free(config->doors_listen.items);
    free(config->source_services.items);
    free(config->settings.suggested_ips.items);
    config_schema_free(config->cfg);
    free(config);
}

/* Is a list what its default says, as that is written: "{}", "{relays}", "{a, b}"? */
static bool is_default_list(cfg_opt_t *option) {
    const char *rest = option->def.parsed + strlen("{");
    for (unsigned i = 0; i < cfg_opt_size(option); i++) {
        const char *value = cfg_opt_getnstr(option, i);
        rest += strspn(rest, ", ");
        if (strncmp(rest, value, strlen(value)) != 0 || strchr(",}", rest[strlen(value)]) == NULL)
            return false;
        rest += strlen(value);
    }
    return strcmp(rest, "}") == 0;
}

static bool is_default(cfg_opt_t *option) {
    switch (option->type) {
    case CFGT_SEC:
        return cfg_opt_size(option) == 0;
    case CFGT_INT:
        return cfg_opt_getnint(option, 0) == option->def.number;
    case CFGT_BOOL:
        return cfg_opt_getnbool(option, 0) == option->def.boolean;
    case CFGT_STR:
        if ((option->flags & CFGF_LIST) != 0)
            return is_default_list(option);
        const char *value = cfg_opt_getnstr(option, 0);
        return value == option->def.string || (value != NULL && option->def.string != NULL &&
                                               strcmp(value, option->def.string) == 0);
    default:
        return false;
    }
}

static int skip_default(cfg_t *cfg, cfg_opt_t *option) {
    (void)cfg;
    if (option->type == CFGT_SEC && (option->flags & CFGF_MULTI) == 0) {
        cfg_t *section = cfg_opt_getnsec(option, 0);
        if ((option->flags & CFGF_NODEFAULT) != 0) /* that it stands there says something */
            return section == NULL;
        for (unsigned i = 0; section != NULL && i < cfg_num(section); i++)
            if (!is_default(cfg_getnopt(section, i)))
                return 0;
        return 1;
    }
    return is_default(option);
}

void config_print_changed(const struct config *config, FILE *to) {
    cfg_set_print_filter_func(config->cfg, skip_default);
    cfg_print(config->cfg, to);
}

const struct config_network *config_network(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->n_networks; i++)
        if (strcmp(config->networks[i].name, name) == 0)
            return &config->networks[i];
    return NULL;
}
