/*
 * Who may stay connected to an HTTP server of ours, and for how long. Each connection either waits
 * for its next request, or is in the middle of one, or is held: then its answer is being made, and
 * it is left alone. Any thread.
 */
#ifndef GATEPOST_BASE_HTTP_PEERS_H
#define GATEPOST_BASE_HTTP_PEERS_H

#include <microhttpd.h>

#include "gatepost/core/why.h"

enum http_peer_state { PEER_WAITS, PEER_ASKS, PEER_HELD, PEER_STATES };

struct http_peers_settings {
    /* Above `kept` a newcomer takes the place of one that has waited long; the server's own limit
     * must be higher, so that they may overlap. */
    unsigned kept;
    int64_t patience[PEER_STATES]; /* milliseconds in a state; that of PEER_HELD is not asked */
};

struct http_peers;

/* Returns 0 and the connections, none yet, or -1 when there is no memory. */
int http_peers_open(const struct http_peers_settings *settings, struct http_peers **out);

/*
 * Cuts who has lost its patience when it is time, by a thread of its own; without it that happens
 * when a newcomer arrives. Returns 0, or -1 when no thread can be started.
 */
int http_peers_watch(struct http_peers *peers);

/* NULL is fine. No connection is left. */
void http_peers_close(struct http_peers *peers);

/* MHD_NotifyConnectionCallback with the peers as its context. A newcomer is PEER_ASKS. */
void http_peers_notify(void *context, struct MHD_Connection *connection, void **of_connection,
                       enum MHD_ConnectionNotificationCode code);

/* The connection is in that state from now on; its time goes on where it has been in it already. */
void http_peers_set(struct http_peers *peers, struct MHD_Connection *connection,
                    enum http_peer_state state);

#endif
