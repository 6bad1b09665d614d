/*
 * TLS with a door, and what its certificate is worth. The handshake goes on whatever the
 * certificate says, so that all of it can be told; what is secret is only for a `verified` one.
 */
#ifndef GATEPOST_CTL_DOORS_TLS_H
#define GATEPOST_CTL_DOORS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatepost/core/why.h"

/* What was seen in the handshake. */
struct tls_seen {
    bool verified; /* trusted, in time, and in the name of the host */
    bool expired, wrong_name;
    char untrusted[160]; /* why nobody who is trusted vouches for it; "": somebody does */
    char names[256];     /* whose it is */
    int64_t expires;     /* seconds since the epoch; 0: there is no certificate */
    const char *version; /* "TLSv1.3"; NULL: no handshake came to its end */
};

enum tls_result { TLS_DONE, TLS_LATE, TLS_HUNG_UP, TLS_FAILED };

struct tls;

/*
 * Shakes hands on a non-blocking socket, which stays the caller's; `host` is the name or address
 * to be found in the certificate, `deadline` as of clock_now_ms(). With TLS_DONE *out is to be
 * freed; all else has the reason.
 */
enum tls_result tls_begin(int fd, const char *host, int64_t deadline, struct tls **out,
                          struct tls_seen *seen, struct why *why);
void tls_free(struct tls *tls);

/*
 * As read(2) and write(2) on a non-blocking socket: octets, 0 at the end, or -1 with errno; with
 * EAGAIN `events` is what to poll for.
 */
ssize_t tls_read(struct tls *tls, void *octets, size_t size, short *events);
ssize_t tls_write(struct tls *tls, const void *octets, size_t size, short *events);

#endif
