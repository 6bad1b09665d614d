/*
 * The merging of watches. Owns the rule by which many of them speak as one; starts and stops none.
 */
#include "gatepost/store/cluster/watches.h"

#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"

void redis_watches_init(struct redis_watches *merge, const char *store) {
    *merge = (struct redis_watches){.store = store, .holds = 1, .said = STORE_LOST};
    pthread_mutex_init(&merge->lock, NULL);
}

void redis_watches_destroy(struct redis_watches *merge) {
    pthread_mutex_destroy(&merge->lock);
}

/* Under the lock, as is all that begins with "now_". */
static void now_tell(struct redis_watches *merge, enum store_event event, const char *subject) {
    if (merge->told != NULL)
        merge->told(merge->context, event, subject);
}

/* Reports how the store is watched, when that has changed, or when it is blind and time to say so
 * again. */
static void now_say(struct redis_watches *merge) {
    bool lost = merge->settled != merge->holds || merge->sources == NULL, blind = false;
    int64_t now = clock_now_ms();
    for (const struct redis_source *s = merge->sources; s != NULL; s = s->next) {
        lost = lost || s->state == STORE_LOST;
        blind = blind || s->state == STORE_BLIND;
    }
    enum store_event state = lost ? STORE_LOST : blind ? STORE_BLIND : STORE_WATCHED;
    bool due = state == STORE_BLIND && now - merge->said_at >= STORE_BLIND_INTERVAL;
    if (state == merge->said && !due)
        return;
    merge->said = state;
    merge->said_at = now;
    now_tell(merge, state, NULL);
}

static void now_say_empty(struct redis_watches *merge) {
    bool empty = merge->sources != NULL;
    for (const struct redis_source *s = merge->sources; s != NULL; s = s->next)
        empty = empty && s->empty;
    if (empty && !merge->said_empty)
        log_event(LOG_WARNING, "policy-empty", "store", merge->store, "problem",
                  "there is no account in the store: everything is allowed, and no sender is known",
                  (char *)NULL);
    merge->said_empty = empty;
}

void redis_watches_listen(struct redis_watches *merge, store_told *told, void *context) {
    pthread_mutex_lock(&merge->lock);
    merge->told = told;
    merge->context = context;
    pthread_mutex_unlock(&merge->lock);
}

void redis_watches_add(struct redis_watches *merge, struct redis_source *source) {
    pthread_mutex_lock(&merge->lock);
    *source = (struct redis_source){.merge = merge, .next = merge->sources, .state = STORE_LOST};
    merge->sources = source;
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

void redis_watches_remove(struct redis_watches *merge, struct redis_source *source) {
    pthread_mutex_lock(&merge->lock);
    for (struct redis_source **at = &merge->sources; *at != NULL; at = &(*at)->next) {
        if (*at == source) {
            *at = source->next;
            break;
        }
    }
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

void redis_watches_hold(struct redis_watches *merge) {
    pthread_mutex_lock(&merge->lock);
    merge->holds++;
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

unsigned redis_watches_holds(struct redis_watches *merge) {
    pthread_mutex_lock(&merge->lock);
    unsigned holds = merge->holds;
    pthread_mutex_unlock(&merge->lock);
    return holds;
}

void redis_watches_settle(struct redis_watches *merge, unsigned holds) {
    pthread_mutex_lock(&merge->lock);
    merge->settled = holds;
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

void redis_source_told(void *context, enum store_event event, const char *subject) {
    struct redis_source *source = context;
    struct redis_watches *merge = source->merge;
    pthread_mutex_lock(&merge->lock);
    if (event != STORE_CHANGED) {
        source->state = event;
        now_say(merge);
    } else {
        if (subject != NULL && strncmp(subject, "account:", 8) == 0)
            source->empty = merge->said_empty = false;
        now_tell(merge, event, subject);
    }
    pthread_mutex_unlock(&merge->lock);
}

void redis_source_counted(void *context, bool empty) {
    struct redis_source *source = context;
    pthread_mutex_lock(&source->merge->lock);
    source->empty = empty;
    now_say_empty(source->merge);
    pthread_mutex_unlock(&source->merge->lock);
}
