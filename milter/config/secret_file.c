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
    struct why one[2];
    int found = is_exposed("store_password_file", config->store_password_file, &one[0]);
    found += is_exposed("doors_token_file", config->doors_token_file, &one[found]);
    if (found == 1)
        *why = one[0];
    else if (found == 2)
        why_set(why, "%.500s; %.500s", one[0].text, one[1].text);
    return found > 0;
}
