/*
 * The recorder of use. Owns who waits to be recorded, and what was recorded within the hour; a
 * verdict hands its use over and never waits for it. How a record looks is write/use.c's.
 */
#include "use_recorder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/keyed_hash.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "gatepost/cache/live_store.h"
#include "gatepost/session/use_hook.h"
#include "gatepost/write/use.h"

#define QUEUE_MAX 1024
#define RECENT_MAX 65536  /* a power of 2 */
#define REPEAT_AFTER 3600 /* seconds until the same use is recorded again */
#define COMPLAIN_AFTER 60 /* seconds between two lines of the log about the same trouble */
#define CLOSE_MAX 1000    /* milliseconds to write what is left */

struct waiting_use {
    char *account;
    const char *service; /* a static text */
    struct ip_address client;
    int64_t now;
    size_t recent; /* its place there */
};

/* What was recorded last under this hash; another use with the same place only makes it come again.
 */
struct recent_use {
    uint64_t hash;
    int64_t since;
};

struct use_recorder {
    struct use_store *store;
    int64_t kept; /* seconds */
    pthread_t thread;
    bool ending;
    struct waiting_use queue[QUEUE_MAX];
    size_t first, n;
    struct recent_use recent[RECENT_MAX];
    int64_t complained; /* when the log heard of trouble last; the thread's own */
    /* of the configuration, owned */
    char *identity;
};

/* One for the process. The lock is held by a verdict for some ten instructions. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t come;
    struct use_recorder *recorder;
} one = {.lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER};

static size_t place_of(uint64_t hash) {
    return hash & (RECENT_MAX - 1);
}

static uint64_t hash_of(const char *account, const char *service, const char *block) {
    const uint64_t parts[] = {keyed_hash(account, strlen(account)),
                              keyed_hash(service, strlen(service)),
                              keyed_hash(block, strlen(block))};
    return keyed_hash(parts, sizeof parts);
}

/* True when the use was recorded a short while ago; if not, it counts as recorded from now on. */
static bool is_recent_locked(struct use_recorder *r, uint64_t hash, int64_t now) {
    struct recent_use *recent = &r->recent[place_of(hash)];
    if (recent->hash == hash && now >= recent->since && now - recent->since < REPEAT_AFTER)
        return true;
    *recent = (struct recent_use){hash, now};
    return false;
}

static void enqueue_locked(struct use_recorder *r, const char *account, const char *service,
                           const struct ip_address *client, int64_t now, uint64_t hash) {
    char *copy = r->n == QUEUE_MAX ? NULL : strdup(account);
    int known = words_find(&service_words, service, strlen(service));
    if (copy == NULL || known < 0) {
        free(copy);
        r->recent[place_of(hash)].hash = 0; /* the next one tries again */
        metrics_use_dropped();
        return;
    }
    r->queue[(r->first + r->n++) % QUEUE_MAX] =
        (struct waiting_use){copy, service_words.names[known], *client, now, place_of(hash)};
    pthread_cond_signal(&one.come);
}

/* session_use */
static void on_use(const char *account, const char *service, const struct ip_address *client) {
    char block[USE_BLOCK_SIZE];
    int64_t now = (int64_t)time(NULL);
    uint64_t hash = hash_of(account, service, use_block(client, block));
    pthread_mutex_lock(&one.lock);
    if (one.recorder != NULL && !one.recorder->ending && !is_recent_locked(one.recorder, hash, now))
        enqueue_locked(one.recorder, account, service, client, now, hash);
    pthread_mutex_unlock(&one.lock);
}

/* ---- the thread ---- */

/* The next one to be recorded; false when there is none and the recorder ends. */
static bool next(struct use_recorder *r, struct waiting_use *out) {
    pthread_mutex_lock(&one.lock);
    while (r->n == 0 && !r->ending)
        pthread_cond_wait(&one.come, &one.lock);
    bool any = r->n > 0;
    if (any) {
        *out = r->queue[r->first];
        r->first = (r->first + 1) % QUEUE_MAX;
        r->n--;
    }
    pthread_mutex_unlock(&one.lock);
    return any;
}

static void complain(struct use_recorder *r, const char *why) {
    int64_t now = clock_now_ms() / 1000;
    if (r->complained != 0 && now - r->complained < COMPLAIN_AFTER)
        return;
    r->complained = now;
    log_event(LOG_WARNING, "use-not-recorded", "problem", why, (char *)NULL);
}

static void record(struct use_recorder *r, const struct waiting_use *waiting) {
    char block[USE_BLOCK_SIZE];
    struct use_before before = {false};
    struct why why;
    const struct use use = {waiting->account, waiting->service, use_block(&waiting->client, block),
                            waiting->now};
    if (use_note(r->store, &use, r->kept, &before, &why) != 0) {
        pthread_mutex_lock(&one.lock);
        r->recent[waiting->recent].hash = 0;
        pthread_mutex_unlock(&one.lock);
        metrics_use_dropped();
        complain(r, why.text);
        return;
    }
    if (before.new_source) {
        metrics_new_source();
        log_event(LOG_NOTICE, "new-source", "account", use.account, "service", use.service, "block",
                  use.block, (char *)NULL);
    }
}

static void *run(void *arg) {
    struct use_recorder *r = arg;
    struct waiting_use waiting;
    int64_t deadline = 0;
    while (next(r, &waiting)) {
        pthread_mutex_lock(&one.lock);
        if (r->ending && deadline == 0)
            deadline = clock_now_ms() + CLOSE_MAX;
        pthread_mutex_unlock(&one.lock);
        if (deadline == 0 || clock_now_ms() < deadline)
            record(r, &waiting);
        else
            metrics_use_dropped();
        free(waiting.account);
    }
    return NULL;
}

/* ---- its life ---- */

static const char *url_of(const struct config *config) {
    return config->use_store[0] != '\0' ? config->use_store : config->store;
}

/* All that makes it another recorder; NULL when there is no memory. */
static char *identity_of(const struct config *config) {
    char *text;
    int len = asprintf(&text, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%lld %lld", url_of(config),
                       config->store_user, config->store_password_file, config->key_prefix,
                       config->store_tls_ca, config->store_tls_cert, config->store_tls_key,
                       (long long)config->store_timeout, (long long)config->use_kept);
    return len < 0 ? NULL : text;
}

static void recorder_free(struct use_recorder *r) {
    use_store_free(r->store);
    free(r->identity);
    free(r);
}

static void fail(const char *why) {
    log_event(LOG_ERR, "use-not-recorded", "problem", why, (char *)NULL);
}

static void begin(const struct config *config) {
    struct store_settings settings = live_store_settings(config);
    struct why why = {"no memory"};
    struct use_recorder *r = calloc(1, sizeof *r);
    settings.url = url_of(config);
    if (r == NULL) {
        fail(why.text);
        return;
    }
    r->kept = config->use_kept / 1000;
    r->identity = identity_of(config);
    if (r->identity == NULL || use_store_open(&settings, &r->store, &why) != 0 ||
        pthread_create(&r->thread, NULL, run, r) != 0) {
        fail(why.text);
        recorder_free(r);
        return;
    }
    pthread_mutex_lock(&one.lock);
    one.recorder = r;
    pthread_mutex_unlock(&one.lock);
}

void use_recorder_close(void) {
    struct use_recorder *r = one.recorder;
    if (r == NULL)
        return;
    pthread_mutex_lock(&one.lock);
    r->ending = true;
    one.recorder = NULL;
    pthread_cond_signal(&one.come);
    pthread_mutex_unlock(&one.lock);
    pthread_join(r->thread, NULL);
    recorder_free(r);
}

void use_recorder_configure(const struct config *config) {
    char *identity = config->record_use ? identity_of(config) : NULL;
    bool same =
        one.recorder != NULL && identity != NULL && strcmp(identity, one.recorder->identity) == 0;
    free(identity);
    if (same)
        return;
    use_recorder_close();
    if (!config->record_use)
        return;
    session_hear_of_use(on_use);
    begin(config);
}
