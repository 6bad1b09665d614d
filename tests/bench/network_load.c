/*
 * What a network of many members costs: loading it from a store as the filter does, the memory it
 * holds, and a look-up in it. Usage: network_load STORE_URL NETWORK... ; prints one line a network.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/netset.h"
#include "gatepost/store/store.h"

#define LOOKUPS 2000000

struct list {
    struct netblock *blocks;
    size_t n, room;
};

static int take(void *context, const struct store_field *field) {
    struct list *list = context;
    struct why why;
    if (list->n == list->room) {
        list->room = list->room == 0 ? 64 : list->room * 2;
        list->blocks = realloc(list->blocks, list->room * sizeof *list->blocks);
        if (list->blocks == NULL)
            return -1;
    }
    return netblock_parse(field->name, field->name_len, &list->blocks[list->n++], &why);
}

/* Nanoseconds of one look-up, over addresses of which half are members. */
static double lookup_cost(const struct netset *set, const struct list *list, size_t *inside) {
    static struct ip_address asked[65536];
    unsigned long long random = 88172645463325252ull;
    size_t n = sizeof asked / sizeof *asked;
    for (size_t i = 0; i < n; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        asked[i] = list->blocks[(random >> 20) % list->n].base;
        if (i % 2 == 0)
            memcpy(asked[i].bytes, &random, 4);
    }
    *inside = 0;
    int64_t begin = clock_now_us();
    for (size_t i = 0; i < LOOKUPS; i++)
        *inside += netset_contains(set, &asked[i % n]);
    return (double)(clock_now_us() - begin) * 1000 / LOOKUPS;
}

static int measure(struct store *store, const char *network) {
    char subject[200];
    struct why why = {"absent"};
    struct list list = {0};
    size_t inside;
    snprintf(subject, sizeof subject, "network:%s", network);
    int64_t begin = clock_now_us();
    if (store_walk(store, subject, take, &list, &why) != STORE_FOUND) {
        fprintf(stderr, "network_load: %s: %s\n", subject, why.text);
        return -1;
    }
    int64_t fetched = clock_now_us();
    struct netset *set = netset_new(list.blocks, list.n);
    int64_t built = clock_now_us();
    if (set == NULL)
        return -1;
    double cost = lookup_cost(set, &list, &inside);
    printf("%-10s %9zu %9.3f %9.3f %9.3f %10.1f %9.1f %9zu\n", network, list.n,
           (double)(fetched - begin) / 1e6, (double)(built - fetched) / 1e6,
           (double)(built - begin) / 1e6, (double)netset_memory(set) / 1024, cost, inside);
    netset_free(set);
    free(list.blocks);
    return 0;
}

int main(int argc, char **argv) {
    struct store *store;
    struct why why;
    if (argc < 3) {
        fputs("usage: network_load STORE_URL NETWORK...\n", stderr);
        return 2;
    }
    const struct store_settings settings = {.url = argv[1],
                                            .user = "",
                                            .password_file = "",
                                            .key_prefix = "gatepost:",
                                            .timeout = 10000};
    if (store_open(&settings, &store, &why) != 0) {
        fprintf(stderr, "network_load: %s\n", why.text);
        return 1;
    }
    printf("%-10s %9s %9s %9s %9s %10s %9s %9s\n", "network", "members", "fetch s", "build s",
           "load s", "memory KiB", "lookup ns", "inside");
    int rc = 0;
    for (int i = 2; i < argc && rc == 0; i++)
        rc = measure(store, argv[i]);
    store_free(store);
    return rc == 0 ? 0 : 1;
}
