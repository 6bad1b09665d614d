/*
 * The sockets of the doors. Owns how one is made and removed.
 */
#include "sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unix_place.h"
#include "gatepost/base/dial.h"
#include "gatepost/base/host_port.h"
#include "gatepost/base/listening.h"
#include "gatepost/base/log.h"

/* Of the passwords' socket: nobody but the filter's user, and root. */
#define PASSWORDS_MODE 0600

bool door_socket_is_tcp(const struct door_socket *socket) {
    return strncmp(socket->name, "unix:", 5) != 0;
}

static int fail(const struct door_socket *socket, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", socket->setting, "value", socket->name, "problem",
              problem, (char *)NULL);
    return -1;
}

static int open_unix(const struct config *config, const struct privileges *privileges,
                     struct door_socket *socket) {
    bool passwords = strcmp(socket->setting, "passwords_listen") == 0;
    const char *group_name = passwords ? "" : config->doors_group;
    const struct unix_place place = {.setting = socket->setting,
                                     .value = socket->name,
                                     .group_setting = "doors_group",
                                     .group = group_name,
                                     .group_given = true};
    const char *path = dial_path(socket->name);
    struct stat there;
    struct why why;
    gid_t group;
    if (unix_place_prepare(&place, &group) != 0)
        return -1;
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path); /* nobody listens on it */
    socket->listener = listening_unix(path, passwords ? PASSWORDS_MODE : config->doors_mode, &why);
    if (socket->listener < 0)
        return fail(socket, why.text);
    socket->made = unix_place_take(&place, group, config, privileges);
    return socket->made < 0 ? -1 : 0;
}

static int open_tcp(struct door_socket *socket) {
    struct sockaddr_storage address;
    struct host_port where;
    struct why why;
    if (host_port_parse(socket->name, &where) != 0)
        return fail(socket, "it is not ADDRESS:PORT");
    host_port_sockaddr(&where, &address);
    socket->listener = listening_tcp((struct sockaddr *)&address, &why);
    return socket->listener < 0 ? fail(socket, why.text) : 0;
}

int door_socket_open(const struct config *config, const char *setting, const char *name,
                     const struct privileges *privileges, struct door_socket *out) {
    *out = (struct door_socket){.setting = setting, .listener = -1, .made = -1};
    out->name = strdup(name);
    if (out->name == NULL) {
        log_event(LOG_ERR, "start-failed", "problem", "no memory", (char *)NULL);
        return -1;
    }
    return door_socket_is_tcp(out) ? open_tcp(out) : open_unix(config, privileges, out);
}

void door_socket_close(struct door_socket *socket) {
    struct stat ours, there;
    if (socket->listener >= 0)
        close(socket->listener);
    if (socket->made >= 0) {
        const char *path = dial_path(socket->name);
        if (fstat(socket->made, &ours) == 0 && lstat(path, &there) == 0 &&
            ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
            unlink(path);
        close(socket->made);
    }
    free(socket->name);
    *socket = (struct door_socket){.listener = -1, .made = -1};
}
