/*
 * Sets of IP addresses as sorted, disjoint ranges. Owns their building and the search; knows
 * nothing of names, files or Redis.
 */
#include "gatepost/netset.h"

#include <stdlib.h>
#include <string.h>

struct range4 {
    uint32_t first, last; /* host order, both inside */
};

struct range6 {
    uint8_t first[16], last[16]; /* network order, both inside */
};

struct netset {
    struct range4 *v4;
    struct range6 *v6;
    size_t n4, n6;
};

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
    return set;
}

void netset_free(struct netset *set) {
    if (set == NULL)
        return;
    free(set->v4);
    free(set->v6);
    free(set);
}

static bool contains4(const struct netset *set, uint32_t ip) {
    size_t low = 0, high = set->n4;
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
    size_t low = 0, high = set->n6;
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
    return sizeof *set + set->n4 * sizeof *set->v4 + set->n6 * sizeof *set->v6;
}
