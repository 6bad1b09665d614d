/*
 * Which CIDR block lies inside which: a list of blocks with their names, built once and then asked.
 * Pure.
 */
#ifndef GATEPOST_CTL_LINT_BLOCK_INDEX_H
#define GATEPOST_CTL_LINT_BLOCK_INDEX_H

#include <stdint.h>

#include "gatepost/core/netblock.h"

struct block_entry {
    struct netblock block;
    int64_t until;    /* 0: without end */
    const char *name; /* the caller's, as stored */
};

struct block_index {
    struct block_entry *entries;
    size_t n, room;
    uint64_t prefixes4, prefixes6[3]; /* lengths that occur: bit n is length n */
};

/* Adds one. */
void block_index_add(struct block_index *index, const struct netblock *block, int64_t until,
                     const char *name);
/* To be called after the last block_index_add(). */
void block_index_build(struct block_index *index);
void block_index_clear(struct block_index *index);

/*
 * An entry that contains `block` and lasts as long as `until` at least: the widest one. Only blocks
 * that are strictly wider count, or with `same` also the same block. NULL when there is none.
 */
const struct block_entry *block_index_around(const struct block_index *index,
                                             const struct netblock *block, int64_t until,
                                             bool same);

/* The first of the entries with the same block as entries[i], which may be itself. */
size_t block_index_first_same(const struct block_index *index, size_t i);

#endif
