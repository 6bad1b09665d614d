/*
 * One question over TCP (RFC 1035 4.2.2): sent with its length before it, answered the same way.
 * Nothing here blocks; the caller polls. A stream belongs to one thread.
 */
#ifndef GATEPOST_DNS_STREAM_H
#define GATEPOST_DNS_STREAM_H

#include "resolv_conf.h"

struct dns_stream;

/* Begins to connect and to ask; the question is copied. NULL with errno when that cannot be. */
struct dns_stream *dns_stream_open(const struct dns_address *address, const unsigned char *question,
                                   size_t len);
void dns_stream_free(struct dns_stream *stream);

/* What to poll for. */
int dns_stream_fd(const struct dns_stream *stream);
short dns_stream_events(const struct dns_stream *stream);

/*
 * Goes on as far as it can. Returns 1 and the message, which is the stream's; 0 when there is more
 * to come; or -1 with errno, which is 0 when the server ended the connection.
 */
int dns_stream_step(struct dns_stream *stream, const unsigned char **message, size_t *len);

#endif
