/*
 * Sockets that listen. Owns how one is made; who may stand in its place is the caller's question.
 */
#include "listening.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* The socket when all went well, else -1. */
static int finish(int fd, bool good, struct why *why) {
    if (good)
        return fd;
    why_set(why, "%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int listening_tcp(const struct sockaddr *address, struct why *why) {
    bool v6 = address->sa_family == AF_INET6;
    socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int on = 1, fd = open_socket(address->sa_family);
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
                bind(fd, address, len) == 0 && listen(fd, SOMAXCONN) == 0;
    return finish(fd, good, why);
}

int listening_unix(const char *path, mode_t mode, struct why *why) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return why_set(why, "the path is too long");
    strcpy(address.sun_path, path);
    int fd = open_socket(AF_UNIX);
    mode_t mask = umask(0777 & ~mode);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(mask);
    return finish(fd, good && listen(fd, SOMAXCONN) == 0, why);
}
