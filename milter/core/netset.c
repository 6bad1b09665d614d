/*
 * Sets of IP addresses as sorted, disjoint ranges. Owns their building and the search; knows
 * nothing of names, files or Redis.
 */
#include "gatepost/core/netset.h"

#include <stdlib.h>
#include <string.h>

struct range4 {
    uint32_t first, last; /* host order, both inside */
};

struct range6 {
    uint8_t first[16], last[16]; /* network order, both inside */
};

/*
 * Where to begin a search: ranges whose first address has the same leading bits lie together, and
 * start[i] is the first range of group i or after it. So a search in a million looks at as few
 * places as one in ten.
 */
struct index {
    uint64_t least; /* leading 64 bits of the least first address */
    unsigned shift; /* a group is (leading bits - least) >> shift */
    size_t groups;
    uint32_t *start; /* of groups + 1 */
};

struct netset {
    struct range4 *v4;
    struct range6 *v6;
    size_t n4, n6;
    struct index index4, index6;
};

/* Groups at the most; with fewer ranges fewer do. */
#define GROUPS_MAX 65536

static uint32_t load32(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int order4(const void *a, const void *b) {
    uint32_t x = ((const struct range4 *)a)->first, y = ((const struct range4 *)b)->first;
    return (x > y) - (x < y);
}

static int order6(const void *a, const void *b) {
    return memcmp(((const struct range6 *)a)->first, ((const struct range6 *)b)->first, 16);
}

static void fill(struct netset *set, const struct netblock *blocks, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct netblock *b = &blocks[i];
        if (b->base.family == IP_V4) {
            uint32_t first = load32(b->base.bytes);
            uint32_t rest =
                b->prefix == 0 ? UINT32_MAX : (uint32_t)((1ull << (32 - b->prefix)) - 1);
            set->v4[set->n4++] = (struct range4){first, first | rest};
        } else {
            struct range6 *r = &set->v6[set->n6++];
            memcpy(r->first, b->base.bytes, 16);
            memcpy(r->last, b->base.bytes, 16);
            for (unsigned bit = b->prefix; bit < 128; bit++)
                r->last[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
        }
    }
}

/* Two CIDR blocks are nested or apart, so merging only drops what lies inside an earlier one. */
static void merge(struct netset *set) {
    size_t kept = 0;
    qsort(set->v4, set->n4, sizeof *set->v4, order4);
    for (size_t i = 0; i < set->n4; i++) {
        if (kept > 0 && set->v4[i].first <= set->v4[kept - 1].last) {
            if (set->v4[i].last > set->v4[kept - 1].last)
                set->v4[kept - 1].last = set->v4[i].last;
        } else {
            set->v4[kept++] = set->v4[i];
        }
    }
    set->n4 = kept;
    kept = 0;
    qsort(set->v6, set->n6, sizeof *set->v6, order6);
    for (size_t i = 0; i < set->n6; i++) {
        if (kept > 0 && memcmp(set->v6[i].first, set->v6[kept - 1].last, 16) <= 0) {
            if (memcmp(set->v6[i].last, set->v6[kept - 1].last, 16) > 0)
                memcpy(set->v6[kept - 1].last, set->v6[i].last, 16);
        } else {
            set->v6[kept++] = set->v6[i];
        }
    }
    set->n6 = kept;
}

static uint64_t leading6(const uint8_t *b) {
    return (uint64_t)load32(b) << 32 | load32(b + 4);
}

static uint64_t leading(const struct netset *set, bool v6, size_t i) {
    return v6 ? leading6(set->v6[i].first) : set->v4[i].first;
}

static int make_index(const struct netset *set, bool v6, struct index *index) {
    size_t n = v6 ? set->n6 : set->n4, next = 0;
    uint64_t span;
    if (n == 0)
        return 0;
    index->least = leading(set, v6, 0);
    span = leading(set, v6, n - 1) - index->least;
    while ((span >> index->shift) >= GROUPS_MAX || (span >> index->shift) > 2 * n)
        index->shift++;
    index->groups = (size_t)(span >> index->shift) + 1;
    index->start = malloc((index->groups + 1) * sizeof *index->start);
    if (index->start == NULL)
        return -1;
    for (size_t group = 0; group <= index->groups; group++) {
        while (next < n && (leading(set, v6, next) - index->least) >> index->shift < group)
            next++;
        index->start[group] = (uint32_t)next;
    }
    return 0;
}

/* The ranges among which the last that begins at or before `key` ends: [*low, *high] */
static void index_find(const struct index *index, uint64_t key, size_t n, size_t *low,
                       size_t *high) {
    uint64_t group = key < index->least ? 0 : (key - index->least) >> index->shift;
    *low = *high = n;
    if (group < index->groups) {
        *low = index->start[group];
        *high = index->start[group + 1];
    }
}

struct netset *netset_new(const struct netblock *blocks, size_t n) {
    struct netset *set = calloc(1, sizeof *set);
    size_t n4 = 0;
    for (size_t i = 0; i < n; i++)
        n4 += blocks[i].base.family == IP_V4;
    if (set == NULL)
        return NULL;
    set->v4 = malloc((n4 + 1) * sizeof *set->v4); /* + 1: never a malloc(0) */
    set->v6 = malloc((n - n4 + 1) * sizeof *set->v6);
    if (set->v4 == NULL || set->v6 == NULL) {
        netset_free(set);
        return NULL;
    }
    fill(set, blocks, n);
    merge(set);
    if (make_index(set, false, &set->index4) != 0 || make_index(set, true, &set->index6) != 0) {
        netset_free(set);
        return NULL;
    }
    return set;
}

void netset_free(struct netset *set) {
    if (set == NULL)
        return;
    free(set->v4);
    free(set->v6);
    free(set->index4.start);
    free(set->index6.start);
    free(set);
}

static bool contains4(const struct netset *set, uint32_t ip) {
    size_t low, high;
    index_find(&set->index4, ip, set->n4, &low, &high);
    while (low < high) { /* the last range that begins at or before ip */
        size_t mid = low + (high - low) / 2;
        if (set->v4[mid].first <= ip)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && ip <= set->v4[low - 1].last;
}

static bool contains6(const struct netset *set, const uint8_t *ip) {
    size_t low, high;
    index_find(&set->index6, leading6(ip), set->n6, &low, &high);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (memcmp(set->v6[mid].first, ip, 16) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && memcmp(ip, set->v6[low - 1].last, 16) <= 0;
}

bool netset_contains(const struct netset *set, const struct ip_address *ip) {
    if (ip->family == IP_V4)
        return contains4(set, load32(ip->bytes));
    return ip->family == IP_V6 && contains6(set, ip->bytes);
}

size_t netset_memory(const struct netset *set) {
    return sizeof *set + set->n4 * sizeof *set->v4 + set->n6 * sizeof *set->v6 +
           (set->index4.groups + set->index6.groups) * sizeof *set->index4.start;
}
