/*
 * Files that the configuration names. Owns that nobody waits for one.
 */
#include "gatepost/base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

FILE *regular_file_open(const char *path, struct stat *state, struct why *why) {
    struct stat now = {0};
    FILE *stream = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &now) != 0)
        why_set(why, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(now.st_mode))
        why_set(why, "%s: it is no regular file", path);
    else if ((stream = fdopen(fd, "r")) == NULL)
        why_set(why, "%s: %s", path, strerror(errno));
    if (stream == NULL && fd >= 0)
        close(fd);
    if (state != NULL)
        *state = now;
    return stream;
}
