/*
 * The face of the policy store: each question goes to the kind that was opened.
 */
#include "gatepost/store/store.h"

#include "implement.h"

#include <stdlib.h>

void store_free(struct store *store) {
    if (store != NULL)
        store->ops->free(store);
}

int store_get(struct store *store, const char *const *subjects, size_t n, struct store_hash *hashes,
              struct why *why) {
    for (size_t i = 0; i < n; i++)
        hashes[i] = (struct store_hash){.answer = STORE_UNANSWERED};
    return store->ops->get(store, subjects, n, hashes, why);
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

void store_hash_clear(struct store_hash *hash) {
    free(hash->fields);
    if (hash->owner_free != NULL)
        hash->owner_free(hash->owner);
    *hash = (struct store_hash){.answer = STORE_UNANSWERED};
}
