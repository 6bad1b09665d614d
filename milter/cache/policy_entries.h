/*
 * The entries of one part of the policy cache: a bounded table of subjects.
 *
 * What goes first when room is needed: subjects that do not exist and were asked for once, so that
 * a flood of made-up senders displaces nothing but itself. Then those that do not exist and are
 * asked for again, as far as they are more than an eighth of all. Then those that exist. Within the
 * last two the oldest goes, but one that was used since its last turn is passed over once. The cost
 * does not depend on how many there are.
 *
 * All of it needs the lock of its owner.
 */
#ifndef GATEPOST_CACHE_POLICY_ENTRIES_H
#define GATEPOST_CACHE_POLICY_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "policy_fetch.h"

enum entry_rank {
    RANK_ONCE,   /* not there, or not known to be, and not asked for again since */
    RANK_AGAIN,  /* not there, and asked for again */
    RANK_EXISTS, /* it has policy */
    ENTRY_RANKS
};

struct entry {
    struct shared_policy *known; /* what was known last; NULL for nothing. One reference */
    uint64_t ticket;             /* of the look-up in progress; 0 for none */
    uint64_t failed;             /* ticket of the last one that failed */
    bool overtaken;              /* the subject changed since that look-up began */
    bool outdated;               /* or since `known` was asked for: it must not serve again */
    bool used;                   /* since its last turn to go */
    unsigned char rank;
    unsigned pins; /* look-ups that hold this entry: it stays */
    TAILQ_ENTRY(entry) order;
    UT_hash_handle hh;
    char subject[];
};

TAILQ_HEAD(entry_list, entry);

struct entries {
    struct entry *table;
    struct entry_list lists[ENTRY_RANKS]; /* the next to go first */
    size_t n[ENTRY_RANKS], limit;
};

void entries_init(struct entries *entries, size_t limit);
void entries_clear_locked(struct entries *entries);

size_t entries_count_locked(const struct entries *entries);

/* `hash` is the subject's, always by the same function. NULL: it is not there. */
struct entry *entries_find_locked(const struct entries *entries, const char *subject,
                                  unsigned hash);

/* An entry of which nothing is known. NULL when there is no memory, or every entry is pinned. */
struct entry *entries_add_locked(struct entries *entries, const char *subject, unsigned hash);

/* Frees the entry and what is known. */
void entries_drop_locked(struct entries *entries, struct entry *entry);

/* What is known of it has been given to somebody. */
void entries_used_locked(struct entries *entries, struct entry *entry);

/* Takes a reference to what is known from now on; returns that to what was known, or NULL. */
struct shared_policy *entries_learn_locked(struct entries *entries, struct entry *entry,
                                           struct shared_policy *known);

#endif
