/*
 * The connections of an HTTP server. Owns when one of them is cut; knows nothing of requests.
 */
#include "http_peers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gatepost/base/clock.h"

/* So long may a newcomer take to ask before others are cut rather than he, in milliseconds. */
#define GRACE 1000

/* One connection. */
struct peer {
    struct peer *next, *last; /* of those of its state */
    enum http_peer_state state;
    int fd;
    int64_t since; /* when it came into its state */
    bool cut;      /* it is in no list any more */
};

struct http_peers {
    struct http_peers_settings settings;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* for the watch */
    struct list {
        struct peer *oldest, *newest;
    } lists[PEER_STATES]; /* under lock, by `since` */
    unsigned n;           /* in the lists */
    bool watched, ending;
    pthread_t watch;
};

int http_peers_open(const struct http_peers_settings *settings, struct http_peers **out) {
    struct http_peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL)
        return -1;
    peers->settings = *settings;
    pthread_mutex_init(&peers->lock, NULL);
    clock_cond_init(&peers->changed);
    *out = peers;
    return 0;
}

static void leave_locked(struct http_peers *peers, struct peer *peer) {
    struct list *list = &peers->lists[peer->state];
    *(peer->last != NULL ? &peer->last->next : &list->oldest) = peer->next;
    *(peer->next != NULL ? &peer->next->last : &list->newest) = peer->last;
    peers->n--;
}

static void enter_locked(struct http_peers *peers, struct peer *peer, enum http_peer_state state) {
    struct list *list = &peers->lists[state];
    bool first = list->oldest == NULL;
    peer->state = state;
    peer->since = clock_now_ms();
    peer->next = NULL;
    peer->last = list->newest;
    *(first ? &list->oldest : &list->newest->next) = peer;
    list->newest = peer;
    peers->n++;
    if (first && state != PEER_HELD)
        pthread_cond_signal(&peers->changed);
}

/* libmicrohttpd finds that, and closes it; until it has said so the descriptor is the peer's. */
static void cut_locked(struct http_peers *peers, struct peer *peer) {
    leave_locked(peers, peer);
    peer->cut = true;
    shutdown(peer->fd, SHUT_RDWR);
}

/* Cuts who has overstayed; returns when the next one will have. */
static int64_t cut_late_locked(struct http_peers *peers, int64_t now) {
    int64_t next = INT64_MAX;
    for (int state = PEER_WAITS; state <= PEER_ASKS; state++) {
        int64_t patience = peers->settings.patience[state];
        struct peer *oldest;
        while ((oldest = peers->lists[state].oldest) != NULL && now - oldest->since > patience)
            cut_locked(peers, oldest);
        if (oldest != NULL && oldest->since + patience + 1 < next)
            next = oldest->since + patience + 1;
    }
    return next;
}

/* Of those who have not asked for long, or wait for nothing, one goes. */
static void make_room_locked(struct http_peers *peers, int64_t now) {
    struct peer *asks = peers->lists[PEER_ASKS].oldest, *waits = peers->lists[PEER_WAITS].oldest;
    cut_late_locked(peers, now);
    if (peers->n < peers->settings.kept)
        return;
    asks = peers->lists[PEER_ASKS].oldest;
    waits = peers->lists[PEER_WAITS].oldest;
    if (asks != NULL && (waits == NULL || now - asks->since > GRACE))
        cut_locked(peers, asks);
    else if (waits != NULL)
        cut_locked(peers, waits);
}

static void *run_watch(void *arg) {
    struct http_peers *peers = arg;
    pthread_mutex_lock(&peers->lock);
    while (!peers->ending) {
        int64_t next = cut_late_locked(peers, clock_now_ms());
        struct timespec until = clock_timespec(next);
        if (next == INT64_MAX)
            pthread_cond_wait(&peers->changed, &peers->lock);
        else
            pthread_cond_timedwait(&peers->changed, &peers->lock, &until);
    }
    pthread_mutex_unlock(&peers->lock);
    return NULL;
}

int http_peers_watch(struct http_peers *peers) {
    peers->watched = pthread_create(&peers->watch, NULL, run_watch, peers) == 0;
    return peers->watched ? 0 : -1;
}

void http_peers_close(struct http_peers *peers) {
    if (peers == NULL)
        return;
    pthread_mutex_lock(&peers->lock);
    peers->ending = true;
    pthread_cond_signal(&peers->changed);
    pthread_mutex_unlock(&peers->lock);
    if (peers->watched)
        pthread_join(peers->watch, NULL);
    pthread_cond_destroy(&peers->changed);
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

static struct peer *greet(struct http_peers *peers, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct peer *peer = info == NULL ? NULL : calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL; /* the idle time-out ends it */
    peer->fd = info->connect_fd;
    pthread_mutex_lock(&peers->lock);
    make_room_locked(peers, clock_now_ms());
    enter_locked(peers, peer, PEER_ASKS);
    pthread_mutex_unlock(&peers->lock);
    return peer;
}

void http_peers_notify(void *context, struct MHD_Connection *connection, void **of_connection,
                       enum MHD_ConnectionNotificationCode code) {
    struct http_peers *peers = context;
    struct peer *peer = *of_connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *of_connection = greet(peers, connection);
        return;
    }
    if (peer == NULL)
        return;
    pthread_mutex_lock(&peers->lock);
    if (!peer->cut)
        leave_locked(peers, peer);
    pthread_mutex_unlock(&peers->lock);
    free(peer);
}

void http_peers_set(struct http_peers *peers, struct MHD_Connection *connection,
                    enum http_peer_state state) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct peer *peer = info == NULL ? NULL : info->socket_context;
    if (peer == NULL)
        return;
    pthread_mutex_lock(&peers->lock);
    if (!peer->cut && peer->state != state) {
        leave_locked(peers, peer);
        enter_locked(peers, peer, state);
    }
    pthread_mutex_unlock(&peers->lock);
}
