/*
 * The filter's socket. Owns its mode, group and owner; who talks over it is callbacks.c's business.
 *
 * The directory may belong to somebody else. So the socket is made with the mode and group that it
 * shall have, and afterwards it is changed by a descriptor, never again by its name.
 */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/log.h"
#include "place.h"
#include "privileges.h"

static struct sockaddr_storage own; /* where it can be reached, until the process ends */
static socklen_t own_len;
static int made = -1; /* the unix socket's file (O_PATH); -1 for none */

static int fail(const char *what, const char *name, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", what, "value", name, "problem", problem,
              (char *)NULL);
    return -1;
}

/* Where the socket can be reached; of an inet socket that is asked once, names may be slow. */
static void find_own(const struct config *config) {
    const char *path = dial_path(config->socket);
    if (path != NULL) {
        struct sockaddr_un *un = (struct sockaddr_un *)&own;
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof un->sun_path, "%s", path);
        own_len = sizeof *un;
        return;
    }
    struct addrinfo *found;
    if (place_resolve(config->socket, false, &found) != 0)
        return;
    memcpy(&own, found->ai_addr, found->ai_addrlen);
    own_len = found->ai_addrlen;
    freeaddrinfo(found);
}

void filter_socket_wake(void) {
    int fd = socket(own.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)connect(fd, (struct sockaddr *)&own, own_len); /* EAGAIN: others have come already */
    close(fd);
}

/* chmod(2) of the file that a descriptor of O_PATH stands for. */
static int change_mode(int fd, mode_t mode) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return chmod(path, mode);
}

void filter_socket_close(void) {
    if (made >= 0)
        (void)change_mode(made, 0600); /* libmilter reports who still comes */
}

/* Does somebody answer on the socket already? */
static bool is_in_use(const struct config *config) {
    int fd = dial_filter(config->socket);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int check_place(const struct config *config, const char *path) {
    struct place place;
    struct why why;
    int rc = place_look(path, &place, &why);
    if (rc == 0 && place.socket && is_in_use(config))
        return fail("socket", config->socket, "another process listens on it");
    if (rc != 0 && place.error == 0)
        return fail("socket", config->socket, why.text);
    if (rc != 0)
        log_event(LOG_ERR, "start-failed", "setting", "socket", "value", config->socket,
                  "directory", place.directory, "problem", why.text, (char *)NULL);
    else if ((place.mode & S_IWOTH) != 0)
        log_event(LOG_WARNING, "socket-directory", "directory", place.directory, "problem",
                  "everybody may write there, and put another socket in place of this one",
                  (char *)NULL);
    return rc;
}

/* The group that the socket shall have; (gid_t)-1 leaves it as it is. */
static int find_group(const struct config *config, gid_t *out) {
    *out = (gid_t)-1;
    if (config->socket_group[0] == '\0')
        return 0;
    struct group *found = getgrnam(config->socket_group);
    if (found == NULL && config->socket_group_given)
        return fail("socket_group", config->socket_group, "there is no such group");
    if (found == NULL)
        log_event(LOG_WARNING, "default-ignored", "setting", "socket_group", "value",
                  config->socket_group, "problem", "it does not exist on this host", (char *)NULL);
    else
        *out = found->gr_gid;
    return 0;
}

static int open_by_libmilter(const struct config *config) {
    if (smfi_setconn((char *)config->socket) != MI_SUCCESS || smfi_opensocket(true) != MI_SUCCESS)
        return fail("socket", config->socket, errno != 0 ? strerror(errno) : "it cannot be opened");
    return 0;
}

/* Makes the socket with its mode, so that nobody connects before. */
static int make_socket(const struct config *config, const char *path) {
    mode_t mask = umask(0777 & ~config->socket_mode);
    int rc = open_by_libmilter(config);
    umask(mask);
    if (rc != 0)
        return -1;
    struct stat there;
    made = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (made < 0 || fstat(made, &there) != 0 || !S_ISSOCK(there.st_mode) ||
        there.st_uid != geteuid())
        return fail("socket", config->socket, "another file stands in its place now");
    return 0;
}

static int give_group(const struct config *config, gid_t group) {
    if (group == (gid_t)-1 || fchownat(made, "", (uid_t)-1, group, AT_EMPTY_PATH) == 0)
        return 0;
    if (config->socket_group_given)
        return fail("socket_group", config->socket_group, strerror(errno));
    log_event(LOG_WARNING, "default-ignored", "setting", "socket_group", "value",
              config->socket_group, "problem", strerror(errno), (char *)NULL);
    return 0;
}

static int open_unix(const struct config *config, const char *path,
                     const struct privileges *privileges) {
    gid_t group;
    if (find_group(config, &group) != 0 || check_place(config, path) != 0 ||
        make_socket(config, path) != 0 || give_group(config, group) != 0)
        return -1;
    if (privileges->change && fchownat(made, "", privileges->uid, (gid_t)-1, AT_EMPTY_PATH) != 0)
        return fail("user", config->user, strerror(errno));
    return 0;
}

int filter_socket_open(const struct config *config) {
    const char *path = dial_path(config->socket);
    struct privileges privileges;
    struct why why;
    find_own(config);
    if (privileges_find(config, &privileges, &why) != 0)
        return fail("user", config->user, why.text);
    errno = 0;
    if ((path == NULL ? open_by_libmilter(config) : open_unix(config, path, &privileges)) != 0)
        return -1;
    return privileges_drop(config, &privileges, &why) == 0 ? 0
                                                           : fail("user", config->user, why.text);
}
