/*
 * The merging of watches. Owns the rule by which many of them speak as one; starts and stops none.
 */
#include "gatepost/redis_merge.h"

#include <string.h>

#include "gatepost/clock.h"
#include "gatepost/log.h"

void redis_merge_init(struct redis_merge *merge, const char *store) {
    *merge = (struct redis_merge){.store = store, .holds = 1};
    pthread_mutex_init(&merge->lock, NULL);
}

void redis_merge_destroy(struct redis_merge *merge) {
    pthread_mutex_destroy(&merge->lock);
}

/* Under the lock, as is all that begins with "now_". */
static void now_tell(struct redis_merge *merge, enum store_event event, const char *subject) {
    if (merge->told != NULL)
        merge->told(merge->context, event, subject);
}

/* Says whether the store is watched, when that is news. */
static void now_say(struct redis_merge *merge) {
    bool watched = merge->settled == merge->holds && merge->sources != NULL;
    for (const struct redis_source *s = merge->sources; s != NULL; s = s->next)
        watched = watched && s->watched;
    if (watched == merge->said_watched)
        return;
    merge->said_watched = watched;
    now_tell(merge, watched ? STORE_WATCHED : STORE_LOST, NULL);
}

static void now_say_empty(struct redis_merge *merge) {
    bool empty = merge->sources != NULL;
    for (const struct redis_source *s = merge->sources; s != NULL; s = s->next)
        empty = empty && s->empty;
    if (empty && !merge->said_empty)
        log_event(LOG_WARNING, "policy-empty", "store", merge->store, "problem",
                  "there is no account in the store: everything is on and nobody is known",
                  (char *)NULL);
    merge->said_empty = empty;
}

void redis_merge_listen(struct redis_merge *merge, store_told *told, void *context) {
    pthread_mutex_lock(&merge->lock);
    merge->told = told;
    merge->context = context;
    pthread_mutex_unlock(&merge->lock);
}

void redis_merge_add(struct redis_merge *merge, struct redis_source *source) {
    pthread_mutex_lock(&merge->lock);
    *source = (struct redis_source){.merge = merge, .next = merge->sources};
    merge->sources = source;
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

void redis_merge_remove(struct redis_merge *merge, struct redis_source *source) {
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

void redis_merge_hold(struct redis_merge *merge) {
    pthread_mutex_lock(&merge->lock);
    merge->holds++;
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

unsigned redis_merge_holds(struct redis_merge *merge) {
    pthread_mutex_lock(&merge->lock);
    unsigned holds = merge->holds;
    pthread_mutex_unlock(&merge->lock);
    return holds;
}

void redis_merge_settle(struct redis_merge *merge, unsigned holds) {
    pthread_mutex_lock(&merge->lock);
    merge->settled = holds;
    now_say(merge);
    pthread_mutex_unlock(&merge->lock);
}

void redis_source_told(void *context, enum store_event event, const char *subject) {
    struct redis_source *source = context;
    struct redis_merge *merge = source->merge;
    int64_t now = clock_now_ms();
    pthread_mutex_lock(&merge->lock);
    switch (event) {
    case STORE_CHANGED:
        if (subject != NULL && strncmp(subject, "account:", 8) == 0)
            source->empty = merge->said_empty = false;
        now_tell(merge, event, subject);
        break;
    case STORE_WATCHED:
    case STORE_LOST:
        source->watched = event == STORE_WATCHED;
        now_say(merge);
        break;
    case STORE_BLIND: /* one of them is enough, and one word for all of them */
        source->watched = false;
        now_say(merge);
        if (merge->said_blind == 0 || now - merge->said_blind > STORE_BLIND_INTERVAL / 2) {
            merge->said_blind = now;
            now_tell(merge, event, NULL);
        }
        break;
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
