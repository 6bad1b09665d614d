/*
 * The way to the filter's socket, for the filter itself and for gatepostctl.
 */
#include "gatepost/base/dial.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *dial_path(const char *name) {
    if (strncmp(name, "unix:", 5) == 0)
        return name + 5;
    return strncmp(name, "local:", 6) == 0 ? name + 6 : NULL;
}

int dial_filter(const char *name) {
    const char *path = dial_path(name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        fd = -1;
        errno = error;
    }
    return fd;
}
