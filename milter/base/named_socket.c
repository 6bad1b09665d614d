/*
 * Named sockets. Owns how one is made and removed.
 */
#include "gatepost/base/named_socket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/host_port.h"
#include "gatepost/base/log.h"
#include "listening.h"

bool named_socket_is_tcp(const struct named_socket *socket) {
    return strncmp(socket->name, "unix:", 5) != 0;
}

static int fail(const struct named_socket *socket, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", socket->setting, "value", socket->name, "problem",
              problem, (char *)NULL);
    return -1;
}

static int open_unix(const struct unix_place *place, mode_t mode, struct named_socket *socket) {
    const char *path = dial_path(socket->name);
    struct stat there;
    struct why why;
    gid_t group;
    if (unix_place_prepare(place, &group) != 0)
        return -1;
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path); /* nobody listens on it */
    socket->listener = listening_unix(path, mode, &why);
    if (socket->listener < 0)
        return fail(socket, why.text);
    socket->made = unix_place_take(place, group);
    return socket->made < 0 ? -1 : 0;
}

static int open_tcp(struct named_socket *socket) {
    struct sockaddr_storage address;
    struct host_port where;
    struct why why;
    if (host_port_parse(socket->name, &where) != 0)
        return fail(socket, "it is not ADDRESS:PORT");
    host_port_sockaddr(&where, &address);
    socket->listener = listening_tcp((struct sockaddr *)&address, &why);
    return socket->listener < 0 ? fail(socket, why.text) : 0;
}

int named_socket_open(const struct unix_place *place, mode_t mode, struct named_socket *out) {
    *out = (struct named_socket){.setting = place->setting, .listener = -1, .made = -1};
    out->name = strdup(place->value);
    if (out->name == NULL) {
        log_event(LOG_ERR, "start-failed", "problem", "no memory", (char *)NULL);
        return -1;
    }
    return named_socket_is_tcp(out) ? open_tcp(out) : open_unix(place, mode, out);
}

void named_socket_close(struct named_socket *socket) {
    struct stat ours, there;
    if (socket->listener >= 0)
        close(socket->listener);
    if (socket->made >= 0) {
        const char *path = dial_path(socket->name);
        if (!socket->stays && fstat(socket->made, &ours) == 0 && lstat(path, &there) == 0 &&
            ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
            unlink(path);
        close(socket->made);
    }
    free(socket->name);
    *socket = (struct named_socket){.listener = -1, .made = -1};
}
