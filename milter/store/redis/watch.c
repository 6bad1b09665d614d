/*
 * The watch on a Redis server. Owns its thread, when connections are made anew, and what is said
 * of the server meanwhile; the commands are tracking.c's, what a change means its caller's
 * business.
 */
#include "gatepost/store/redis/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "emptiness.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/core/store_key.h"
#include "tracking.h"

/* How often a silent connection is asked whether it is alive; one that look-ups find dead sooner.
 */
#define PING_INTERVAL 1000
#define TICK 250

/* Between two tries of a server that is down, in milliseconds. */
#define RETRY_FIRST 50
#define RETRY_LAST 500

/* From an emptying to the look at what is there now: a policy may be on its way in again. */
#define CENSUS_DELAY 300

struct redis_watch {
    struct redis_pool *pool;
    char *store, *prefix, *self_prefix; /* the last NULL where it is not watched */
    int64_t timeout;
    store_told *told;
    void (*counted)(void *context, bool empty);
    void *context;
    int wake_fd; /* readable when to stop, or when the server has moved */
    atomic_bool stopping;
    pthread_t thread;
    int64_t census_due; /* the thread's, as is the next; 0 for not */
    bool broken;        /* a connection broke or failed, and none has served since */
    bool blind;         /* STORE_BLIND was reported last */
};

enum watch_end { WATCH_STOPPED, WATCH_MOVED, WATCH_BROKEN, WATCH_REFUSED };

/* Waits to be woken; true when to stop, or the server has moved, within `ms`. */
static bool woken_within(const struct redis_watch *watch, int64_t ms) {
    struct pollfd pfd = {.fd = watch->wake_fd, .events = POLLIN};
    return poll(&pfd, 1, (int)ms) > 0;
}

/* Takes the wake-up: why it came. */
static enum watch_end take_wake(struct redis_watch *watch) {
    uint64_t count;
    while (read(watch->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    return atomic_load(&watch->stopping) ? WATCH_STOPPED : WATCH_MOVED;
}

static void wake(struct redis_watch *watch) {
    uint64_t one = 1;
    while (write(watch->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

/* Does a server that reports no changes still answer? Reported when that has changed. */
static void note_blind(struct redis_watch *watch) {
    bool up = redis_pool_is_up(watch->pool);
    if (up != watch->blind)
        watch->told(watch->context, up ? STORE_BLIND : STORE_LOST, NULL);
    watch->blind = up;
}

/* A connection serves: after another one broke it may have reached another server. */
static void note_served(struct redis_watch *watch) {
    if (watch->broken)
        redis_pool_renew(watch->pool);
    watch->broken = false;
}

static void on_told(void *context, enum store_event event, const char *subject) {
    struct redis_watch *watch = context;
    watch->told(watch->context, event, subject);
    if (event == STORE_CHANGED && subject == NULL)
        watch->census_due = clock_now_ms() + CENSUS_DELAY;
}

/* A watch that runs. */
struct watching {
    struct redis_tracking tracking;
    struct redis_emptiness census;
    int64_t counting; /* since when an answer to the census is awaited; 0: none is */
    int64_t next_ping;
    int64_t asked; /* when the ping in progress began; 0 for none */
};

static int count_on(struct redis_watch *watch, struct watching *w, struct why *why) {
    if (redis_emptiness_ask(&w->census, w->tracking.tracked, watch->prefix) != 0)
        return 0; /* it stays unknown */
    w->counting = clock_now_ms();
    return redis_conn_flush(w->tracking.tracked, w->counting + watch->timeout, why);
}

static int take_census(struct redis_watch *watch, struct watching *w, redisReply *reply,
                       struct why *why) {
    enum census census = redis_emptiness_take(&w->census, reply);
    freeReplyObject(reply);
    w->counting = 0;
    if (census == CENSUS_MORE)
        return count_on(watch, w, why);
    if (census != CENSUS_UNKNOWN)
        watch->counted(watch->context, census == CENSUS_EMPTY);
    return 0;
}

/* What came on the tracked connection: an answer, or its end. */
static int take_tracked(struct redis_watch *watch, struct watching *w, struct why *why) {
    redisReply *other;
    if (redis_tracking_read_answer(&w->tracking, &other, why) != 0)
        return -1;
    if (other != NULL && w->counting != 0)
        return take_census(watch, w, other, why);
    freeReplyObject(other);
    return 0;
}

/*
 * After something was read: is that which was awaited there? When it is too late for a look-up, the
 * server is asked again at once: it may have been a moment only.
 */
static void note_answer(struct redis_watch *watch, struct watching *w) {
    if (w->asked == 0 || w->tracking.pong_awaited || w->tracking.probe_awaited > 0)
        return;
    bool in_time = clock_now_ms() - w->asked <= watch->timeout;
    redis_pool_report(watch->pool, in_time, w->asked, "no answer within store_timeout");
    w->asked = 0;
    if (!in_time)
        w->next_ping = clock_now_ms();
}

/*
 * What is due by the clock: to find a server dead, the census, or a ping. A server that is only
 * slow is given more time than a look-up has: to begin anew costs more than to wait.
 */
static int do_due(struct redis_watch *watch, struct watching *w, struct why *why) {
    int64_t now = clock_now_ms();
    int64_t patience = watch->timeout > PING_INTERVAL ? watch->timeout : PING_INTERVAL;
    int64_t awaited = w->asked != 0 ? w->asked : w->counting;
    if (awaited != 0) {
        if (now < awaited + patience)
            return 0;
        why_set(why, "no answer for %d ms", (int)(now - awaited));
        redis_pool_report(watch->pool, false, awaited, why->text);
        return -1;
    }
    if (watch->counted != NULL && watch->census_due != 0 && now >= watch->census_due) {
        watch->census_due = 0;
        redis_emptiness_begin(&w->census);
        return count_on(watch, w, why);
    }
    if (now < w->next_ping && !redis_pool_awaits_answer(watch->pool))
        return 0;
    w->next_ping = now + PING_INTERVAL;
    w->asked = now;
    return redis_tracking_ping(&w->tracking, now + watch->timeout, why);
}

/* Serves one pair of connections until something ends it. */
static enum watch_end serve(struct redis_watch *watch, struct watching *w, struct why *why) {
    for (;;) {
        struct pollfd pfds[] = {{.fd = watch->wake_fd, .events = POLLIN},
                                {.fd = w->tracking.listening->fd, .events = POLLIN},
                                {.fd = w->tracking.tracked->fd, .events = POLLIN}};
        int rc = poll(pfds, 3, TICK);
        if (rc < 0 && errno != EINTR) {
            why_set(why, "poll: %s", strerror(errno));
            return WATCH_BROKEN;
        }
        if (rc > 0 && pfds[0].revents != 0) {
            why_set(why, "the store has moved to another server");
            return take_wake(watch);
        }
        if (rc > 0 && pfds[1].revents != 0 && redis_tracking_read(&w->tracking, why) != 0)
            return WATCH_BROKEN;
        if (rc > 0 && pfds[2].revents != 0 && take_tracked(watch, w, why) != 0)
            return WATCH_BROKEN;
        note_answer(watch, w);
        if (do_due(watch, w, why) != 0)
            return WATCH_BROKEN;
    }
}

static enum watch_end watch_once(struct redis_watch *watch, bool *was_down, struct why *why) {
    struct watching w = {.tracking = {.prefix = watch->prefix,
                                      .self_prefix = watch->self_prefix,
                                      .told = on_told,
                                      .context = watch}};
    bool refused;
    enum watch_end end = WATCH_BROKEN;
    int64_t began = clock_now_ms();
    if (redis_tracking_open(&w.tracking, watch->pool, watch->timeout, &refused, why) == 0) {
        note_served(watch);
        redis_pool_report(watch->pool, true, began, NULL);
        if (*was_down)
            log_event(LOG_INFO, "store-watched", "store", watch->store, "keys", watch->prefix,
                      (char *)NULL);
        *was_down = false;
        struct why denied;
        if (!redis_tracking_may_read_self(&w.tracking, watch->timeout, &denied))
            log_event(LOG_ERR, "self-unreadable", "store", watch->store, "problem", denied.text,
                      "effect", "no policy can be had: what users have set themselves is unknown",
                      (char *)NULL);
        w.next_ping = clock_now_ms() + PING_INTERVAL;
        watch->census_due = clock_now_ms();
        watch->blind = false;
        watch->told(watch->context, STORE_WATCHED, NULL);
        end = serve(watch, &w, why);
        watch->broken = true;
        watch->told(watch->context, STORE_LOST, NULL);
    } else if (refused) {
        note_served(watch);
        redis_pool_report(watch->pool, true, began, NULL);
        end = WATCH_REFUSED;
    } else {
        watch->broken = true;
        redis_pool_report(watch->pool, false, began, why->text);
        if (watch->blind)
            note_blind(watch);
    }
    redis_tracking_close(&w.tracking);
    return end;
}

/* Looks after a server that does not report changes, for one interval. */
static enum watch_end supervise_blindly(struct redis_watch *watch) {
    int64_t end = clock_now_ms() + STORE_BLIND_INTERVAL;
    redisContext *conn = NULL;
    bool woken = false;
    while (!woken && clock_now_ms() < end) {
        struct why why;
        int64_t began = clock_now_ms(), deadline = began + watch->timeout;
        if (conn == NULL)
            conn = redis_pool_connect(watch->pool, true, deadline, &why);
        bool up =
            conn != NULL && redis_probe(conn, watch->prefix, redis_pool_server(watch->pool).master,
                                        deadline, &why) == 0;
        if (conn != NULL && !up) {
            redisFree(conn);
            conn = NULL;
        }
        if (up)
            note_served(watch);
        else
            watch->broken = true;
        redis_pool_report(watch->pool, up, began, why.text);
        note_blind(watch);
        woken = woken_within(watch, RETRY_LAST);
    }
    if (conn != NULL)
        redisFree(conn);
    return woken ? take_wake(watch) : WATCH_REFUSED;
}

static void *run(void *arg) {
    struct redis_watch *watch = arg;
    int64_t pause = RETRY_FIRST;
    bool was_down = false, told_refused = false;
    for (;;) {
        struct why why = {""};
        bool down_before = was_down;
        enum watch_end end = watch_once(watch, &was_down, &why);
        told_refused = told_refused && was_down;
        if (end == WATCH_REFUSED) {
            if (!told_refused)
                log_event(
                    LOG_WARNING, "store-not-watched", "store", watch->store, "problem", why.text,
                    "effect",
                    "each message asks for its policy; networks are read again only now and then",
                    (char *)NULL);
            told_refused = was_down = true;
            watch->told(watch->context, STORE_BLIND, NULL);
            watch->blind = true;
            end = supervise_blindly(watch);
        } else if (end == WATCH_BROKEN) {
            if (!down_before || !was_down) {
                log_event(LOG_WARNING, "store-watch-lost", "store", watch->store, "problem",
                          why.text, (char *)NULL);
                pause = RETRY_FIRST;
            }
            was_down = true;
            end = woken_within(watch, pause) ? take_wake(watch) : WATCH_BROKEN;
            pause = pause * 2 < RETRY_LAST ? pause * 2 : RETRY_LAST;
        }
        if (end == WATCH_STOPPED)
            return NULL;
        if (end == WATCH_MOVED)
            pause = RETRY_FIRST;
    }
}

static void ignore_told(void *context, enum store_event event, const char *subject) {
    (void)context, (void)event, (void)subject;
}

int redis_watch_check(struct redis_pool *pool, const char *prefix, int64_t timeout,
                      struct why *why) {
    struct redis_tracking tracking = {.prefix = prefix, .told = ignore_told};
    bool refused;
    int rc = redis_tracking_open(&tracking, pool, timeout, &refused, why);
    redis_tracking_close(&tracking);
    if (rc == 0)
        return 1;
    return refused && strstr(why->text, "NOPERM") == NULL ? 0 : -1;
}

static void watch_free(struct redis_watch *watch) {
    if (watch->wake_fd >= 0)
        close(watch->wake_fd);
    free(watch->store);
    free(watch->prefix);
    free(watch->self_prefix);
    free(watch);
}

struct redis_watch *redis_watch_start(const struct redis_watch_settings *settings) {
    struct redis_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->pool = settings->pool;
    watch->timeout = settings->timeout;
    watch->told = settings->told;
    watch->counted = settings->counted;
    watch->context = settings->context;
    watch->store = strdup(settings->store);
    watch->prefix = strdup(settings->prefix);
    watch->self_prefix = settings->self_facts ? store_key_self_prefix(settings->prefix) : NULL;
    watch->wake_fd = eventfd(0, EFD_CLOEXEC);
    atomic_init(&watch->stopping, false);
    redis_pool_supervise(watch->pool, true);
    if (watch->store == NULL || watch->prefix == NULL ||
        (settings->self_facts && watch->self_prefix == NULL) || watch->wake_fd < 0 ||
        pthread_create(&watch->thread, NULL, run, watch) != 0) {
        redis_pool_supervise(watch->pool, false);
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void redis_watch_moved(struct redis_watch *watch) {
    wake(watch);
}

void redis_watch_ask_stop(struct redis_watch *watch) {
    atomic_store(&watch->stopping, true);
    wake(watch);
}

void redis_watch_stop(struct redis_watch *watch) {
    if (watch == NULL)
        return;
    redis_watch_ask_stop(watch);
    pthread_join(watch->thread, NULL);
    redis_pool_supervise(watch->pool, false);
    watch_free(watch);
}
