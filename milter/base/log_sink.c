/*
 * Where log lines go. Owns the descriptors and the form of a line for the system's log; knows
 * nothing of queues and of what a line says.
 *
 * The system's log is written to by a socket of our own: syslog(3) waits inside the C library for a
 * slow reader while it holds a lock that every other caller needs, and does not report lost lines.
 */
#include "log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log_journal.h"

/* What a pipe takes whole or not at all is at least this (PIPE_BUF). */
#define CHUNK 4096

const char *log_sink_socket = "/dev/log";

/* Octets of a line and of what stands before it. */
#define LINE_ROOM (LOG_LINE_MAX + 128)

/* What a stream has not taken yet of a line that it began. */
struct rest {
    char octets[LINE_ROOM];
    size_t len;
};

static struct {
    int fd;
    bool is_socket, waits; /* waits: it may block, so poll(2) is asked first */
    struct rest rest;
} error = {.fd = STDERR_FILENO, .waits = true};

static struct {
    int fd;
    int type; /* SOCK_DGRAM, or SOCK_STREAM */
    struct rest rest;
    time_t stamped;
    char stamp[32];
} system_log = {.fd = -1, .type = SOCK_DGRAM, .stamped = -1};

/* Why the last line found no room. */
static int refused[] = {[LOG_TO_SYSLOG] = 0, [LOG_TO_STDERR] = 0, [LOG_TO_JOURNAL] = 0};

void log_sink_prepare(void) {
    struct stat status;
    if (error.fd != STDERR_FILENO || fstat(STDERR_FILENO, &status) != 0)
        return;
    if (S_ISSOCK(status.st_mode)) {
        error.is_socket = true;
        error.waits = false;
    } else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return;
        error.fd = fd;
        error.waits = false;
    } else {
        error.waits = false; /* a file has no reader, and another opening of it another offset */
    }
}

/* How many octets were written; -1 with errno, EAGAIN when there is no room. */
static ssize_t write_some(const char *octets, size_t len) {
    if (error.is_socket)
        return send(error.fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (error.waits) {
        struct pollfd pfd = {.fd = error.fd, .events = POLLOUT};
        if (poll(&pfd, 1, 0) <= 0) {
            errno = EAGAIN;
            return -1;
        }
        len = len < CHUNK ? len : CHUNK;
    }
    return write(error.fd, octets, len);
}

static ssize_t write_error(const char *octets, size_t len) {
    size_t written = 0;
    while (written < len) {
        ssize_t n = write_some(octets + written, len - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return written == 0 ? -1 : (ssize_t)written;
        written += (size_t)n;
    }
    return (ssize_t)written;
}

/* By the socket of the system's log, which is a stream then. */
static ssize_t write_log(const char *octets, size_t len) {
    return send(system_log.fd, octets, len, MSG_NOSIGNAL);
}

/* Is nothing left of the line before? */
static bool complete(struct rest *rest, ssize_t put(const char *octets, size_t len)) {
    if (rest->len == 0)
        return true;
    ssize_t n = put(rest->octets, rest->len);
    if (n > 0) {
        rest->len -= (size_t)n;
        memmove(rest->octets, rest->octets + n, rest->len);
    }
    return rest->len == 0;
}

/* A line to a stream, which may take a part of it. */
static enum log_sink_result put_stream(struct rest *rest, const char *octets, size_t len,
                                       ssize_t put(const char *octets, size_t len)) {
    if (!complete(rest, put))
        return LOG_SINK_FULL;
    ssize_t n = put(octets, len);
    if (n < 0)
        return LOG_SINK_FULL;
    size_t left = len - (size_t)n;
    left = left < sizeof rest->octets ? left : sizeof rest->octets;
    memcpy(rest->octets, octets + n, left);
    rest->len = left;
    return LOG_SINK_WRITTEN;
}

static void close_log(void) {
    if (system_log.fd >= 0)
        close(system_log.fd);
    system_log.fd = -1;
    system_log.rest.len = 0; /* the next reader has not seen the beginning of the line */
}

static bool connect_log(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", log_sink_socket);
    for (int tries = 0; tries < 2 && system_log.fd < 0; tries++) {
        system_log.fd = socket(AF_UNIX, system_log.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (system_log.fd < 0)
            return false;
        if (connect(system_log.fd, (struct sockaddr *)&address, sizeof address) == 0)
            return true;
        bool other = errno == EPROTOTYPE;
        close_log();
        if (!other)
            return false;
        system_log.type = system_log.type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM;
    }
    return system_log.fd >= 0;
}

/* "Mon dd hh:mm:ss", in local time as everybody writes it there. */
static const char *stamp(time_t when) {
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    if (when != system_log.stamped && localtime_r(&when, &tm) != NULL) {
        snprintf(system_log.stamp, sizeof system_log.stamp, "%s %2d %02d:%02d:%02d",
                 months[tm.tm_mon], tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
                 tm.tm_sec % 100);
        system_log.stamped = when;
    }
    return system_log.stamp;
}

/* A line in the form of RFC 3164, as syslog(3) writes it; a datagram has no newline. */
static enum log_sink_result send_line(const struct log_line *line) {
    char octets[LINE_ROOM];
    int head = snprintf(octets, sizeof octets, "<%d>%s gatepost[%ld]: ", LOG_MAIL | line->priority,
                        stamp(line->when), (long)getpid());
    size_t room = sizeof octets - (size_t)head - 1, len = line->len - 1;
    len = len < room ? len : room;
    memcpy(octets + head, line->text, len);
    len += (size_t)head;
    if (system_log.type == SOCK_STREAM) {
        octets[len++] = '\0'; /* what parts the lines of a stream */
        return put_stream(&system_log.rest, octets, len, write_log);
    }
    if (write_log(octets, len) >= 0)
        return LOG_SINK_WRITTEN;
    return errno == EMSGSIZE ? LOG_SINK_NEVER : LOG_SINK_FULL;
}

/* The reader may have been replaced by another since the last line. */
static enum log_sink_result put_log(const struct log_line *line) {
    for (int tries = 0; tries < 2; tries++) {
        if (system_log.fd < 0 && !connect_log())
            return LOG_SINK_FULL;
        errno = 0;
        enum log_sink_result result = send_line(line);
        if (result != LOG_SINK_FULL || errno == 0 || errno == EAGAIN || errno == ENOBUFS ||
            errno == EINTR)
            return result;
        close_log();
    }
    return LOG_SINK_FULL;
}

enum log_sink_result log_sink_put(enum log_target target, const struct log_line *line) {
    if (target == LOG_TO_JOURNAL)
        return log_journal_put(line);
    enum log_sink_result result = target == LOG_TO_SYSLOG
                                      ? put_log(line)
                                      : put_stream(&error.rest, line->text, line->len, write_error);
    if (result == LOG_SINK_FULL)
        refused[target] = errno;
    return result;
}

void log_sink_wait(enum log_target target, int ms) {
    struct pollfd pfd = {.fd = target == LOG_TO_SYSLOG ? system_log.fd : error.fd,
                         .events = POLLOUT};
    /* the journal has no descriptor here: refused[] is 0 */
    /* all that poll(2) is asked is whether a slow reader has caught up */
    poll(&pfd, refused[target] == EAGAIN ? 1 : 0, ms);
}

void log_sink_write_stderr(const struct log_line *line) {
    size_t written = 0;
    while (written < line->len) {
        ssize_t n = write(STDERR_FILENO, line->text + written, line->len - written);
        if (n < 0 && errno != EINTR)
            return;
        written += n > 0 ? (size_t)n : 0;
    }
}
