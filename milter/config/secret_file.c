/*
 * Files with secrets. Owns who may have access to one.
 */
#include <sys/stat.h>

#include "gatepost/config/config.h"

/* Returns 1 with the words for it, or 0. */
static int is_exposed(const char *setting, const char *path, struct why *why) {
    struct stat file;
    if (path[0] == '\0' || stat(path, &file) != 0)
        return 0;
    mode_t mode = file.st_mode & 07777;
    if ((mode & (S_IROTH | S_IWOTH | S_IWGRP)) == 0)
        return 0;
    why_set(why, "%s: %s: %s (mode %04o): chmod 0640 or 0600", setting, path,
            (mode & (S_IROTH | S_IWOTH)) != 0 ? "every user of this host has access to it"
                                              : "its group may change it",
            (unsigned)mode);
    return 1;
}

bool config_secret_is_exposed(const struct config *config, struct why *why) {
    const struct config_settings *settings = &config->settings;
    const struct {
        const char *setting, *path;
    } files[] = {
        {"store_password_file", config->store_password_file},
        {"doors_token_file", config->doors_token_file},
        {"settings: store_password_file", config->self_facts ? settings->store_password_file : ""},
        {"settings: token_file", config->self_facts ? settings->token_file : ""},
    };
    int found = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct why one, before;
        if (!is_exposed(files[i].setting, files[i].path, &one))
            continue;
        if (found++ == 0) {
            *why = one;
            continue;
        }
        before = *why;
        why_set(why, "%.500s; %.500s", before.text, one.text);
    }
    return found > 0;
}
