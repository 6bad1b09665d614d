/*
 * gatepost.conf as libconfuse sees it. Owns the list of options, their defaults and which check
 * each value must pass; config.c makes the configuration of the resulting tree.
 */
#include "config_schema.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_text.h"
#include "gatepost/config/config_check.h"

static cfg_opt_t protocol_options[] = {CFG_STR_LIST("services", "{}", CFGF_NONE), CFG_END()};
static cfg_opt_t network_options[] = {CFG_STR_LIST("members", "{}", CFGF_NONE), CFG_END()};
static cfg_opt_t reply_options[] = {CFG_STR("text", NULL, CFGF_NODEFAULT), CFG_END()};
static cfg_opt_t listener_options[] = {CFG_STR("daemon_name", "", CFGF_NONE),
                                       CFG_INT("daemon_port", 0, CFGF_NONE),
                                       CFG_STR("daemon_addr", "", CFGF_NONE),
                                       CFG_STR("door", "mta", CFGF_NONE),
                                       CFG_STR("service", "smtp", CFGF_NONE),
                                       CFG_STR("tls", "optional", CFGF_NONE),
                                       CFG_STR("auth", "optional", CFGF_NONE),
                                       CFG_STR("unknown_sender", "accept", CFGF_NONE),
                                       CFG_STR("unknown_login", "accept", CFGF_NONE),
                                       CFG_STR_LIST("connect_from", "{}", CFGF_NONE),
                                       CFG_STR_LIST("real_client_from", "{}", CFGF_NONE),
                                       CFG_STR("backend", "", CFGF_NONE),
                                       CFG_BOOL("authenticated", cfg_false, CFGF_NONE),
                                       CFG_STR("mode", "enforce", CFGF_NONE),
                                       CFG_END()};
static cfg_opt_t spf_options[] = {CFG_STR("none", "accept", CFGF_NONE),
                                  CFG_STR("neutral", "accept", CFGF_NONE),
                                  CFG_STR("pass", "accept", CFGF_NONE),
                                  CFG_STR("softfail", "mark", CFGF_NONE),
                                  CFG_STR("fail", "reject", CFGF_NONE),
                                  CFG_STR("temperror", "defer", CFGF_NONE),
                                  CFG_STR("permerror", "mark", CFGF_NONE),
                                  CFG_STR("helo", "null_sender", CFGF_NONE),
                                  CFG_STR("timeout", "8s", CFGF_NONE),
                                  CFG_STR_LIST("nameservers", "{}", CFGF_NONE),
                                  CFG_INT("widest_ipv4", 8, CFGF_NONE),
                                  CFG_INT("widest_ipv6", 16, CFGF_NONE),
                                  CFG_END()};
static cfg_opt_t settings_options[] = {
    CFG_STR("listen", "unix:/run/gatepost/settings.sock", CFGF_NONE),
    CFG_STR("socket_mode", "0660", CFGF_NONE),
    CFG_STR("socket_group", "", CFGF_NONE),
    CFG_STR("store_user", "", CFGF_NONE),
    CFG_STR("store_password_file", "", CFGF_NONE),
    CFG_STR("token_file", "/etc/gatepost/tokens", CFGF_NONE),
    CFG_STR("origin", "", CFGF_NONE),
    CFG_STR("loosen_after", "0s", CFGF_NONE),
    CFG_BOOL("passwords", cfg_true, CFGF_NONE),
    CFG_STR_LIST("suggested_ips", "{}", CFGF_NONE),
    CFG_END()};
static cfg_opt_t options[] = {
    CFG_STR("socket", "unix:/run/gatepost/gatepost.sock", CFGF_NONE),
    CFG_STR("socket_mode", "0660", CFGF_NONE),
    CFG_STR("socket_group", "postfix", CFGF_NONE),
    CFG_STR("user", "gatepost", CFGF_NONE),
    CFG_STR("store", "redis://127.0.0.1:6379/0", CFGF_NONE),
    CFG_STR("store_user", "", CFGF_NONE),
    CFG_STR("store_password_file", "", CFGF_NONE),
    CFG_STR("store_tls_ca", "", CFGF_NONE),
    CFG_STR("store_tls_cert", "", CFGF_NONE),
    CFG_STR("store_tls_key", "", CFGF_NONE),
    CFG_STR("store_timeout", "200ms", CFGF_NONE),
    CFG_STR("key_prefix", "gatepost:", CFGF_NONE),
    CFG_INT("cache_entries", 100000, CFGF_NONE),
    CFG_STR("cache_ttl", "5m", CFGF_NONE),
    CFG_STR("stale_max", "1h", CFGF_NONE),
    CFG_STR("on_store_error", "defer", CFGF_NONE),
    CFG_STR("authserv_id", "", CFGF_NONE),
    CFG_BOOL("authentication_results", cfg_true, CFGF_NONE),
    CFG_BOOL("received_spf", cfg_false, CFGF_NONE),
    CFG_STR("default_domain", "", CFGF_NONE),
    CFG_STR("address_delimiter", "+", CFGF_NONE),
    CFG_STR("mode", "enforce", CFGF_NONE),
    CFG_STR("log", "syslog", CFGF_NONE),
    CFG_STR("log_format", "logfmt", CFGF_NONE),
    CFG_STR("log_level", "info", CFGF_NONE),
    CFG_STR("http_listen", "", CFGF_NONE),
    CFG_STR_LIST("doors_listen", "{}", CFGF_NONE),
    CFG_STR("doors_mode", "0660", CFGF_NONE),
    CFG_STR("doors_group", "", CFGF_NONE),
    CFG_STR("doors_token_file", "", CFGF_NONE),
    CFG_STR("passwords_listen", "", CFGF_NONE),
    CFG_BOOL("record_use", cfg_false, CFGF_NONE),
    CFG_STR("use_store", "", CFGF_NONE),
    CFG_STR("use_kept", "400d", CFGF_NONE),
    CFG_STR_LIST("source_services", "{smtp, submission, submissions}", CFGF_NONE),
    CFG_STR_LIST("trusted", "{relays}", CFGF_NONE),
    CFG_SEC("protocol", protocol_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("network", network_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("listener", listener_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_SEC("spf", spf_options, CFGF_NONE),
    CFG_SEC("settings", settings_options, CFGF_NODEFAULT),
    CFG_SEC("reply", reply_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
    CFG_END()};

/* Which check a text, each text of a list, or a section's title must pass. */
static const struct {
    const char *path; /* section|option, as libconfuse writes it */
    config_check *check;
} checks[] = {
    {"socket", check_socket},
    {"socket_mode", check_octal_mode},
    {"socket_group", check_plain},
    {"user", check_plain},
    {"store", check_store},
    {"store_user", check_plain},
    {"store_password_file", check_plain},
    {"store_tls_ca", check_plain},
    {"store_tls_cert", check_plain},
    {"store_tls_key", check_plain},
    {"store_timeout", check_duration},
    {"key_prefix", check_plain},
    {"cache_entries", NULL},
    {"cache_ttl", check_duration},
    {"stale_max", check_period},
    {"on_store_error", check_store_error},
    {"authserv_id", check_domain},
    {"authentication_results", NULL},
    {"received_spf", NULL},
    {"default_domain", check_domain},
    {"address_delimiter", check_delimiters},
    {"mode", check_mode},
    {"log", check_log},
    {"log_format", check_log_format},
    {"log_level", check_log_level},
    {"http_listen", check_http_listen},
    {"doors_listen", check_doors_listen},
    {"doors_mode", check_octal_mode},
    {"doors_group", check_plain},
    {"doors_token_file", check_plain},
    {"passwords_listen", check_passwords_listen},
    {"source_services", check_service},
    {"record_use", NULL},
    {"use_store", check_use_store},
    {"use_kept", check_use_kept},
    {"trusted", check_name},
    {"protocol", check_protocol_name},
    {"protocol|services", check_service},
    {"network", check_name},
    {"network|members", check_netblock},
    {"listener", check_name},
    {"listener|daemon_name", check_plain},
    {"listener|daemon_port", NULL},
    {"listener|daemon_addr", check_address},
    {"listener|door", check_door},
    {"listener|service", check_service},
    {"listener|tls", check_listener_tls},
    {"listener|auth", check_need},
    {"listener|unknown_sender", check_unknown},
    {"listener|unknown_login", check_unknown},
    {"listener|connect_from", check_name},
    {"listener|real_client_from", check_name},
    {"listener|backend", check_backend},
    {"listener|authenticated", NULL},
    {"listener|mode", check_mode},
    {"spf", NULL},
    {"spf|none", check_verdict},
    {"spf|neutral", check_verdict},
    {"spf|pass", check_verdict},
    {"spf|softfail", check_verdict},
    {"spf|fail", check_verdict},
    {"spf|temperror", check_verdict},
    {"spf|permerror", check_verdict},
    {"spf|helo", check_helo},
    {"spf|timeout", check_duration},
    {"spf|nameservers", check_nameserver},
    {"spf|widest_ipv4", NULL},
    {"spf|widest_ipv6", NULL},
    {"settings", NULL},
    {"settings|listen", check_doors_listen},
    {"settings|socket_mode", check_octal_mode},
    {"settings|socket_group", check_plain},
    {"settings|store_user", check_plain},
    {"settings|store_password_file", check_plain},
    {"settings|token_file", check_path},
    {"settings|origin", check_origin},
    {"settings|loosen_after", check_period},
    {"settings|passwords", NULL},
    {"settings|suggested_ips", check_suggested_ip},
    {"reply", check_refusal_reason},
    {"reply|text", check_template},
};

#define SETTINGS_MAX 10000

/* libconfuse hands no pointer to its callbacks, and one thread parses at a time. */
static struct {
    const char *path;
    struct why *why;
    bool failed;
    struct {
        const cfg_opt_t *option;
        int line;
        unsigned n; /* texts of a list so far */
        bool ended; /* its value is complete: any more is a second one */
    } seen[SETTINGS_MAX];
    size_t n_seen;
} parsing;

/* libconfuse has one lexer for the process, and cfg_free() frees its buffers. */
static pthread_mutex_t lexer = PTHREAD_MUTEX_INITIALIZER;

static void report(cfg_t *cfg, const char *format, va_list args) {
    if (parsing.failed) /* the first error is the cause of the others */
        return;
    parsing.failed = true;
    int len =
        snprintf(parsing.why->text, sizeof parsing.why->text, "%s:%d: ", parsing.path, cfg->line);
    if (len > 0 && (size_t)len < sizeof parsing.why->text)
        vsnprintf(parsing.why->text + len, sizeof parsing.why->text - (size_t)len, format, args);
}

static config_check *check_of(const cfg_t *cfg, const cfg_opt_t *option) {
    char path[80];
    bool top = strcmp(cfg->name, "root") == 0;
    snprintf(path, sizeof path, "%s%s%s", top ? "" : cfg->name, top ? "" : "|", option->name);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (strcmp(checks[i].path, path) == 0)
            return checks[i].check;
    return NULL;
}

/*
 * Is this option given a second time? libconfuse asks once for a value, and for a list once for
 * each text and once more at its end, where the number of texts has not grown.
 */
static bool is_duplicate(const cfg_t *cfg, const cfg_opt_t *option) {
    size_t i = 0;
    if ((option->flags & CFGF_MULTI) != 0)
        return false;
    while (i < parsing.n_seen && parsing.seen[i].option != option)
        i++;
    bool again = i < parsing.n_seen;
    if (!again) {
        parsing.seen[i].option = option;
        parsing.seen[i].line = cfg->line;
        parsing.seen[i].n = 0;
        parsing.seen[i].ended = false;
        parsing.n_seen++;
    }
    if ((option->flags & CFGF_LIST) == 0)
        return again;
    if (parsing.seen[i].ended || option->nvalues < parsing.seen[i].n)
        return true;
    parsing.seen[i].ended = option->nvalues == parsing.seen[i].n;
    parsing.seen[i].n = option->nvalues;
    return false;
}

static int check_number(cfg_t *cfg, cfg_opt_t *option) {
    static const struct {
        const char *name, *problem;
        long least, most;
    } numbers[] = {
        {"cache_entries", ": it must be from 0 (no cache) to 100000000", 0, 100000000},
        {"daemon_port", " is not a port: it must be from 1 to 65535", 1, 65535},
        {"widest_ipv4", ": it must be from 0 (no limit) to 32", 0, 32},
        {"widest_ipv6", ": it must be from 0 (no limit) to 128", 0, 128},
    };
    long value = cfg_opt_getnint(option, 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(option->name, numbers[i].name) != 0 ||
            (value >= numbers[i].least && value <= numbers[i].most))
            continue;
        cfg_error(cfg, "%s: %ld%s", option->name, value, numbers[i].problem);
        return -1;
    }
    return 0;
}

int config_schema_line(const cfg_opt_t *option) {
    for (size_t i = 0; i < parsing.n_seen; i++)
        if (parsing.seen[i].option == option)
            return parsing.seen[i].line;
    return 0;
}

/* A section that says nothing is a mistake where it exists to say one thing. */
static int check_section(cfg_t *cfg, const cfg_opt_t *option, cfg_t *section) {
    bool protocol = strcmp(option->name, "protocol") == 0;
    if ((protocol && cfg_size(section, "services") == 0) ||
        (strcmp(option->name, "reply") == 0 && cfg_getstr(section, "text") == NULL)) {
        cfg_error(cfg, "%s \"%.100s\": %s is missing or empty", option->name, cfg_title(section),
                  protocol ? "services" : "text");
        return -1;
    }
    return 0;
}

static int validate(cfg_t *cfg, cfg_opt_t *option) {
    struct why why;
    config_check *check = check_of(cfg, option);
    const char *value = NULL;
    if (parsing.n_seen == SETTINGS_MAX) {
        cfg_error(cfg, "%s: there are more than %d settings", option->name, SETTINGS_MAX);
        return -1;
    }
    if (is_duplicate(cfg, option)) {
        cfg_error(cfg, "%s: given a second time", option->name);
        return -1;
    }
    if (option->type == CFGT_INT)
        return check_number(cfg, option);
    if (check == NULL || option->nvalues == 0)
        return 0;
    if (option->type == CFGT_STR)
        value = cfg_opt_getnstr(option, option->nvalues - 1);
    else if (option->type == CFGT_SEC)
        value = cfg_title(cfg_opt_getnsec(option, option->nvalues - 1));
    if (option->type == CFGT_SEC &&
        check_section(cfg, option, cfg_opt_getnsec(option, option->nvalues - 1)) != 0)
        return -1;
    if (value != NULL && check(value, &why) != 0) {
        cfg_error(cfg, "%s: \"%.100s\": %s", option->name, value, why.text);
        return -1;
    }
    return 0;
}

static cfg_t *parse(const char *path, struct why *why) {
    memset(&parsing, 0, sizeof parsing);
    parsing.path = path;
    parsing.why = why;
    char *text = config_text_read(path, why);
    if (text == NULL)
        return NULL;
    int unclosed = config_text_prepare(text);
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (cfg == NULL) {
        free(text);
        why_set(why, "%s: no memory", path);
        return NULL;
    }
    cfg_set_error_function(cfg, report);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        cfg_set_validate_func(cfg, checks[i].path, validate);
    int rc = cfg_parse_buf(cfg, text);
    free(text);
    if (rc == CFG_SUCCESS && !parsing.failed && unclosed == 0)
        return cfg;
    if (!parsing.failed)
        why_set(why, "%s:%d: the section, list or comment that begins here is not closed", path,
                unclosed);
    cfg_free(cfg);
    return NULL;
}

cfg_t *config_schema_parse(const char *path, struct why *why) {
    pthread_mutex_lock(&lexer);
    cfg_t *cfg = parse(path, why);
    pthread_mutex_unlock(&lexer);
    return cfg;
}

void config_schema_free(cfg_t *cfg) {
    pthread_mutex_lock(&lexer);
    cfg_free(cfg);
    pthread_mutex_unlock(&lexer);
}
