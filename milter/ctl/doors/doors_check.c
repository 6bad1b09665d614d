/*
 * `doors check HOST`. Owns the list of doors, what the command line says of them, the addresses of
 * the host, and the exit status.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../memory.h"
#include "../print.h"
#include "doors.h"
#include "gatepost/base/host_port.h"
#include "gatepost/base/idna.h"
#include "gatepost/core/duration.h"

/* For one door at one address. A server that punishes wrong passwords by waiting may take it. */
#define PATIENCE 30000

#define ADDRESSES_MAX 16

const struct door_entry door_entries[DOOR_ENTRIES] = {
    {"smtp", 25, &talk_smtp, false},
    {"submission", 587, &talk_smtp, false},
    {"submissions", 465, &talk_smtp, true},
    {"smtp-alt", 8025, &talk_smtp, false},
    {"imap", 143, &talk_imap, false},
    {"imaps", 993, &talk_imap, true},
    {"pop3", 110, &talk_pop3, false},
    {"pop3s", 995, &talk_pop3, true},
    {"sieve", 4190, &talk_sieve, false},
    {"caldav", 443, NULL, true},
    {"carddav", 443, NULL, true},
    {"webdav", 443, NULL, true},
    {"jmap", 443, NULL, true},
    {"activesync", 443, NULL, true},
    {"webmail", 443, NULL, true},
};

/* The door of "NAME=VALUE" and its value; NULL with the reason. */
static const struct door_entry *find_door(const char *option, const char *given, const char **value,
                                          struct why *why) {
    size_t len = strcspn(given, "=");
    for (size_t i = 0; given[len] == '=' && i < DOOR_ENTRIES; i++) {
        if (strlen(door_entries[i].name) == len && memcmp(door_entries[i].name, given, len) == 0) {
            *value = given + len + 1;
            return &door_entries[i];
        }
    }
    why_set(why,
            given[len] == '=' ? "--%s %.60s: there is no such door"
                              : "--%s %.60s: it must be SERVICE=...",
            option, given);
    return NULL;
}

static int read_port(struct doors_question *q, const char *given, struct why *why) {
    const char *value;
    const struct door_entry *door = find_door("port", given, &value, why);
    if (door == NULL)
        return -1;
    int port = strcmp(value, "none") == 0 ? 0 : port_parse(value, strlen(value));
    if (port < 0)
        return why_set(why, "--port %.60s: it must be 1 to 65535, or none", given);
    q->ports[door - door_entries] = port;
    return 0;
}

static int read_path(struct doors_question *q, const char *given, struct why *why) {
    const char *value;
    const struct door_entry *door = find_door("path", given, &value, why);
    if (door == NULL)
        return -1;
    if (door->protocol != NULL)
        return why_set(why, "--path %.60s: this door has no path", given);
    if (value[0] != '/' || strlen(value) > 1000)
        return why_set(why, "--path %.60s: it must begin with /", given);
    for (const char *p = value; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return why_set(why, "--path %.60s: write octets that are none of a URL as %%XX", given);
    q->paths[door - door_entries] = value;
    return 0;
}

static int read_options(const struct ctl *ctl, struct doors_question *q, struct why *why) {
    const struct ctl_doors *given = &ctl->doors;
    int rc = 0;
    for (size_t i = 0; i < DOOR_ENTRIES; i++)
        q->ports[i] = door_entries[i].port;
    for (size_t i = 0; rc == 0 && i < given->n_ports; i++)
        rc = read_port(q, given->ports[i], why);
    for (size_t i = 0; rc == 0 && i < given->n_paths; i++)
        rc = read_path(q, given->paths[i], why);
    if (rc == 0 && given->timeout != NULL &&
        (duration_parse(given->timeout, &q->patience) != 0 || q->patience < 100 ||
         q->patience > 3600000))
        return why_set(why, "--timeout %.60s: it must be 100ms to 1h, as in 20s", given->timeout);
    if (rc == 0 && (given->canary == NULL) != (given->password_file == NULL))
        return why_set(why, "--canary and --password-file need one another");
    return rc == 0 && given->canary != NULL
               ? canary_read(ctl, given->canary, given->password_file, &q->canary, why)
               : rc;
}

/* ---- where the host is ---- */

/* An address, or a name as a certificate has it; malloc'd. NULL with the reason. */
static char *read_host(const char *given, struct why *why) {
    struct ip_address address;
    char text[IP_TEXT_SIZE], *name;
    if (ip_parse(given, strlen(given), &address) == 0)
        return xstrdup(ip_format(&address, text));
    if (idna_domain_to_ascii(given, &name) != 1)
        name = xstrdup(given);
    if (name[0] != '\0' && strlen(name) < 254 &&
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
            strlen(name))
        return name;
    free(name);
    why_set(why, "%.200s: it is neither a host name nor an address", given);
    return NULL;
}

static struct ip_address address_of(const struct sockaddr *address) {
    return address->sa_family == AF_INET
               ? ip_from_bytes(IP_V4,
                               (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr)
               : ip_from_bytes(IP_V6,
                               (const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* All addresses of the host, or the one that is given. How many, or -1 with the reason. */
static int find_addresses(const char *host, const char *given, struct ip_address *out,
                          struct why *why) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int n = 0;
    if (given != NULL && ip_parse(given, strlen(given), &out[0]) != 0)
        return why_set(why, "--address %.60s: it is no address", given);
    if (given != NULL || ip_parse(host, strlen(host), &out[0]) == 0)
        return 1;
    int rc = getaddrinfo(host, NULL, &hints, &found);
    if (rc != 0)
        return why_set(why, "%s: %s", host, gai_strerror(rc));
    for (struct addrinfo *at = found; at != NULL && n < ADDRESSES_MAX; at = at->ai_next)
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
            out[n++] = address_of(at->ai_addr);
    freeaddrinfo(found);
    return n > 0 ? n : why_set(why, "%s: it has no address", host);
}

/* ---- the round ---- */

struct outcome {
    json_t *told;
    enum remark_kind worst;
    size_t doors, open, proven;
};

static void try_door(const struct doors_question *q, bool json, size_t entry,
                     const struct ip_address *address, struct outcome *outcome) {
    struct door_report report = {
        .door = &door_entries[entry], .address = *address, .port = q->ports[entry]};
    if (report.door->protocol == NULL)
        http_door_try(q, entry, &report);
    else
        mail_door_try(q, &report);
    outcome->doors++;
    outcome->open += report.closed ? 0 : 1;
    outcome->proven += report.refused_by_us ? 1 : 0;
    if (door_worst(&report) > outcome->worst)
        outcome->worst = door_worst(&report);
    if (json) {
        json_array_append_new(outcome->told, door_report_json(&report));
    } else {
        door_report_print(&report);
        fflush(stdout);
    }
}

static int conclude(const struct ctl *ctl, const struct doors_question *q,
                    struct outcome *outcome) {
    static const int statuses[] = {CTL_DONE, CTL_FAILED, CTL_REFUSED};
    const char *missing = NULL;
    if (outcome->doors == 0)
        missing = "there is no door to try";
    else if (outcome->open == 0)
        missing = "no door answers: is this the right host?";
    else if (q->canary.token != NULL && outcome->proven == 0)
        missing = "no door has refused the canary with the text of Gatepost";
    if (missing != NULL && outcome->worst == REMARK_NOTE)
        outcome->worst = REMARK_UNKNOWN;
    int status = statuses[outcome->worst];
    if (ctl->json) {
        json_t *told = json_object();
        json_object_set_new(told, "host", json_text(q->host));
        json_object_set_new(told, "canary", json_text(q->canary.login));
        json_object_set(told, "doors", outcome->told);
        json_object_set_new(told, "unknown", json_text(missing));
        json_object_set_new(told, "exit", json_integer(status));
        ctl_print_json(told);
    } else if (missing != NULL) {
        ctl_warn("%s: %s", q->host, missing);
    }
    return status;
}

int ctl_doors_check(struct ctl *ctl, int argc, char **argv) {
    struct ip_address addresses[ADDRESSES_MAX];
    struct why why;
    struct doors_question q = {.config = ctl->config, .patience = PATIENCE, .now = ctl->now};
    struct outcome outcome = {.told = json_array()};
    int n = -1, status;
    (void)argc;
    char *host = read_host(argv[0], &why);
    q.host = host;
    if (host != NULL && read_options(ctl, &q, &why) == 0)
        n = find_addresses(host, ctl->doors.address, addresses, &why);
    for (int i = 0; i < n; i++)
        for (size_t entry = 0; entry < DOOR_ENTRIES; entry++)
            if (q.ports[entry] != 0 &&
                (door_entries[entry].protocol != NULL || q.paths[entry] != NULL))
                try_door(&q, ctl->json, entry, &addresses[i], &outcome);
    status = n < 0 ? ctl_fail(ctl, "%s", why.text) : conclude(ctl, &q, &outcome);
    json_decref(outcome.told);
    canary_clear(&q.canary);
    free(host);
    return status;
}
