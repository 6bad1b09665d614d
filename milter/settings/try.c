/*
 * What a start would find. Owns the words for it; each thing is tried as the start does it.
 */
#include "try.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/unix_place.h"
#include "gatepost/core/store_url.h"
#include "office.h"

static unsigned say(const struct config *config, const char *setting, const char *value,
                    const char *problem) {
    fprintf(stderr, "gatepost-settings: %s: settings: %s \"%s\": %s\n", config->path, setting,
            value, problem);
    return 1;
}

/* What the service manager makes at the start. */
static bool is_of_runtime(const char *directory) {
    return strncmp(directory, "/run/", 5) == 0 || strncmp(directory, "/var/run/", 9) == 0;
}

static unsigned try_socket(const struct config *config) {
    const char *name = config->settings.listen;
    struct place place;
    struct why why;
    if (strncmp(name, "unix:", 5) != 0 || place_look(dial_path(name), &place, &why) == 0 ||
        (place.error == ENOENT && is_of_runtime(place.directory)))
        return 0;
    return say(config, "listen", name, why.text);
}

static unsigned try_group(const struct config *config) {
    const char *group = config->settings.socket_group;
    if (group[0] == '\0' || getgrnam(group) != NULL)
        return 0;
    return say(config, "socket_group", group, "there is no such group");
}

static unsigned try_tokens(const struct config *config) {
    struct tokens *tokens;
    struct why why;
    if (tokens_read(config, &tokens, &why) == 0) {
        tokens_free(tokens);
        return 0;
    }
    fprintf(stderr, "gatepost-settings: %s: settings: token_file: %s\n", config->path, why.text);
    return 1;
}

/* A change replaces the policy file by a new one. NULL: it can. */
static const char *policy_file_problem(const char *path) {
    char directory[PATH_MAX];
    if (access(path, R_OK | W_OK) != 0)
        return strerror(errno);
    int length = (int)(strrchr(path, '/') - path) + 1; /* it is absolute */
    snprintf(directory, sizeof directory, "%.*s", length, path);
    return access(directory, W_OK) == 0 ? NULL : "a new file cannot be made in its directory";
}

static unsigned try_store(const struct config *config) {
    struct why why;
    if (office_check_store(config, &why) == 0) {
        const char *path = store_url_file(config->store);
        const char *problem = path == NULL ? NULL : policy_file_problem(path);
        if (problem == NULL)
            return 0;
        why_set(&why, "%s", problem);
    }
    fprintf(stderr, "gatepost-settings: %s: store \"%s\": %s\n", config->path, config->store,
            why.text);
    return 1;
}

unsigned settings_try(const struct config *config) {
    struct why why;
    unsigned problems = try_tokens(config);
    if (problems == 0 && config_secret_is_exposed(config, &why))
        fprintf(stderr, "gatepost-settings: warning: %s\n", why.text);
    if (config->settings.origin[0] == '\0')
        fprintf(stderr,
                "gatepost-settings: warning: %s: settings: origin is not set: no browser "
                "can change anything\n",
                config->path);
    if (config->settings.passwords && config->passwords_listen[0] == '\0' &&
        store_url_file(config->store) == NULL)
        fprintf(
            stderr,
            "gatepost-settings: warning: %s: passwords_listen is not set: no door takes the "
            "app passwords that users make (see Dovecot in README.md), so say passwords = off\n",
            config->path);
    return problems + try_socket(config) + try_group(config) + try_store(config);
}
