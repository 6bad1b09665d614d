/*
 * A connection to a door: lines and octets, in the clear or by TLS, never beyond its deadline and
 * never more than a door has to say.
 */
#ifndef GATEPOST_CTL_DOORS_STREAM_H
#define GATEPOST_CTL_DOORS_STREAM_H

#include "gatepost/core/netblock.h"
#include "tls.h"

/* Why there is no more to come. */
enum stream_end {
    STREAM_OPEN,
    STREAM_REFUSED, /* nobody listens there */
    STREAM_LATE,
    STREAM_HUNG_UP,
    STREAM_ODD,    /* what no server says: a line or an answer without end, a NUL */
    STREAM_BROKEN, /* the system's reason */
};

/* Longer than any line of an honest door. */
#define STREAM_LINE_SIZE 8192

struct stream {
    int fd;
    struct tls *tls;  /* NULL: in the clear */
    int64_t deadline; /* as of clock_now_ms() */
    enum stream_end end;
    struct why why;      /* of any end; for a person */
    bool from_itself;    /* the address is this host's own, and no other could be spoken from */
    size_t begin, limit; /* what of `octets` is not taken yet */
    size_t total;        /* octets that have come in all */
    char octets[4096];
};

/*
 * Connects. An address of this host is spoken to from another one of it where that is possible:
 * some servers trust who comes from their own. Returns 0, or -1 with `end` and `why`; to be closed
 * in both cases.
 */
int stream_open(struct stream *stream, const struct ip_address *to, int port, int64_t deadline);
void stream_close(struct stream *stream);

/* Starts TLS; what has come in the clear and was not asked for is dropped. 0 or -1. */
int stream_start_tls(struct stream *stream, const char *host, struct tls_seen *seen,
                     enum tls_result *result);

int stream_say(struct stream *stream, const char *octets, size_t len);

/* The next line, without its end. 0, or -1. */
int stream_line(struct stream *stream, char line[static STREAM_LINE_SIZE]);

/* Up to `size` octets; how many, 0 at the end, or -1. */
ssize_t stream_octets(struct stream *stream, char *octets, size_t size);

#endif
