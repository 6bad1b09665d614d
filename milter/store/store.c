/*
 * The face of the policy store: each question goes to the kind that was opened.
 */
#include "gatepost/store/store.h"

#include "implement.h"

#include <stdlib.h>

#include "gatepost/base/clock.h"

void store_free(struct store *store) {
    if (store != NULL)
        store->ops->free(store);
}

int store_get(struct store *store, const char *const *subjects, size_t n, struct store_hash *hashes,
              int64_t deadline, struct why *why) {
    for (size_t i = 0; i < n; i++)
        hashes[i] = (struct store_hash){.answer = STORE_UNANSWERED};
    return store->ops->get(store, subjects, n, hashes, deadline, why);
}

/* Of an answer that is kept nowhere. */
static int get_and_make(struct store *store, const char *const *subjects, size_t n,
                        const struct store_maker *maker, void **made, int64_t deadline,
                        struct why *why) {
    struct store_hash hashes[STORE_MADE_MAX];
    int rc = store_get(store, subjects, n, hashes, deadline, why);
    for (size_t i = 0; i < n; i++) {
        if (hashes[i].answer != STORE_UNANSWERED &&
            (made[i] = maker->make(subjects[i], &hashes[i])) == NULL)
            rc = why_set(why, "no memory");
        store_hash_clear(&hashes[i]);
    }
    return rc;
}

int store_get_made(struct store *store, const char *const *subjects, size_t n,
                   const struct store_maker *maker, void **made, int64_t deadline,
                   struct why *why) {
    for (size_t i = 0; i < n; i++)
        made[i] = NULL;
    return store->ops->get_made == NULL
               ? get_and_make(store, subjects, n, maker, made, deadline, why)
               : store->ops->get_made(store, subjects, n, maker, made, why);
}

int store_walk(struct store *store, const char *subject, store_take_field *take, void *context,
               struct why *why) {
    return store->ops->walk(store, subject, take, context, why);
}

bool store_is_up(struct store *store) {
    return store->ops->is_up == NULL || store->ops->is_up(store);
}

bool store_is_remote(const struct store *store) {
    return store->remote;
}

int store_watch(struct store *store, store_told *told, void *context, struct why *why) {
    return store->ops->watch(store, told, context, why);
}

void store_unwatch(struct store *store) {
    store->ops->unwatch(store);
}

bool store_is_too_large(size_t fields, size_t octets) {
    return fields > STORE_FIELDS_MAX || octets > STORE_OCTETS_MAX;
}

void store_doubt(struct store_doubt *doubt) {
    atomic_store_explicit(&doubt->until, clock_now_ms() + STORE_DOUBT_TIME, memory_order_relaxed);
}

bool store_doubts(const struct store_doubt *doubt) {
    int64_t until = atomic_load_explicit(&doubt->until, memory_order_relaxed);
    return until != 0 && clock_now_ms() < until;
}

bool store_hash_wants_reading(struct store_hash *hash) {
    if (hash->answer != STORE_FOUND && hash->answer != STORE_UNANSWERED)
        return false;
    hash->answer = STORE_UNANSWERED;
    return true;
}

void store_hash_clear(struct store_hash *hash) {
    free(hash->fields);
    if (hash->owner_free != NULL)
        hash->owner_free(hash->owner);
    *hash = (struct store_hash){.answer = STORE_UNANSWERED};
}
