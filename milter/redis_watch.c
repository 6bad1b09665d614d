/*
 * The watch on a Redis server. Owns the two connections that tracking needs and their supervision;
 * what a change means is its caller's business.
 */
#include "gatepost/redis_watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gatepost/clock.h"
#include "gatepost/log.h"
#include "gatepost/redis_conn.h"

/* How often a silent connection is asked whether it is alive, and a dead one is tried anew. */
#define PING_INTERVAL 1000
#define RETRY_FIRST 50
#define RETRY_LAST 1000

struct redis_watch {
    struct store_url url;
    char *user, *password, *prefix;
    int64_t timeout;
    store_told *told;
    void *context;
    int stop_fd; /* readable when the thread shall end */
    pthread_t thread;
};

/* The two connections of a watch under way. */
struct tracking {
    redisContext *listening; /* subscribed */
    redisContext *tracked;   /* the one whose tracking is redirected to it */
};

enum watch_end { WATCH_STOPPED, WATCH_BROKEN, WATCH_REFUSED };

/* Waits for the stop signal; true when it came within `ms`. */
static bool stopped_within(const struct redis_watch *watch, int64_t ms) {
    struct pollfd pfd = {.fd = watch->stop_fd, .events = POLLIN};
    return poll(&pfd, 1, (int)ms) > 0;
}

/* One command of words; its reply, or NULL with the reason when there is none or an error. */
static redisReply *command(const struct redis_watch *watch, redisContext *conn, int argc,
                           const char **argv, bool *refused, char *why, size_t why_size) {
    int64_t deadline = clock_now_ms() + watch->timeout;
    redisAppendCommandArgv(conn, argc, argv, NULL);
    if (redis_conn_flush(conn, deadline, why, why_size) != 0)
        return NULL;
    redisReply *reply = redis_conn_read(conn, deadline, why, why_size);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    snprintf(why, why_size, "%s %s: %s", argv[0], argv[1], reply->str);
    *refused = true;
    freeReplyObject(reply);
    return NULL;
}

static void tracking_close(struct tracking *t) {
    if (t->listening != NULL)
        redisFree(t->listening);
    if (t->tracked != NULL)
        redisFree(t->tracked);
    *t = (struct tracking){0};
}

/* *refused tells an answer that will not change by trying again soon from a fault. */
static int tracking_open(const struct redis_watch *watch, struct tracking *t, bool *refused,
                         char *why, size_t why_size) {
    const char *client_id[] = {"CLIENT", "ID"};
    const char *subscribe[] = {"SUBSCRIBE", "__redis__:invalidate"};
    char id[24];
    int64_t deadline = clock_now_ms() + watch->timeout;
    *refused = false;
    t->listening =
        redis_conn_open(&watch->url, watch->user, watch->password, deadline, why, why_size);
    if (t->listening == NULL)
        return -1;
    deadline = clock_now_ms() + watch->timeout;
    t->tracked =
        redis_conn_open(&watch->url, watch->user, watch->password, deadline, why, why_size);
    if (t->tracked == NULL)
        return -1;
    redisReply *reply = command(watch, t->listening, 2, client_id, refused, why, why_size);
    if (reply == NULL)
        return -1;
    snprintf(id, sizeof id, "%lld", reply->integer);
    freeReplyObject(reply);
    reply = command(watch, t->listening, 2, subscribe, refused, why, why_size);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    const char *track[] = {"CLIENT", "TRACKING", "ON",     "REDIRECT",
                           id,       "BCAST",    "PREFIX", watch->prefix};
    reply = command(watch, t->tracked, 8, track, refused, why, why_size);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    return 0;
}

/* A message of the subscription: the keys that changed, or nil for all of them. */
static void tell(const struct redis_watch *watch, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "message") != 0)
        return;
    const redisReply *keys = reply->element[2];
    size_t prefix_len = strlen(watch->prefix);
    if (keys->type != REDIS_REPLY_ARRAY) {
        watch->told(watch->context, STORE_CHANGED, NULL);
        return;
    }
    for (size_t i = 0; i < keys->elements; i++)
        if (keys->element[i]->type == REDIS_REPLY_STRING && keys->element[i]->len >= prefix_len)
            watch->told(watch->context, STORE_CHANGED, keys->element[i]->str + prefix_len);
}

/* Takes every message that has arrived; -1 when the connection is gone. */
static int take_messages(const struct redis_watch *watch, redisContext *conn) {
    void *reply = NULL;
    if (redisBufferRead(conn) != REDIS_OK)
        return -1;
    do {
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK)
            return -1;
        if (reply != NULL) {
            tell(watch, reply);
            freeReplyObject(reply);
        }
    } while (reply != NULL);
    return 0;
}

/* Asks both connections for a sign of life; -1 when one does not give it. */
static int ping(const struct redis_watch *watch, struct tracking *t, char *why, size_t why_size) {
    const char *argv[] = {"PING"};
    int64_t deadline = clock_now_ms() + watch->timeout;
    redisAppendCommandArgv(t->tracked, 1, argv, NULL);
    redisAppendCommandArgv(t->listening, 1, argv, NULL);
    if (redis_conn_flush(t->tracked, deadline, why, why_size) != 0 ||
        redis_conn_flush(t->listening, deadline, why, why_size) != 0)
        return -1;
    redisReply *reply = redis_conn_read(t->tracked, deadline, why, why_size);
    if (reply == NULL)
        return -1;
    freeReplyObject(reply);
    for (;;) { /* messages may come before the pong */
        reply = redis_conn_read(t->listening, deadline, why, why_size);
        if (reply == NULL)
            return -1;
        bool pong = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                    reply->element[0]->type == REDIS_REPLY_STRING &&
                    strcmp(reply->element[0]->str, "pong") == 0;
        tell(watch, reply);
        freeReplyObject(reply);
        if (pong)
            return 0;
    }
}

/* Serves one pair of connections until something ends it. */
static enum watch_end serve(const struct redis_watch *watch, struct tracking *t, char *why,
                            size_t why_size) {
    for (;;) {
        struct pollfd pfds[] = {{.fd = watch->stop_fd, .events = POLLIN},
                                {.fd = t->listening->fd, .events = POLLIN},
                                {.fd = t->tracked->fd, .events = POLLIN}};
        int rc = poll(pfds, 3, PING_INTERVAL);
        if (rc < 0 && errno != EINTR) {
            snprintf(why, why_size, "poll: %s", strerror(errno));
            return WATCH_BROKEN;
        }
        if (rc > 0 && pfds[0].revents != 0)
            return WATCH_STOPPED;
        if (rc > 0 && pfds[2].revents != 0) { /* it is only spoken to when asked: it is closed */
            snprintf(why, why_size, "the server closed the connection");
            return WATCH_BROKEN;
        }
        if (rc > 0 && pfds[1].revents != 0 && take_messages(watch, t->listening) != 0) {
            snprintf(why, why_size, "%s", t->listening->errstr);
            return WATCH_BROKEN;
        }
        if (rc == 0 && ping(watch, t, why, why_size) != 0)
            return WATCH_BROKEN;
    }
}

static enum watch_end watch_once(const struct redis_watch *watch, bool *was_down, char *why,
                                 size_t why_size) {
    struct tracking t = {0};
    bool refused;
    enum watch_end end = WATCH_BROKEN;
    if (tracking_open(watch, &t, &refused, why, why_size) == 0) {
        if (*was_down)
            log_event(LOG_INFO, "store-watched", "keys", watch->prefix, (char *)NULL);
        *was_down = false;
        watch->told(watch->context, STORE_WATCHED, NULL);
        end = serve(watch, &t, why, why_size);
        watch->told(watch->context, STORE_LOST, NULL);
    } else if (refused) {
        end = WATCH_REFUSED;
    }
    tracking_close(&t);
    return end;
}

static void *run(void *arg) {
    const struct redis_watch *watch = arg;
    int64_t pause = RETRY_FIRST;
    bool was_down = false, told_refused = false;
    for (;;) {
        char why[256] = "";
        bool down_before = was_down;
        enum watch_end end = watch_once(watch, &was_down, why, sizeof why);
        if (end == WATCH_STOPPED)
            return NULL;
        if (end == WATCH_REFUSED) {
            if (!told_refused)
                log_event(LOG_WARNING, "store-not-watched", "problem", why, "effect",
                          "changes of networks are noticed late", (char *)NULL);
            told_refused = true;
            watch->told(watch->context, STORE_BLIND, NULL);
            if (stopped_within(watch, STORE_BLIND_INTERVAL))
                return NULL;
            continue;
        }
        if (!down_before || !was_down) {
            log_event(LOG_WARNING, "store-watch-lost", "problem", why, (char *)NULL);
            pause = RETRY_FIRST;
        }
        was_down = true;
        if (stopped_within(watch, pause))
            return NULL;
        pause = pause * 2 < RETRY_LAST ? pause * 2 : RETRY_LAST;
    }
}

static void watch_free(struct redis_watch *watch) {
    if (watch->stop_fd >= 0)
        close(watch->stop_fd);
    free(watch->user);
    free(watch->password);
    free(watch->prefix);
    free(watch);
}

struct redis_watch *redis_watch_start(const struct redis_watch_settings *settings) {
    struct redis_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->url = *settings->url;
    watch->timeout = settings->timeout;
    watch->told = settings->told;
    watch->context = settings->context;
    watch->user = strdup(settings->user);
    watch->prefix = strdup(settings->prefix);
    watch->password = settings->password == NULL ? NULL : strdup(settings->password);
    watch->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (watch->user == NULL || watch->prefix == NULL || watch->stop_fd < 0 ||
        (settings->password != NULL && watch->password == NULL) ||
        pthread_create(&watch->thread, NULL, run, watch) != 0) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void redis_watch_stop(struct redis_watch *watch) {
    uint64_t one = 1;
    if (watch == NULL)
        return;
    while (write(watch->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(watch->thread, NULL);
    watch_free(watch);
}
