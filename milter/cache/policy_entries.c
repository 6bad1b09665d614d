/*
 * Entries of the policy cache. Owns the bound on them and who goes first; what they are good for is
 * policy_cache.c's.
 */
#include "policy_entries.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/base/metrics.h"

/* Subjects that do not exist but are asked for again may keep this part of the room. */
#define AGAIN_SHARE 8

void entries_init(struct entries *entries, size_t limit) {
    *entries = (struct entries){.limit = limit};
    for (int i = 0; i < ENTRY_RANKS; i++)
        TAILQ_INIT(&entries->lists[i]);
}

void entries_clear_locked(struct entries *entries) {
    while (entries->table != NULL)
        entries_drop_locked(entries, entries->table);
}

size_t entries_count_locked(const struct entries *entries) {
    return entries->n[RANK_ONCE] + entries->n[RANK_AGAIN] + entries->n[RANK_EXISTS];
}

static void leave_list_locked(struct entries *entries, struct entry *entry) {
    TAILQ_REMOVE(&entries->lists[entry->rank], entry, order);
    entries->n[entry->rank]--;
}

static void join_list_locked(struct entries *entries, struct entry *entry, enum entry_rank rank) {
    entry->rank = (unsigned char)rank;
    TAILQ_INSERT_TAIL(&entries->lists[rank], entry, order);
    entries->n[rank]++;
}

void entries_drop_locked(struct entries *entries, struct entry *entry) {
    leave_list_locked(entries, entry);
    HASH_DEL(entries->table, entry);
    metrics_cache_entries(-1);
    shared_policy_release(entry->known);
    free(entry);
}

struct entry *entries_find_locked(const struct entries *entries, const char *subject,
                                  unsigned hash) {
    struct entry *entry;
    HASH_FIND_BYHASHVALUE(hh, entries->table, subject, strlen(subject), hash, entry);
    return entry;
}

/* The next of its rank to go; NULL when all are pinned. */
static struct entry *next_to_go_locked(struct entries *entries, enum entry_rank rank) {
    for (size_t turns = 2 * entries->n[rank]; turns > 0; turns--) {
        struct entry *entry = TAILQ_FIRST(&entries->lists[rank]);
        if (entry->pins == 0 && !entry->used)
            return entry;
        entry->used = false;
        leave_list_locked(entries, entry);
        join_list_locked(entries, entry, rank);
    }
    return NULL;
}

/* False when every entry is pinned. */
static bool make_room_locked(struct entries *entries) {
    while (entries_count_locked(entries) >= entries->limit) {
        struct entry *entry = next_to_go_locked(entries, RANK_ONCE);
        if (entry == NULL && entries->n[RANK_AGAIN] > entries->limit / AGAIN_SHARE)
            entry = next_to_go_locked(entries, RANK_AGAIN);
        if (entry == NULL)
            entry = next_to_go_locked(entries, RANK_EXISTS);
        if (entry == NULL)
            entry = next_to_go_locked(entries, RANK_AGAIN);
        if (entry == NULL)
            return false;
        entries_drop_locked(entries, entry);
    }
    return true;
}

struct entry *entries_add_locked(struct entries *entries, const char *subject, unsigned hash) {
    size_t len = strlen(subject);
    if (!make_room_locked(entries))
        return NULL;
    struct entry *entry = calloc(1, sizeof *entry + len + 1);
    if (entry == NULL)
        return NULL;
    memcpy(entry->subject, subject, len + 1);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, entries->table, entry->subject, len, hash, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return NULL;
    }
    join_list_locked(entries, entry, RANK_ONCE);
    metrics_cache_entries(1);
    return entry;
}

static void rank_locked(struct entries *entries, struct entry *entry, enum entry_rank rank) {
    if (entry->rank == rank)
        return;
    leave_list_locked(entries, entry);
    join_list_locked(entries, entry, rank);
}

void entries_used_locked(struct entries *entries, struct entry *entry) {
    entry->used = true;
    if (entry->rank == RANK_ONCE)
        rank_locked(entries, entry, RANK_AGAIN);
}

struct shared_policy *entries_learn_locked(struct entries *entries, struct entry *entry,
                                           struct shared_policy *known) {
    struct shared_policy *last = entry->known;
    entry->known = shared_policy_acquire(known);
    if (known->policy != NULL)
        rank_locked(entries, entry, RANK_EXISTS);
    else if (entry->rank == RANK_EXISTS)
        rank_locked(entries, entry, RANK_ONCE);
    return last;
}
