/*
 * Answers of the DNS kept for their time. Owns the bound on entries and the joining of identical
 * questions; does not ask any itself.
 */
#include "cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/waiting.h"

/* Parts with a lock of their own, so that threads seldom meet. */
#define SHARDS 16
/* Octets of records that a part keeps. */
#define SHARD_OCTETS (1 << 20)
#define KEY_SIZE 264

struct entry {
    char key[KEY_SIZE];
    struct dns_answer *answer; /* NULL while its owner finds it */
    bool sought;               /* somebody is finding it */
    unsigned waiting;          /* threads that wait for it: it must stay */
    UT_hash_handle hh;
};

struct shard {
    pthread_mutex_t lock;
    pthread_cond_t found;
    struct entry *entries; /* in the order of their making */
    size_t n, octets;
};

struct dns_cache {
    struct shard shards[SHARDS];
    size_t limit; /* of entries in a shard */
};

struct dns_cache *dns_cache_new(size_t entries) {
    struct dns_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->limit = entries / SHARDS + 1;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&cache->shards[i].lock, NULL);
        clock_cond_init(&cache->shards[i].found);
    }
    return cache;
}

static size_t octets_of(const struct dns_answer *answer) {
    size_t octets = 0;
    for (size_t i = 0; answer != NULL && i < answer->n; i++)
        octets += answer->records[i].len + sizeof answer->records[i];
    return octets;
}

static void drop_locked(struct shard *shard, struct entry *entry) {
    HASH_DEL(shard->entries, entry);
    shard->octets -= octets_of(entry->answer);
    shard->n--;
    dns_answer_release(entry->answer);
    free(entry);
}

void dns_cache_free(struct dns_cache *cache) {
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        while (cache->shards[i].entries != NULL)
            drop_locked(&cache->shards[i], cache->shards[i].entries);
        pthread_mutex_destroy(&cache->shards[i].lock);
        pthread_cond_destroy(&cache->shards[i].found);
    }
    free(cache);
}

/* The key of a question, names in lower case (RFC 4343), and its shard. */
static struct shard *shard_of(struct dns_cache *cache, const char *name, enum dns_type type,
                              char key[KEY_SIZE]) {
    unsigned hash = 5381;
    int n = snprintf(key, KEY_SIZE, "%d ", (int)type);
    for (; *name != '\0' && n < KEY_SIZE - 1; name++)
        key[n++] = (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
    key[n] = '\0';
    for (int i = 0; i < n; i++)
        hash = hash * 33 + (unsigned char)key[i];
    return &cache->shards[hash % SHARDS];
}

/* Makes room: the oldest entries that nobody waits for go first. */
static void trim_locked(struct dns_cache *cache, struct shard *shard) {
    struct entry *entry = shard->entries;
    while (entry != NULL && (shard->n >= cache->limit || shard->octets > SHARD_OCTETS)) {
        struct entry *next = entry->hh.next;
        if (entry->answer != NULL && entry->waiting == 0)
            drop_locked(shard, entry);
        entry = next;
    }
}

static struct entry *insert_locked(struct dns_cache *cache, struct shard *shard, const char *key) {
    trim_locked(cache, shard);
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    memcpy(entry->key, key, KEY_SIZE);
    entry->sought = true;
    HASH_ADD_STR(shard->entries, key, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return NULL;
    }
    shard->n++;
    return entry;
}

/* Waits for the owner of an entry. */
static struct dns_answer *wait_for_locked(struct shard *shard, struct entry *entry,
                                          int64_t deadline, bool *owner) {
    struct waiting w = waiting_begin(deadline);
    int rc = 0;
    entry->waiting++;
    while (entry->answer == NULL && entry->sought && rc == 0)
        rc = waiting_cond(&w, &shard->found, &shard->lock);
    waiting_end(&w);
    entry->waiting--;
    if (entry->answer != NULL)
        atomic_fetch_add(&entry->answer->references, 1);
    else if (!entry->sought) /* its owner gave up: now it is ours */
        *owner = entry->sought = true;
    return entry->answer;
}

struct dns_answer *dns_cache_get(struct dns_cache *cache, const char *name, enum dns_type type,
                                 int64_t deadline, bool *owner) {
    char key[KEY_SIZE] = "";
    struct shard *shard = shard_of(cache, name, type, key);
    struct dns_answer *answer = NULL;
    struct entry *entry;
    *owner = false;
    pthread_mutex_lock(&shard->lock);
    HASH_FIND_STR(shard->entries, key, entry);
    if (entry != NULL && entry->answer != NULL && entry->waiting == 0 &&
        entry->answer->expires <= clock_now_ms()) {
        drop_locked(shard, entry);
        entry = NULL;
    }
    if (entry == NULL)
        *owner = insert_locked(cache, shard, key) != NULL;
    else
        answer = wait_for_locked(shard, entry, deadline, owner);
    pthread_mutex_unlock(&shard->lock);
    return answer;
}

void dns_cache_put(struct dns_cache *cache, const char *name, enum dns_type type,
                   struct dns_answer *answer) {
    char key[KEY_SIZE] = "";
    struct shard *shard = shard_of(cache, name, type, key);
    struct entry *entry;
    pthread_mutex_lock(&shard->lock);
    HASH_FIND_STR(shard->entries, key, entry);
    if (entry != NULL && entry->answer == NULL && answer != NULL) {
        atomic_fetch_add(&answer->references, 1);
        entry->answer = answer;
        shard->octets += octets_of(answer);
        pthread_cond_broadcast(&shard->found);
    } else if (entry != NULL && entry->answer == NULL && entry->waiting == 0) {
        drop_locked(shard, entry);
    } else if (entry != NULL && entry->answer == NULL) { /* one of those who wait is to find it */
        entry->sought = false;
        pthread_cond_broadcast(&shard->found);
    }
    pthread_mutex_unlock(&shard->lock);
}
