/*
 * The filter's socket. Owns how libmilter comes to it; its place is unix_place.c's, and who talks
 * over it is callbacks.c's business.
 */
#include "socket.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/log.h"
#include "gatepost/base/unix_place.h"
#include "place.h"

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

static int open_by_libmilter(const struct config *config) {
    if (smfi_setconn((char *)config->socket) != MI_SUCCESS || smfi_opensocket(true) != MI_SUCCESS)
        return fail("socket", config->socket, errno != 0 ? strerror(errno) : "it cannot be opened");
    return 0;
}

/* Makes the socket with its mode, so that nobody connects before. */
static int open_unix(const struct config *config, const struct privileges *privileges) {
    const struct unix_place place = {.setting = "socket",
                                     .value = config->socket,
                                     .group_setting = "socket_group",
                                     .group = config->socket_group,
                                     .group_given = config->socket_group_given,
                                     .give = privileges->change,
                                     .owner = privileges->uid,
                                     .owner_name = config->user};
    gid_t group;
    if (unix_place_prepare(&place, &group) != 0)
        return -1;
    mode_t mask = umask(0777 & ~config->socket_mode);
    int rc = open_by_libmilter(config);
    umask(mask);
    if (rc != 0)
        return -1;
    made = unix_place_take(&place, group);
    return made < 0 ? -1 : 0;
}

int filter_socket_open(const struct config *config, const struct privileges *privileges) {
    find_own(config);
    errno = 0;
    return dial_path(config->socket) == NULL ? open_by_libmilter(config)
                                             : open_unix(config, privileges);
}
