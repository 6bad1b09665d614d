/*
 * The filter's socket. Owns its mode and group, and the dropping of privileges; who talks over it
 * is callbacks.c's business.
 */
#include "socket.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/log.h"

static char *opened; /* the setting; until the process ends */

static int fail(const char *what, const char *name, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", what, "value", name, "problem", problem,
              (char *)NULL);
    return -1;
}

static void ignore_default(const char *what, const char *name) {
    log_event(LOG_WARNING, "default-ignored", "setting", what, "value", name, "problem",
              "it does not exist on this host", (char *)NULL);
}

void filter_socket_wake(void) {
    int fd = dial_filter(opened);
    if (fd >= 0)
        close(fd);
}

void filter_socket_close(void) {
    const char *path = dial_path(opened);
    if (path != NULL)
        chmod(path, 0600);
}

/* Does somebody answer on the socket already? */
static bool is_in_use(const struct config *config) {
    int fd = dial_filter(config->socket);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Opens the socket with the mode and group that the configuration gives. */
static int open_socket(const struct config *config) {
    const char *path = dial_path(config->socket);
    gid_t group = (gid_t)-1;
    if (path != NULL && config->socket_group[0] != '\0') {
        struct group *found = getgrnam(config->socket_group);
        if (found == NULL && config->socket_group_given)
            return fail("socket_group", config->socket_group, "there is no such group");
        if (found == NULL)
            ignore_default("socket_group", config->socket_group);
        else
            group = found->gr_gid;
    }
    if (path != NULL && is_in_use(config))
        return fail("socket", config->socket, "another process listens on it");
    mode_t mask = umask(0177); /* nobody connects before the mode is set */
    int rc =
        smfi_setconn((char *)config->socket) == MI_SUCCESS ? smfi_opensocket(true) : MI_FAILURE;
    umask(mask);
    if (rc != MI_SUCCESS)
        return fail("socket", config->socket, "it cannot be opened");
    if (path == NULL)
        return 0;
    if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) != 0) {
        if (config->socket_group_given)
            return fail("socket_group", config->socket_group, strerror(errno));
        log_event(LOG_WARNING, "default-ignored", "setting", "socket_group", "value",
                  config->socket_group, "problem", strerror(errno), (char *)NULL);
    }
    if (chmod(path, config->socket_mode) != 0)
        return fail("socket_mode", path, strerror(errno));
    return 0;
}

/* Becomes the configured user, for good. */
static int drop_privileges(const struct config *config) {
    if (config->user[0] == '\0')
        return 0;
    struct passwd *user = getpwnam(config->user);
    if (user == NULL && config->user_given)
        return fail("user", config->user, "there is no such user");
    if (user == NULL) {
        ignore_default("user", config->user);
        return 0;
    }
    if (geteuid() == user->pw_uid)
        return 0;
    if (geteuid() != 0) {
        if (config->user_given)
            return fail("user", config->user, "only root can become another user");
        return 0;
    }
    const char *path = dial_path(config->socket);
    if (path != NULL && chown(path, user->pw_uid, (gid_t)-1) != 0)
        return fail("user", config->user, strerror(errno));
    if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        return fail("user", config->user, strerror(errno));
    return 0;
}

int filter_socket_open(const struct config *config) {
    opened = strdup(config->socket);
    if (opened == NULL)
        return fail("socket", config->socket, "no memory");
    return open_socket(config) != 0 ? -1 : drop_privileges(config);
}
