/*
 * Blocks inside blocks. Owns their order and the search for what contains one.
 */
#include "block_index.h"

#include <stdlib.h>
#include <string.h>

#include "../memory.h"

void block_index_add(struct block_index *index, const struct netblock *block, int64_t until,
                     const char *name) {
    index->entries = xgrow(index->entries, index->n, &index->room, sizeof *index->entries);
    index->entries[index->n++] = (struct block_entry){*block, until, name};
    if (block->base.family == IP_V4)
        index->prefixes4 |= (uint64_t)1 << block->prefix;
    else
        index->prefixes6[block->prefix / 64] |= (uint64_t)1 << (block->prefix % 64);
}

static int compare_blocks(const struct netblock *a, const struct netblock *b) {
    if (a->base.family != b->base.family)
        return a->base.family < b->base.family ? -1 : 1;
    int order = memcmp(a->base.bytes, b->base.bytes, a->base.family == IP_V4 ? 4 : 16);
    return order != 0 ? order : (a->prefix > b->prefix) - (a->prefix < b->prefix);
}

/* Among the same block the one that lasts longest comes first. */
static int compare(const void *a, const void *b) {
    const struct block_entry *x = a, *y = b;
    int order = compare_blocks(&x->block, &y->block);
    if (order != 0 || x->until == y->until)
        return order != 0 ? order : strcmp(x->name, y->name);
    if (x->until == 0 || y->until == 0)
        return x->until == 0 ? -1 : 1;
    return x->until > y->until ? -1 : 1;
}

void block_index_build(struct block_index *index) {
    if (index->n > 1)
        qsort(index->entries, index->n, sizeof *index->entries, compare);
}

void block_index_clear(struct block_index *index) {
    free(index->entries);
    *index = (struct block_index){0};
}

size_t block_index_first_same(const struct block_index *index, size_t i) {
    while (i > 0 && compare_blocks(&index->entries[i - 1].block, &index->entries[i].block) == 0)
        i--;
    return i;
}

/* The first entry of this very block; NULL when there is none. */
static const struct block_entry *find(const struct block_index *index,
                                      const struct netblock *block) {
    size_t low = 0, high = index->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare_blocks(&index->entries[mid].block, block) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == index->n || compare_blocks(&index->entries[low].block, block) != 0)
        return NULL;
    return &index->entries[low];
}

static bool occurs(const struct block_index *index, const struct netblock *block, unsigned prefix) {
    if (block->base.family == IP_V4)
        return (index->prefixes4 >> prefix & 1) != 0;
    return (index->prefixes6[prefix / 64] >> (prefix % 64) & 1) != 0;
}

const struct block_entry *block_index_around(const struct block_index *index,
                                             const struct netblock *block, int64_t until,
                                             bool same) {
    for (unsigned prefix = 0; prefix < block->prefix + (same ? 1u : 0u); prefix++) {
        struct netblock wider = *block;
        if (!occurs(index, block, prefix))
            continue;
        wider.prefix = (uint8_t)prefix;
        ip_mask(&wider.base, prefix);
        const struct block_entry *found = find(index, &wider);
        if (found != NULL && (found->until == 0 || (until != 0 && found->until >= until)))
            return found;
    }
    return NULL;
}
