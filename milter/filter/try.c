/*
 * `gatepost -t`. Owns what is tried and the words for it; each thing is tried as a start does it.
 */
#include "try.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "doors/doors.h"
#include "gatepost/base/dial.h"
#include "gatepost/cache/live_store.h"
#include "gatepost/store/store.h"
#include "privileges.h"
#include "unix_place.h"

static unsigned say(const struct config *config, const char *setting, const char *value,
                    const char *problem) {
    fprintf(stderr, "gatepost: %s: %s \"%s\": %s\n", config->path, setting, value, problem);
    return 1;
}

/* What the service manager makes at the start. */
static bool is_of_runtime(const char *directory) {
    return strncmp(directory, "/run/", 5) == 0 || strncmp(directory, "/var/run/", 9) == 0;
}

static unsigned try_directory(const struct config *config, const char *setting, const char *value,
                              const char *path) {
    struct stat there;
    struct why why;
    unsigned found = 0;
    char *directory = strdup(path), *slash = directory == NULL ? NULL : strrchr(directory, '/');
    if (slash != NULL) {
        slash[slash == directory] = '\0';
        int error = stat(directory, &there) != 0 ? errno : S_ISDIR(there.st_mode) ? 0 : ENOTDIR;
        if (error != 0 && (error != ENOENT || !is_of_runtime(directory))) {
            why_set(&why, "its directory %s: %s", directory, strerror(error));
            found = say(config, setting, value, why.text);
        }
    }
    free(directory);
    return found;
}

static unsigned try_socket(const struct config *config, const char *setting, const char *value) {
    const char *path = dial_path(value),
               *obstacle = path == NULL ? NULL : unix_place_obstacle(path);
    struct stat there;
    if (obstacle != NULL)
        return say(config, setting, value, obstacle);
    return path == NULL || lstat(path, &there) == 0 ? 0
                                                    : try_directory(config, setting, value, path);
}

static unsigned try_doors(const struct config *config) {
    unsigned found = 0;
    for (size_t i = 0; i < config->doors_listen.n; i++)
        if (strncmp(config->doors_listen.items[i], "unix:", 5) == 0)
            found += try_socket(config, "doors_listen", config->doors_listen.items[i]);
    if (config->passwords_listen[0] != '\0')
        found += try_socket(config, "passwords_listen", config->passwords_listen);
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

/* One that the file defines, or the store; where the store cannot be asked it may be there. */
static unsigned try_network(const struct config *config, struct store *store, const char *name) {
    struct store_hash hash;
    struct why why;
    char subject[300];
    unsigned found = 0;
    if (config_network(config, name) != NULL ||
        (size_t)snprintf(subject, sizeof subject, "network:%s", name) >= sizeof subject)
        return 0;
    const char *const subjects[] = {subject};
    int rc = store_get(store, subjects, 1, &hash, INT64_MAX, &why);
    if (rc == 0 && hash.answer == STORE_ABSENT)
        found = say(config, "network", name,
                    "nobody defines it: it has no members here, and none in the store "
                    "(gatepostctl network add)");
    store_hash_clear(&hash);
    return found;
}

static unsigned try_networks(const struct config *config, struct store *store) {
    unsigned found = 0;
    for (size_t i = 0; config->trusted_given && i < config->trusted.n; i++)
        found += try_network(config, store, config->trusted.items[i]);
    for (size_t l = 0; l < config->n_listeners; l++) {
        const struct config_listener *listener = &config->listeners[l];
        for (size_t i = 0; i < listener->connect_from.n; i++)
            found += try_network(config, store, listener->connect_from.items[i]);
        for (size_t i = 0; i < listener->real_client_from.n; i++)
            found += try_network(config, store, listener->real_client_from.items[i]);
    }
    return found;
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
        try_group(config, "doors_group", config->doors_group) +
        try_socket(config, "socket", config->socket) + try_doors(config);
    found += try_user(config);
    return found + try_token(config) + try_store(config);
}
