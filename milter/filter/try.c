/*
 * `gatepost -t`. Owns what is tried and the words for it; each thing is tried as a start does it.
 */
#include "try.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doors/doors.h"
#include "gatepost/base/dial.h"
#include "gatepost/base/unix_place.h"
#include "gatepost/cache/live_store.h"
#include "gatepost/store/store.h"
#include "place.h"
#include "privileges.h"

static unsigned say(const struct config *config, const char *setting, const char *value,
                    const char *problem) {
    fprintf(stderr, "gatepost: %s: %s \"%s\": %s\n", config->path, setting, value, problem);
    return 1;
}

/* What the service manager makes at the start. */
static bool is_of_runtime(const char *directory) {
    return strncmp(directory, "/run/", 5) == 0 || strncmp(directory, "/var/run/", 9) == 0;
}

/* What a start would find where the filter shall listen. */
static unsigned try_socket(const struct config *config, const char *setting, const char *value) {
    const char *path = dial_path(value);
    struct place place;
    struct why why;
    if (path == NULL ? place_try_inet(value, &why) == 0 : place_look(path, &place, &why) == 0)
        return 0;
    if (path != NULL && place.error == ENOENT && is_of_runtime(place.directory))
        return 0;
    return say(config, setting, value, why.text);
}

/* Can the user make the socket there, and remove it? */
static unsigned try_directory(const struct config *config, const char *setting, const char *value) {
    const char *path = dial_path(value);
    struct place place;
    struct why why;
    if (path == NULL || place_look(path, &place, &why) != 0 ||
        faccessat(AT_FDCWD, place.directory, W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    why_set(&why, "its directory %s: user %s may not write there: %s", place.directory,
            config->user[0] == '\0' ? "of this process" : config->user, strerror(errno));
    return say(config, setting, value, why.text);
}

static unsigned try_log(const struct config *config) {
    struct why why;
    if (config->log != LOG_TO_JOURNAL || log_try_journal(&why) == 0)
        return 0;
    return say(config, "log", "journal", why.text);
}

static unsigned try_http(const struct config *config) {
    struct why why;
    if (config->http_listen[0] == '\0' || place_try_address(config->http_listen, &why) == 0)
        return 0;
    return say(config, "http_listen", config->http_listen, why.text);
}

/* A door's; dial_path() is for names as libmilter has them. */
static bool is_unix(const char *value) {
    return strncmp(value, "unix:", 5) == 0;
}

/* Tries each unix socket of the filter. */
static unsigned try_each(const struct config *config,
                         unsigned try_one(const struct config *config, const char *setting,
                                          const char *value)) {
    unsigned found = try_one(config, "socket", config->socket);
    for (size_t i = 0; i < config->doors_listen.n; i++)
        if (is_unix(config->doors_listen.items[i]))
            found += try_one(config, "doors_listen", config->doors_listen.items[i]);
    if (config->passwords_listen[0] != '\0')
        found += try_one(config, "passwords_listen", config->passwords_listen);
    return found;
}

static unsigned try_door_addresses(const struct config *config) {
    unsigned found = 0;
    struct why why;
    for (size_t i = 0; i < config->doors_listen.n; i++)
        if (!is_unix(config->doors_listen.items[i]) &&
            place_try_address(config->doors_listen.items[i], &why) != 0)
            found += say(config, "doors_listen", config->doors_listen.items[i], why.text);
    return found;
}

static unsigned try_group(const struct config *config, const char *setting, const char *group) {
    if (group[0] == '\0' || getgrnam(group) != NULL)
        return 0;
    return say(config, setting, group, "there is no such group");
}

static unsigned try_token(const struct config *config) {
    struct why why;
    if (doors_read_token(config, &why) == 0)
        return 0;
    return say(config, "doors_token_file", config->doors_token_file, why.text);
}

/* Becomes the user, so that what follows is tried as the filter will find it. */
static unsigned try_user(const struct config *config) {
    struct privileges privileges;
    struct why why;
    if (privileges_find(config, &privileges, &why) != 0 ||
        (privileges.change && privileges_drop(config, &privileges, &why) != 0))
        return say(config, "user", config->user, why.text);
    return 0;
}

/* ---- networks ---- */

/* Asked in one go. */
#define BATCH 64

/* Networks that only the store can define. */
struct asked {
    char subjects[BATCH][300];
    const char *names[BATCH];
    size_t n;
    bool failed; /* the store did not answer once: it is not asked again */
};

/* Where the store cannot be asked a network may be there. */
static unsigned ask(const struct config *config, struct store *store, struct asked *asked) {
    const char *subjects[BATCH];
    struct store_hash hashes[BATCH];
    struct why why;
    unsigned found = 0;
    size_t n = asked->n;
    asked->n = 0;
    if (n == 0 || asked->failed)
        return 0;
    for (size_t i = 0; i < n; i++)
        subjects[i] = asked->subjects[i];
    asked->failed = store_get(store, subjects, n, hashes, INT64_MAX, &why) != 0;
    for (size_t i = 0; i < n; i++) {
        if (hashes[i].answer == STORE_ABSENT)
            found += say(config, "network", asked->names[i],
                         "nobody defines it: it has no members here, and none in the store "
                         "(gatepostctl network add)");
        store_hash_clear(&hashes[i]);
    }
    return found;
}

static unsigned add_network(const struct config *config, struct store *store, struct asked *asked,
                            const char *name) {
    char *subject = asked->subjects[asked->n];
    if (config_network(config, name) != NULL ||
        (size_t)snprintf(subject, sizeof asked->subjects[0], "network:%s", name) >=
            sizeof asked->subjects[0])
        return 0;
    asked->names[asked->n++] = name;
    return asked->n == BATCH ? ask(config, store, asked) : 0;
}

static unsigned try_networks(const struct config *config, struct store *store) {
    struct asked asked = {.n = 0};
    unsigned found = 0;
    for (size_t i = 0; config->trusted_given && i < config->trusted.n; i++)
        found += add_network(config, store, &asked, config->trusted.items[i]);
    for (size_t l = 0; l < config->n_listeners; l++) {
        const struct config_listener *listener = &config->listeners[l];
        for (size_t i = 0; i < listener->connect_from.n; i++)
            found += add_network(config, store, &asked, listener->connect_from.items[i]);
        for (size_t i = 0; i < listener->real_client_from.n; i++)
            found += add_network(config, store, &asked, listener->real_client_from.items[i]);
    }
    return found + ask(config, store, &asked);
}

static unsigned try_store(const struct config *config) {
    const struct store_settings settings = live_store_settings(config);
    struct store *store;
    struct why why;
    if (store_open(&settings, &store, &why) != 0)
        return say(config, "store", config->store, why.text);
    unsigned found = try_networks(config, store);
    store_free(store);
    return found;
}

unsigned config_try(const struct config *config) {
    unsigned found =
        try_group(config, "socket_group", config->socket_group_given ? config->socket_group : "") +
        try_group(config, "doors_group", config->doors_group) + try_each(config, try_socket);
    unsigned user = try_user(config);
    if (user == 0)
        found += try_each(config, try_directory);
    found += user + try_log(config) + try_http(config) + try_door_addresses(config);
    return found + try_token(config) + try_store(config);
}
