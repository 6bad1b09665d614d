/*
 * Questions over TCP. Owns the connection and its two buffers; whether the message answers the
 * question is not its business.
 */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "question.h"

#define PREFIX 2 /* octets of the length before a message */

struct dns_stream {
    int fd;
    unsigned char out[PREFIX + DNS_QUESTION_SIZE];
    size_t out_len, sent;
    unsigned char prefix[PREFIX];
    unsigned char *message; /* NULL until its length is known */
    size_t len, got;        /* of the message; of it and its prefix, so far */
};

struct dns_stream *dns_stream_open(const struct dns_address *address, const unsigned char *question,
                                   size_t len) {
    struct dns_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->fd =
        socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0 ||
        (connect(stream->fd, &address->socket.any, address->len) != 0 && errno != EINPROGRESS)) {
        int error = errno;
        dns_stream_free(stream);
        errno = error;
        return NULL;
    }
    stream->out[0] = (unsigned char)(len >> 8);
    stream->out[1] = (unsigned char)len;
    memcpy(stream->out + PREFIX, question, len);
    stream->out_len = PREFIX + len;
    return stream;
}

void dns_stream_free(struct dns_stream *stream) {
    if (stream == NULL)
        return;
    if (stream->fd >= 0)
        close(stream->fd);
    free(stream->message);
    free(stream);
}

int dns_stream_fd(const struct dns_stream *stream) {
    return stream->fd;
}

short dns_stream_events(const struct dns_stream *stream) {
    return stream->sent < stream->out_len ? POLLOUT : POLLIN;
}

static int send_on(struct dns_stream *stream) {
    while (stream->sent < stream->out_len) {
        ssize_t n = send(stream->fd, stream->out + stream->sent, stream->out_len - stream->sent,
                         MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? 0 : -1;
        stream->sent += n > 0 ? (size_t)n : 0;
    }
    return 1;
}

/* Where the next octets go, and how many. */
static unsigned char *next_place(struct dns_stream *stream, size_t *room) {
    if (stream->got < PREFIX) {
        *room = PREFIX - stream->got;
        return stream->prefix + stream->got;
    }
    *room = PREFIX + stream->len - stream->got;
    return stream->message + stream->got - PREFIX;
}

int dns_stream_step(struct dns_stream *stream, const unsigned char **message, size_t *len) {
    int rc = send_on(stream);
    if (rc <= 0)
        return rc;
    while (stream->message == NULL || stream->got < PREFIX + stream->len) {
        size_t room;
        unsigned char *place = next_place(stream, &room);
        ssize_t n = recv(stream->fd, place, room, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        if (n == 0) {
            errno = 0;
            return -1;
        }
        stream->got += (size_t)n;
        if (stream->got == PREFIX && stream->message == NULL) {
            stream->len = (size_t)stream->prefix[0] << 8 | stream->prefix[1];
            stream->message = malloc(stream->len + 1);
            if (stream->message == NULL)
                return -1;
        }
    }
    *message = stream->message;
    *len = stream->len;
    return 1;
}
