/*
 * Checks of single configuration values. Owns what a value may look like; knows nothing of
 * libconfuse or of what other values there are.
 */
#include "gatepost/config/config_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/host_port.h"
#include "gatepost/config/config.h"
#include "gatepost/core/duration.h"
#include "gatepost/core/reply.h"
#include "gatepost/core/store_url.h"

static int refuse(struct why *why, const char *reason) {
    return why_set(why, "%s", reason);
}

static int check_words(const struct words *words, const char *value, struct why *why) {
    if (words_find(words, value, strlen(value)) >= 0)
        return 0;
    return why_set(why, "it must be %s", words->listed);
}

int check_verdict(const char *value, struct why *why) {
    return check_words(&verdict_words, value, why);
}

int check_store_error(const char *value, struct why *why) {
    int kind = words_find(&verdict_words, value, strlen(value));
    if (kind < 0 || kind == VERDICT_MARK)
        return refuse(why, "it must be accept, defer or reject");
    return 0;
}

int check_mode(const char *value, struct why *why) {
    return check_words(&mode_words, value, why);
}

int check_need(const char *value, struct why *why) {
    return check_words(&need_words, value, why);
}

static int check_either(const char *value, const char *a, const char *b, struct why *why) {
    if (strcmp(value, a) == 0 || strcmp(value, b) == 0)
        return 0;
    return why_set(why, "it must be %s or %s", a, b);
}

int check_unknown(const char *value, struct why *why) {
    return check_either(value, "accept", "reject", why);
}

int check_helo(const char *value, struct why *why) {
    return check_either(value, "null_sender", "always", why);
}

int check_log(const char *value, struct why *why) {
    if (strcmp(value, "syslog") == 0 || strcmp(value, "stderr") == 0)
        return 0;
    if (strcmp(value, "journal") != 0)
        return refuse(why, "it must be syslog, stderr or journal");
    return log_has_journal() ? 0
                             : refuse(why, "journal needs libsystemd, and this gatepost was built "
                                           "without it: it must be syslog or stderr");
}

int check_log_format(const char *value, struct why *why) {
    return check_either(value, "logfmt", "json", why);
}

int check_log_level(const char *value, struct why *why) {
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i], value) == 0)
            return 0;
    return refuse(why, "it must be error, warning, info or debug");
}

int check_socket(const char *value, struct why *why) {
    const char *rest = strchr(value, ':');
    size_t scheme = rest == NULL ? 0 : (size_t)(rest - value);
    if ((scheme == 4 && memcmp(value, "unix", 4) == 0) ||
        (scheme == 5 && memcmp(value, "local", 5) == 0)) {
        if (rest[1] != '/')
            return refuse(why, "the path of the socket must be absolute");
        if (strlen(rest + 1) > 107)
            return refuse(why, "the path of the socket is longer than 107 bytes");
        return 0;
    }
    if ((scheme == 4 && memcmp(value, "inet", 4) == 0) ||
        (scheme == 5 && memcmp(value, "inet6", 5) == 0)) {
        if (port_parse(rest + 1, strcspn(rest + 1, "@")) > 0)
            return 0;
    }
    return refuse(why, "it must be unix:/PATH, inet:PORT@HOST or inet6:PORT@HOST");
}

int check_octal_mode(const char *value, struct why *why) {
    size_t len = strlen(value);
    if (len < 3 || len > 4 || strspn(value, "01234567") != len || (len == 4 && value[0] != '0'))
        return refuse(why, "it must be an octal file mode like 0660");
    return 0;
}

int check_store(const char *value, struct why *why) {
    struct store_url url;
    return store_url_parse(value, &url, why);
}

int check_use_store(const char *value, struct why *why) {
    struct store_url url;
    if (value[0] == '\0')
        return 0;
    if (store_url_parse(value, &url, why) != 0)
        return -1;
    return url.kind == STORE_FILE ? refuse(why, "the record of use needs a Redis") : 0;
}

int check_use_kept(const char *value, struct why *why) {
    int64_t milliseconds;
    if (duration_parse(value, &milliseconds) == 0 && milliseconds >= 86400000)
        return 0;
    return refuse(why, "it must be a duration of at least a day, like 400d");
}

int check_duration(const char *value, struct why *why) {
    int64_t milliseconds;
    if (duration_parse(value, &milliseconds) == 0 && milliseconds > 0)
        return 0;
    return refuse(why, "it must be a duration like 200ms, 8s, 5m, 1h or 1d, above 0");
}

int check_period(const char *value, struct why *why) {
    int64_t milliseconds;
    if (duration_parse(value, &milliseconds) == 0)
        return 0;
    return refuse(why, "it must be a duration like 200ms, 8s, 5m, 1h, 1d or 0s");
}

static int find_text(const char *const *list, size_t n, const char *value) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], value) == 0)
            return 0;
    return -1;
}

int check_service(const char *value, struct why *why) {
    if (find_text(service_words.names, service_words.count, value) == 0)
        return 0;
    return why_set(why, "unknown service: it must be one of %s", service_words.listed);
}

int check_door(const char *value, struct why *why) {
    return check_words(&door_words, value, why);
}

int check_listener_tls(const char *value, struct why *why) {
    if (strcmp(value, "offloaded") == 0 || words_find(&need_words, value, strlen(value)) >= 0)
        return 0;
    return refuse(why, "it must be required, optional or offloaded");
}

/* A port of an address, which is not 0. */
static bool is_endpoint(const char *value, struct host_port *out) {
    return host_port_parse(value, out) == 0 && out->port != 0;
}

int check_backend(const char *value, struct why *why) {
    struct host_port where;
    if (value[0] == '\0' || is_endpoint(value, &where))
        return 0;
    return refuse(why, "it must be ADDRESS:PORT or [ADDRESS]:PORT, like 127.0.0.1:143");
}

static bool is_unix(const char *value) {
    return strncmp(value, "unix:", 5) == 0;
}

int check_doors_listen(const char *value, struct why *why) {
    struct host_port where;
    if (is_unix(value))
        return check_socket(value, why);
    if (!is_endpoint(value, &where))
        return refuse(why, "it must be unix:/PATH, or ADDRESS:PORT like 127.0.0.1:9479");
    if (!host_port_is_loopback(&where))
        return refuse(why, "over TCP it must be an address of loopback, like 127.0.0.1:9479");
    return 0;
}

int check_passwords_listen(const char *value, struct why *why) {
    if (value[0] == '\0')
        return 0;
    return is_unix(value) ? check_socket(value, why) : refuse(why, "it must be unix:/PATH");
}

int check_netblock(const char *value, struct why *why) {
    struct netblock block;
    return netblock_parse(value, strlen(value), &block, why);
}

int check_address(const char *value, struct why *why) {
    struct ip_address ip;
    if (value[0] == '\0' || ip_parse(value, strlen(value), &ip) == 0)
        return 0;
    return refuse(why, "it must be an IPv4 or IPv6 address");
}

int nameserver_format(const char *value, char *out, size_t out_size) {
    struct host_port where;
    char text[HOST_PORT_SIZE];
    if (host_port_parse(value, &where) != 0)
        return -1;
    if (where.port == 0)
        where.port = 53;
    snprintf(out, out_size, "%s", host_port_format(&where, text));
    return 0;
}

int check_nameserver(const char *value, struct why *why) {
    char out[80];
    if (nameserver_format(value, out, sizeof out) == 0)
        return 0;
    return refuse(why, "it must be ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT");
}

int check_http_listen(const char *value, struct why *why) {
    struct host_port where;
    if (value[0] == '\0' || (host_port_parse(value, &where) == 0 && where.port != 0))
        return 0;
    return refuse(why, "it must be ADDRESS:PORT or [ADDRESS]:PORT, like 127.0.0.1:9478");
}

int check_name(const char *value, struct why *why) {
    if (value[0] == '\0')
        return refuse(why, "the name is empty");
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
            return refuse(why, "a name must be printable US-ASCII without spaces");
    return 0;
}

int check_protocol_name(const char *value, struct why *why) {
    if (value[0] == '\0' ||
        strlen(value) != strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_"))
        return refuse(why,
                      "a protocol's name may contain only lower-case letters, digits, '-' and '_'");
    return 0;
}

int check_refusal_reason(const char *value, struct why *why) {
    int reason = words_find(&reason_words, value, strlen(value));
    /* in one spelling only: two of the same title shall be noticed */
    if (reason >= 0 && strcmp(reason_words.names[reason], value) == 0 && reason != REASON_TRUSTED &&
        reason != REASON_ACCOUNT && reason != REASON_IP_AUTHORIZED && reason != REASON_SPF_PASS)
        return 0;
    return why_set(why, "a reply's title must be one of the reasons: %s", reason_words.listed);
}

int check_template(const char *value, struct why *why) {
    return reply_check_template(value, why);
}

int check_plain(const char *value, struct why *why) {
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return refuse(why, "it must have no control characters");
    return 0;
}

int check_path(const char *value, struct why *why) {
    return value[0] == '/' ? check_plain(value, why) : refuse(why, "the path must be absolute");
}

/* RFC 6454, as browsers send it: https://mail.example.com, with a port where it is not the usual.
 */
int check_suggested_ip(const char *value, struct why *why) {
    struct netblock block;
    char text[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(value, strcspn(value, " "), &block, why) != 0)
        return -1;
    if (block.host_bits)
        return why_set(why, "bits are set after the prefix length: write %s",
                       netblock_format(&block, text));
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return refuse(why, "it must be one line: a block, a space and what it is");
    return 0;
}

int check_origin(const char *value, struct why *why) {
    const char *host = strstr(value, "://");
    size_t scheme = host == NULL ? 0 : (size_t)(host - value);
    if (value[0] == '\0')
        return 0;
    if (((scheme == 5 && memcmp(value, "https", 5) == 0) ||
         (scheme == 4 && memcmp(value, "http", 4) == 0)) &&
        host[3] != '\0' &&
        strspn(host + 3, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") == strlen(host + 3))
        return 0;
    return refuse(why, "it must be what browsers send as Origin, like https://mail.example.com: "
                       "scheme, host in lower case, and the port if it is not the usual one");
}

int check_domain(const char *value, struct why *why) {
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || strchr("@<>()[],;:\\\"", *p) != NULL)
            return refuse(why, "it must be a domain name");
    return 0;
}

int check_delimiters(const char *value, struct why *why) {
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || *p == '@')
            return refuse(why, "it must be printable US-ASCII characters other than '@'");
    return 0;
}
