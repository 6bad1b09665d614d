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

#include "gatepost/base/dial.h"
#include "gatepost/cache/live_store.h"
#include "gatepost/store/store.h"
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

static unsigned try_directory(const struct config *config, const char *path) {
    struct stat there;
    struct why why;
    unsigned found = 0;
    char *directory = strdup(path), *slash = directory == NULL ? NULL : strrchr(directory, '/');
    if (slash != NULL) {
        slash[slash == directory] = '\0';
        int error = stat(directory, &there) != 0 ? errno : S_ISDIR(there.st_mode) ? 0 : ENOTDIR;
        if (error != 0 && (error != ENOENT || !is_of_runtime(directory))) {
            why_set(&why, "its directory %s: %s", directory, strerror(error));
            found = say(config, "socket", config->socket, why.text);
        }
    }
    free(directory);
    return found;
}

/* An old socket may stand in its place, and nothing else. */
static unsigned try_socket(const struct config *config) {
    const char *path = dial_path(config->socket);
    struct stat there;
    if (path == NULL)
        return 0;
    if (lstat(path, &there) != 0)
        return try_directory(config, path);
    if (S_ISSOCK(there.st_mode))
        return 0;
    return say(config, "socket", config->socket,
               S_ISLNK(there.st_mode) ? "a symbolic link stands in its place: remove it"
                                      : "a file that is no socket stands in its place: remove it");
}

static unsigned try_group(const struct config *config) {
    if (!config->socket_group_given || config->socket_group[0] == '\0' ||
        getgrnam(config->socket_group) != NULL)
        return 0;
    return say(config, "socket_group", config->socket_group, "there is no such group");
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
    unsigned found = try_group(config) + try_socket(config);
    found += try_user(config);
    return found + try_store(config);
}
