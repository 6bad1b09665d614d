/*
 * A connection to a door. Owns its socket, its deadline, and the limits of what is listened to.
 */
#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/host_port.h"

/* All that one connection is listened to. */
#define TOTAL_MAX (256u << 10)

static int end_stream(struct stream *s, enum stream_end end, const char *why) {
    s->end = end;
    return why_set(&s->why, "%s", why);
}

/* Of a failed call of the system. */
static int end_by_errno(struct stream *s) {
    if (errno == ECONNREFUSED)
        return end_stream(s, STREAM_REFUSED, "nobody listens");
    bool hung_up = errno == ECONNRESET || errno == EPIPE;
    return end_stream(s,
                      hung_up              ? STREAM_HUNG_UP
                      : errno == ETIMEDOUT ? STREAM_LATE
                                           : STREAM_BROKEN,
                      hung_up ? "it hung up" : strerror(errno));
}

static int await(struct stream *s, short events) {
    struct pollfd pfd = {.fd = s->fd, .events = events};
    int64_t left = s->deadline - clock_now_ms();
    int rc = left <= 0 ? 0 : poll(&pfd, 1, (int)left);
    if (rc == 0)
        return end_stream(s, STREAM_LATE, "no answer in time");
    return rc > 0 || errno == EINTR ? 0 : end_by_errno(s);
}

/* ---- whence ---- */

/* Would the kernel speak to that address from the same one? Then it is this host's own. */
static bool is_own(const struct sockaddr_storage *to, socklen_t len) {
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool own = fd >= 0 && connect(fd, (const struct sockaddr *)to, len) == 0 &&
               getsockname(fd, (struct sockaddr *)&from, &size) == 0;
    if (own && to->ss_family == AF_INET)
        own = ((const struct sockaddr_in *)to)->sin_addr.s_addr ==
              ((struct sockaddr_in *)&from)->sin_addr.s_addr;
    else if (own)
        own = memcmp(&((const struct sockaddr_in6 *)to)->sin6_addr,
                     &((struct sockaddr_in6 *)&from)->sin6_addr, sizeof(struct in6_addr)) == 0;
    if (fd >= 0)
        close(fd);
    return own;
}

/*
 * All of 127.0.0.0/8 is this host, and what listens on another of its addresses takes it from there
 * as well. To 127.0.0.2 the kernel speaks from 127.0.0.1 by itself. IPv6 has one such address only.
 */
static bool leave_from_another(int fd, const struct sockaddr_storage *to) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    return to->ss_family == AF_INET && bind(fd, (struct sockaddr *)&from, sizeof from) == 0;
}

int stream_open(struct stream *s, const struct ip_address *to, int port, int64_t deadline) {
    struct sockaddr_storage address;
    const struct host_port where = {*to, (uint16_t)port};
    int error = 0;
    socklen_t len = host_port_sockaddr(&where, &address), size = sizeof error;
    *s = (struct stream){.fd = -1, .deadline = deadline};
    s->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return end_by_errno(s);
    s->from_itself = is_own(&address, len) && !leave_from_another(s->fd, &address);
    if (connect(s->fd, (struct sockaddr *)&address, len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return end_by_errno(s);
    if (await(s, POLLOUT) != 0)
        return -1;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return 0;
    errno = error != 0 ? error : errno;
    return end_by_errno(s);
}

void stream_close(struct stream *s) {
    tls_free(s->tls);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct stream){.fd = -1};
}

int stream_start_tls(struct stream *s, const char *host, struct tls_seen *seen,
                     enum tls_result *result) {
    static const enum stream_end ends[] = {
        [TLS_LATE] = STREAM_LATE, [TLS_HUNG_UP] = STREAM_HUNG_UP, [TLS_FAILED] = STREAM_ODD};
    s->begin = s->limit = 0;
    *result = tls_begin(s->fd, host, s->deadline, &s->tls, seen, &s->why);
    if (*result == TLS_DONE)
        return 0;
    s->end = ends[*result];
    return -1;
}

int stream_say(struct stream *s, const char *octets, size_t len) {
    while (len > 0) {
        short events = POLLOUT;
        ssize_t n = s->tls != NULL ? tls_write(s->tls, octets, len, &events)
                                   : send(s->fd, octets, len, MSG_NOSIGNAL);
        if (n == 0)
            return end_stream(s, STREAM_HUNG_UP, "it hung up");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return end_by_errno(s);
        if (n < 0 && await(s, events) != 0)
            return -1;
        octets += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Reads once into `octets`, which are all taken. */
static int fill(struct stream *s) {
    for (;;) {
        short events = POLLIN;
        ssize_t n = s->tls != NULL ? tls_read(s->tls, s->octets, sizeof s->octets, &events)
                                   : recv(s->fd, s->octets, sizeof s->octets, 0);
        if (n == 0)
            return end_stream(s, STREAM_HUNG_UP, "it hung up");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return end_by_errno(s);
        if (clock_now_ms() >= s->deadline)
            return end_stream(s, STREAM_LATE, "no end of its answer in time");
        if (n < 0 && await(s, events) != 0)
            return -1;
        if (n < 0)
            continue;
        s->begin = 0;
        s->limit = (size_t)n;
        s->total += (size_t)n;
        return s->total <= TOTAL_MAX ? 0 : end_stream(s, STREAM_ODD, "an answer without end");
    }
}

int stream_line(struct stream *s, char line[static STREAM_LINE_SIZE]) {
    size_t len = 0;
    for (;;) {
        if (s->begin == s->limit && fill(s) != 0)
            return -1;
        char octet = s->octets[s->begin++];
        if (octet == '\n')
            break;
        if (octet == '\0')
            return end_stream(s, STREAM_ODD, "a line with NUL octets");
        if (len == STREAM_LINE_SIZE - 1)
            return end_stream(s, STREAM_ODD, "a line without end");
        line[len++] = octet;
    }
    len -= len > 0 && line[len - 1] == '\r' ? 1 : 0;
    line[len] = '\0';
    return 0;
}

ssize_t stream_octets(struct stream *s, char *octets, size_t size) {
    if (s->begin == s->limit && fill(s) != 0)
        return s->end == STREAM_HUNG_UP ? 0 : -1;
    size_t n = s->limit - s->begin < size ? s->limit - s->begin : size;
    memcpy(octets, s->octets + s->begin, n);
    s->begin += n;
    return (ssize_t)n;
}
