/*
 * Redis Sentinel. Owns the asking of the Sentinels and the thread that follows them; that the
 * server they name is a master each connection finds out for itself.
 */
#include "gatepost/store/redis/sentinel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/base/waiting.h"
#include "gatepost/store/redis/errors.h"

/* A Sentinel reports a switch of its own accord; it is also asked this often, in milliseconds. */
#define ASK_INTERVAL 1000
#define RETRY_INTERVAL 100

struct redis_sentinel {
    struct store_seed seeds[STORE_SEEDS];
    size_t n_seeds;
    char master[128];
    char *store;
    struct redis_login *login;
    struct redis_tls *tls;
    struct redis_pool *pool;
    int64_t timeout;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool known, following;  /* under lock, as is the next */
    struct why problem;     /* why it is not known */
    pthread_mutex_t asking; /* held while the Sentinels are asked */
    int stop_fd;
    pthread_t thread;
    void (*moved)(void *context);
    void *context;
    size_t at;       /* the Sentinel that answered last; under `asking`, as are the next */
    long long epoch; /* of the configuration that named the pool's server */
    redisContext *questions, *news; /* of the thread's; the second is subscribed */
    bool told_silent, told_behind;  /* that none answers; that one is outdated */
};

/* What Sentinels say: the number of the configuration grows with each failover. */
struct named_master {
    struct store_seed server;
    long long epoch; /* -1: unknown */
    bool behind;     /* see is_behind() */
};

struct redis_sentinel *redis_sentinel_new(const struct store_url *url, const char *store,
                                          struct redis_login *login, struct redis_tls *tls,
                                          struct redis_pool *pool, int64_t timeout) {
    struct redis_sentinel *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->store = strdup(store);
    if (s->store == NULL) {
        free(s);
        return NULL;
    }
    memcpy(s->seeds, url->seeds, sizeof s->seeds);
    memcpy(s->master, url->master, sizeof s->master);
    s->n_seeds = url->n_seeds;
    s->login = login;
    s->tls = tls;
    s->pool = pool;
    s->timeout = timeout;
    s->stop_fd = -1;
    why_set(&s->problem, "no Sentinel has been asked yet");
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->asking, NULL);
    clock_cond_init(&s->changed);
    return s;
}

void redis_sentinel_free(struct redis_sentinel *s) {
    if (s == NULL)
        return;
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->asking);
    pthread_cond_destroy(&s->changed);
    free(s->store);
    free(s);
}

/* The reason, the Sentinel that is asked before it. */
static void name_it(const struct redis_sentinel *s, const char *reason, struct why *why) {
    why_set(why, "Sentinel %s:%d: %s", s->seeds[s->at].host, s->seeds[s->at].port, reason);
}

static redisContext *connect_to(struct redis_sentinel *s, bool login, int64_t deadline,
                                struct why *why) {
    struct why reason;
    struct redis_server server = {
        .port = s->seeds[s->at].port, .login = login ? s->login : NULL, .tls = s->tls};
    memcpy(server.host, s->seeds[s->at].host, sizeof server.host);
    redisContext *conn = redis_conn_open(&server, deadline, &reason);
    if (conn == NULL)
        name_it(s, reason.text, why);
    return conn;
}

static void hang_up(redisContext **conn) {
    if (*conn != NULL)
        redisFree(*conn);
    *conn = NULL;
}

static bool wants_login(const redisReply *reply) {
    return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
           (strncmp(reply->str, "NOAUTH", 6) == 0 || strncmp(reply->str, "NOPERM", 6) == 0);
}

/*
 * What the Sentinel at s->at answers, on *conn when that is open. Most of them have no password,
 * and refuse a login then: it is given to one that wants it.
 */
static redisReply *ask_sentinel(struct redis_sentinel *s, redisContext **conn, int argc,
                                const char **argv, int64_t deadline, struct why *why) {
    struct why reason;
    for (bool login = false;; login = true) {
        if (*conn == NULL)
            *conn = connect_to(s, login, deadline, why);
        if (*conn == NULL)
            return NULL;
        redisReply *reply = redis_conn_ask(*conn, argc, argv, deadline, &reason);
        if (reply == NULL)
            name_it(s, reason.text, why);
        if (login || !wants_login(reply))
            return reply;
        freeReplyObject(reply);
        hang_up(conn);
    }
}

/*
 * The epoch of what the Sentinel has just said; -1 when it may not be asked for that. Returns 0, or
 * -1 with the reason when it does not answer: what it said is not known to be true then.
 */
static int ask_epoch(struct redis_sentinel *s, redisContext *conn, int64_t deadline, long long *out,
                     struct why *why) {
    const char *argv[] = {"SENTINEL", "MASTER", s->master};
    struct why reason;
    long long epoch = -1;
    redisReply *reply = redis_conn_ask(conn, 3, argv, deadline, &reason);
    if (reply == NULL)
        name_it(s, reason.text, why);
    int rc = reply == NULL ? -1 : 0;
    bool is_pairs = reply != NULL && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; is_pairs && i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(name->str, "config-epoch") == 0)
            epoch = strtoll(value->str, NULL, 10);
    }
    freeReplyObject(reply);
    *out = epoch;
    return rc;
}

static bool same_server(const struct store_seed *a, const struct store_seed *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool is_at(struct redis_sentinel *s, const struct store_seed *master) {
    struct redis_server server = redis_pool_server(s->pool);
    return strcmp(server.host, master->host) == 0 && server.port == master->port;
}

/*
 * One that has not heard of the last failover still names the master before it. It is not believed
 * while the server that a newer configuration named answers.
 */
static bool is_behind(struct redis_sentinel *s, const struct named_master *master) {
    return master->epoch >= 0 && master->epoch < s->epoch && !is_at(s, &master->server) &&
           redis_pool_is_up(s->pool);
}

static void complain_once(struct redis_sentinel *s, bool *told, const char *problem) {
    if (!*told)
        log_event(LOG_WARNING, "store-sentinel-error", "store", s->store, "problem", problem,
                  (char *)NULL);
    *told = true;
}

/* One question to one Sentinel; *conn is NULL afterwards when it cannot be used any more. */
static int ask_on(struct redis_sentinel *s, redisContext **conn, struct named_master *out,
                  int64_t deadline, struct why *why) {
    const char *argv[] = {"SENTINEL", "get-master-addr-by-name", s->master};
    const char *who = s->seeds[s->at].host;
    struct why reason;
    int rc = -1;
    out->behind = false;
    redisReply *reply = ask_sentinel(s, conn, 3, argv, deadline, why);
    if (reply == NULL) {
        hang_up(conn);
        return -1;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_error_judge(reply->str, "SENTINEL", NULL, &reason);
        name_it(s, reason.text, why);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
               reply->element[0]->type == REDIS_REPLY_STRING &&
               reply->element[1]->type == REDIS_REPLY_STRING &&
               strlen(reply->element[0]->str) < sizeof out->server.host) {
        strcpy(out->server.host, reply->element[0]->str);
        out->server.port = (int)strtol(reply->element[1]->str, NULL, 10);
        rc = ask_epoch(s, *conn, deadline, &out->epoch, why);
        out->behind = rc == 0 && is_behind(s, out);
        if (out->behind) {
            rc = -1;
            why_set(why, "Sentinel %s:%d does not know of the last failover: it still names %s:%d",
                    who, s->seeds[s->at].port, out->server.host, out->server.port);
            complain_once(s, &s->told_behind, why->text);
        }
    } else {
        why_set(why, "Sentinel %s:%d knows no master named %s", who, s->seeds[s->at].port,
                s->master);
    }
    freeReplyObject(reply);
    if (rc != 0)
        hang_up(conn);
    return rc;
}

/*
 * Asks the Sentinels in turn, first the one that answered last, on *conn when that is open. Returns
 * 0 and the master, or -1 with the reason of the last. More than half of them have not missed a
 * failover: if they agree, the master was set up again (SENTINEL MONITOR), and their epochs start
 * again with it. A single one may have missed it. Where they stand in the list does not matter, nor
 * what others say.
 */
static int ask_all(struct redis_sentinel *s, redisContext **conn, struct named_master *out,
                   int64_t deadline, struct why *why) {
    struct store_seed named[STORE_SEEDS]; /* by those who are behind */
    size_t n_named = 0;
    for (size_t tries = 0; tries < s->n_seeds; tries++) {
        int64_t limit = clock_now_ms() + s->timeout;
        if (ask_on(s, conn, out, limit < deadline ? limit : deadline, why) == 0)
            return 0;
        if (out->behind) {
            size_t agreed = 0;
            named[n_named++] = out->server;
            for (size_t i = 0; i < n_named; i++)
                agreed += same_server(&named[i], &out->server);
            if (agreed > s->n_seeds / 2 && s->n_seeds > 1)
                return 0;
        }
        s->at = (s->at + 1) % s->n_seeds;
    }
    return -1;
}

/* What the Sentinels say now. True when it has changed. */
static bool take_master(struct redis_sentinel *s, const struct named_master *master) {
    bool news = !is_at(s, &master->server);
    if (news)
        redis_pool_move(s->pool, master->server.host, master->server.port);
    if (news || master->epoch > s->epoch)
        s->epoch = master->epoch;
    pthread_mutex_lock(&s->lock);
    s->known = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return news;
}

static int ask_here(struct redis_sentinel *s, int64_t deadline, struct why *why) {
    redisContext *conn = NULL;
    struct named_master master;
    pthread_mutex_lock(&s->asking);
    int rc = ask_all(s, &conn, &master, deadline, why);
    if (rc == 0)
        take_master(s, &master);
    pthread_mutex_unlock(&s->asking);
    hang_up(&conn);
    return rc;
}

int redis_sentinel_need(struct redis_sentinel *s, int64_t deadline, struct why *why) {
    struct waiting w = waiting_begin(deadline);
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    while (s->following && !s->known && s->problem.text[0] == '\0' && rc == 0)
        rc = waiting_cond(&w, &s->changed, &s->lock);
    bool known = s->known, following = s->following;
    if (!known)
        why_set(why, "%s", s->problem.text[0] != '\0' ? s->problem.text : "no Sentinel answers");
    pthread_mutex_unlock(&s->lock);
    waiting_end(&w);
    if (following)
        return known ? 0 : -1;
    return ask_here(s, deadline, why);
}

/* Subscribes at the Sentinel that answers; without it the master is asked for each second only. */
static void subscribe(struct redis_sentinel *s) {
    const char *argv[] = {"SUBSCRIBE", "+switch-master"};
    struct why why;
    int64_t deadline = clock_now_ms() + s->timeout;
    redisReply *reply = ask_sentinel(s, &s->news, 2, argv, deadline, &why);
    bool subscribed = reply != NULL && reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    if (!subscribed)
        hang_up(&s->news);
}

static void complain(struct redis_sentinel *s, const char *problem) {
    complain_once(s, &s->told_silent, problem);
    pthread_mutex_lock(&s->lock);
    why_set(&s->problem, "%s", problem);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Asks for the master and goes there; false when no Sentinel answers. */
static bool find_master(struct redis_sentinel *s) {
    struct named_master master;
    struct why why;

    char name[REDIS_NAME_SIZE];
    size_t at = s->at;
    if (ask_all(s, &s->questions, &master, INT64_MAX, &why) != 0) {
        hang_up(&s->questions);
        hang_up(&s->news);
        complain(s, why.text);
        return false;
    }
    s->told_silent = s->told_behind = false;
    if (at != s->at) /* the news shall be those of the one that is alive */
        hang_up(&s->news);
    bool subscribed = s->news != NULL;
    if (take_master(s, &master)) {
        struct redis_server server = redis_pool_server(s->pool);
        log_event(LOG_NOTICE, "store-master", "store", s->store, "server",
                  redis_server_name(&server, name), (char *)NULL);
        s->moved(s->context);
    }
    if (!subscribed)
        subscribe(s);
    return true;
}

/* Takes what has arrived; the news is asked for anyway. */
static void take_news(struct redis_sentinel *s) {
    void *reply = NULL;
    bool good = redisBufferRead(s->news) == REDIS_OK;
    do {
        good = good && redisReaderGetReply(s->news->reader, &reply) == REDIS_OK;
        if (good && reply != NULL)
            freeReplyObject(reply);
    } while (good && reply != NULL);
    if (!good)
        hang_up(&s->news);
}

static void *run(void *arg) {
    struct redis_sentinel *s = arg;
    for (;;) {
        pthread_mutex_lock(&s->asking);
        bool had_news = s->news != NULL, found = find_master(s);
        if (s->news != NULL && !had_news) /* it may have changed before the subscription */
            found = find_master(s);
        pthread_mutex_unlock(&s->asking);
        bool hurry = !found || !redis_pool_is_up(s->pool);
        struct pollfd pfds[] = {{.fd = s->stop_fd, .events = POLLIN},
                                {.fd = s->news == NULL ? -1 : s->news->fd, .events = POLLIN}};
        int rc = poll(pfds, 2, hurry ? RETRY_INTERVAL : ASK_INTERVAL);
        if (rc > 0 && pfds[0].revents != 0)
            break;
        if (rc > 0 && pfds[1].revents != 0)
            take_news(s);
    }
    hang_up(&s->questions);
    hang_up(&s->news);
    return NULL;
}

int redis_sentinel_follow(struct redis_sentinel *s, void (*moved)(void *context), void *context) {
    s->moved = moved;
    s->context = context;
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_lock(&s->lock);
    s->following = true;
    s->problem.text[0] = '\0';
    pthread_mutex_unlock(&s->lock);
    if (s->stop_fd >= 0 && pthread_create(&s->thread, NULL, run, s) == 0)
        return 0;
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    s->stop_fd = -1;
    return -1;
}

void redis_sentinel_unfollow(struct redis_sentinel *s) {
    uint64_t one = 1;
    if (s->stop_fd < 0)
        return;
    while (write(s->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(s->thread, NULL);
    close(s->stop_fd);
    s->stop_fd = -1;
    pthread_mutex_lock(&s->lock);
    s->following = false;
    pthread_mutex_unlock(&s->lock);
}
