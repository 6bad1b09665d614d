/*
 * Files with secrets. Owns who may have access to one.
 */
#include <sys/stat.h>

#include "gatepost/config/config.h"

bool config_secret_is_exposed(const struct config *config, struct why *why) {
    struct stat file;
    const char *path = config->store_password_file;
    if (path[0] == '\0' || stat(path, &file) != 0)
        return false;
    mode_t mode = file.st_mode & 07777;
    if ((mode & (S_IROTH | S_IWOTH | S_IWGRP)) == 0)
        return false;
    why_set(why, "store_password_file: %s: %s (mode %04o): chmod 0640 or 0600", path,
            (mode & (S_IROTH | S_IWOTH)) != 0 ? "every user of this host has access to it"
                                              : "its group may change it",
            (unsigned)mode);
    return true;
}
