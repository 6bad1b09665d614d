/*
 * Answers of the DNS kept for their time. Owns the bounds on what is kept and the joining of
 * identical questions; does not ask any itself.
 *
 * Two kinds of answers have bounds of their own, so that a few large ones cannot displace many
 * small ones. Of each kind the oldest goes first, but one that was asked for again since it came,
 * or since it was last its turn, is passed over once: names that are asked for once, however many,
 * do not displace those that are asked for all the time.
 */
#include "cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/keyed_hash.h"
#include "gatepost/base/waiting.h"

/* Parts with a lock of their own, so that threads seldom meet. */
#define SHARDS 16
/* An answer that takes more octets of memory than this is a large one. */
#define LARGE 4096
/* Octets of memory for each kind of answers in a part. */
#define SMALL_OCTETS (3 << 19)
#define LARGE_OCTETS (1 << 19)
/* What is larger than this, a quarter of that, is not kept. */
#define KEPT_OCTETS (1 << 17)
/* The longest key: the type, and as much of the name as is needed to distinguish it. */
#define KEY_SIZE 264
/* What the allocator needs for each piece of memory. */
#define PIECE 16

enum kind { KIND_SMALL, KIND_LARGE };

struct entry {
    UT_hash_handle hh;
    TAILQ_ENTRY(entry) order;  /* among those of its kind; only with an answer */
    struct dns_answer *answer; /* NULL while its owner finds the first one */
    enum kind kind;            /* of the answer, like octets */
    size_t octets;
    unsigned turn;       /* how many answers there were */
    unsigned waiting;    /* threads that wait for the next one: the entry must stay */
    bool sought;         /* somebody is finding it: likewise */
    bool used;           /* the answer was given to somebody */
    int64_t failed_at;   /* when the answer failed */
    int64_t failed_kept; /* for how many milliseconds that is kept; 0 if it did not */
    char key[];
};

TAILQ_HEAD(entry_list, entry);

struct shard {
    pthread_mutex_t lock;
    pthread_cond_t found;
    struct entry *entries;
    struct entry_list kept[2]; /* by kind, the oldest first */
    size_t n[2], octets[2];
};

struct dns_cache {
    struct shard shards[SHARDS];
    size_t limit;                   /* of small entries in a shard */
    _Atomic int64_t failures_since; /* earlier ones are forgotten */
};

struct dns_cache *dns_cache_new(size_t entries) {
    struct dns_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->limit = entries / SHARDS + 1;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&cache->shards[i].lock, NULL);
        clock_cond_init(&cache->shards[i].found);
        TAILQ_INIT(&cache->shards[i].kept[KIND_SMALL]);
        TAILQ_INIT(&cache->shards[i].kept[KIND_LARGE]);
    }
    return cache;
}

static size_t octets_of(const struct entry *entry, const struct dns_answer *answer) {
    size_t octets = sizeof *entry + strlen(entry->key) + sizeof *answer + 3 * PIECE;
    for (size_t i = 0; i < answer->n; i++)
        octets += answer->records[i].len + 2 * sizeof answer->records[i] + PIECE;
    return octets;
}

/* Takes the answer out of an entry. */
static void strip_locked(struct shard *shard, struct entry *entry) {
    if (entry->answer == NULL)
        return;
    TAILQ_REMOVE(&shard->kept[entry->kind], entry, order);
    shard->octets[entry->kind] -= entry->octets;
    shard->n[entry->kind]--;
    dns_answer_release(entry->answer);
    entry->answer = NULL;
}

static void drop_locked(struct shard *shard, struct entry *entry) {
    strip_locked(shard, entry);
    HASH_DEL(shard->entries, entry);
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

/* A question as the cache knows it, the name in lower case (RFC 4343). */
struct key {
    char text[KEY_SIZE];
    unsigned len, hash;
};

static struct shard *key_make(struct dns_cache *cache, const char *name, enum dns_type type,
                              struct key *key) {
    unsigned n = 0;
    key->text[n++] = (char)type;
    for (; *name != '\0' && n < KEY_SIZE - 1; name++)
        key->text[n++] = (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
    key->text[n] = '\0';
    key->len = n;
    key->hash = (unsigned)keyed_hash(key->text, n);
    return &cache->shards[key->hash >> 28]; /* the hash table takes the lower bits */
}

static struct entry *find_locked(struct shard *shard, const struct key *key) {
    struct entry *entry;
    HASH_FIND_BYHASHVALUE(hh, shard->entries, key->text, key->len, key->hash, entry);
    return entry;
}

static struct entry *insert_locked(struct shard *shard, const struct key *key) {
    struct entry *entry = calloc(1, sizeof *entry + key->len + 1);
    if (entry == NULL)
        return NULL;
    memcpy(entry->key, key->text, key->len + 1);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, shard->entries, entry->key, key->len, key->hash, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return NULL;
    }
    return entry;
}

/* Is there room for one more answer of a kind, of so many octets? */
static bool has_room_locked(const struct dns_cache *cache, const struct shard *shard,
                            enum kind kind, size_t octets) {
    return shard->octets[kind] + octets <= (kind == KIND_LARGE ? LARGE_OCTETS : SMALL_OCTETS) &&
           (kind == KIND_LARGE || shard->n[kind] < cache->limit);
}

/* Makes room for it: an answer whose entry must stay, or that was used, is passed over once. */
static void trim_locked(const struct dns_cache *cache, struct shard *shard, enum kind kind,
                        size_t octets) {
    struct entry_list *list = &shard->kept[kind];
    size_t most = 2 * shard->n[kind];
    for (size_t i = 0; i < most && !has_room_locked(cache, shard, kind, octets); i++) {
        struct entry *entry = TAILQ_FIRST(list);
        if (entry->used || entry->sought || entry->waiting > 0) {
            entry->used = false;
            TAILQ_REMOVE(list, entry, order);
            TAILQ_INSERT_TAIL(list, entry, order);
        } else {
            drop_locked(shard, entry);
        }
    }
}

/* Is the entry's answer one for somebody with this deadline? */
static bool is_good(const struct dns_cache *cache, const struct entry *entry, int64_t now,
                    int64_t deadline) {
    const struct dns_answer *answer = entry->answer;
    if (answer == NULL || answer->status != DNS_FAILED)
        return answer != NULL;
    return entry->failed_at >= atomic_load_explicit(&cache->failures_since, memory_order_relaxed) &&
           (answer->patience == 0 || deadline - now <= answer->patience + answer->patience / 4);
}

static struct dns_answer *give_locked(struct entry *entry) {
    entry->used = true;
    atomic_fetch_add(&entry->answer->references, 1);
    return entry->answer;
}

/* Waits for the owner of an entry. */
static struct dns_answer *wait_for_locked(const struct dns_cache *cache, struct shard *shard,
                                          struct entry *entry, int64_t deadline, bool *owner) {
    struct waiting waiting = waiting_begin(deadline);
    struct dns_answer *answer = NULL;
    unsigned turn = entry->turn;
    int rc = 0;
    entry->waiting++;
    while (answer == NULL && !*owner && rc == 0) {
        /* what came meanwhile was waited for, so that it is not too old */
        if (entry->turn != turn && is_good(cache, entry, clock_now_ms(), deadline))
            answer = give_locked(entry);
        else if (!entry->sought) /* the owner found nothing of use: now it is ours */
            *owner = entry->sought = true;
        else
            rc = waiting_cond(&waiting, &shard->found, &shard->lock);
    }
    entry->waiting--;
    waiting_end(&waiting);
    return answer;
}

/* An entry that is neither kept nor looked for goes; so does an answer that was only waited for. */
static void leave_locked(struct shard *shard, struct entry *entry) {
    if (!entry->sought && entry->waiting == 0 &&
        (entry->answer == NULL ||
         (entry->failed_kept == 0 && entry->answer->expires <= clock_now_ms())))
        drop_locked(shard, entry);
}

bool dns_cache_has(struct dns_cache *cache, const char *name, enum dns_type type,
                   int64_t deadline) {
    struct key key;
    struct shard *shard = key_make(cache, name, type, &key);
    int64_t now = clock_now_ms();
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = find_locked(shard, &key);
    bool has = entry != NULL && entry->answer != NULL && entry->answer->expires > now &&
               is_good(cache, entry, now, deadline);
    pthread_mutex_unlock(&shard->lock);
    return has;
}

struct dns_answer *dns_cache_get(struct dns_cache *cache, const char *name, enum dns_type type,
                                 int64_t deadline, bool *owner) {
    struct key key;
    struct shard *shard = key_make(cache, name, type, &key);
    struct dns_answer *answer = NULL;
    int64_t now = clock_now_ms();
    *owner = false;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find_locked(shard, &key);
    if (entry == NULL)
        entry = insert_locked(shard, &key);
    if (entry != NULL && entry->answer != NULL && entry->answer->expires > now &&
        is_good(cache, entry, now, deadline)) {
        answer = give_locked(entry);
    } else if (entry != NULL && entry->sought) {
        answer = wait_for_locked(cache, shard, entry, deadline, owner);
        leave_locked(shard, entry);
    } else if (entry != NULL) {
        *owner = entry->sought = true;
    }
    pthread_mutex_unlock(&shard->lock);
    return answer;
}

/* For how long a failure is kept; longer when the last one has not been over for long. */
static void prolong(struct entry *entry, struct dns_answer *answer) {
    int64_t now = clock_now_ms(), kept = answer->expires > now ? answer->expires - now : 0;
    if (now - entry->failed_at < entry->failed_kept + DNS_FAILURE_KEPT_MAX &&
        kept < 2 * entry->failed_kept)
        kept = 2 * entry->failed_kept;
    if (kept > DNS_FAILURE_KEPT_MAX)
        kept = DNS_FAILURE_KEPT_MAX;
    answer->expires = now + kept;
    entry->failed_at = now;
    entry->failed_kept = kept;
}

/* Gives an entry its answer. */
static void fill_locked(const struct dns_cache *cache, struct shard *shard, struct entry *entry,
                        struct dns_answer *answer) {
    strip_locked(shard, entry);
    if (answer->status == DNS_FAILED)
        prolong(entry, answer);
    else
        entry->failed_kept = 0;
    entry->octets = octets_of(entry, answer);
    if (entry->octets > KEPT_OCTETS)
        answer->expires = 0; /* only those who wait get it */
    entry->kind = entry->octets > LARGE ? KIND_LARGE : KIND_SMALL;
    if (answer->expires > clock_now_ms())
        trim_locked(cache, shard, entry->kind, entry->octets);
    atomic_fetch_add(&answer->references, 1);
    entry->answer = answer;
    entry->used = false;
    entry->turn++;
    shard->octets[entry->kind] += entry->octets;
    shard->n[entry->kind]++;
    TAILQ_INSERT_TAIL(&shard->kept[entry->kind], entry, order);
}

void dns_cache_put(struct dns_cache *cache, const char *name, enum dns_type type,
                   struct dns_answer *answer) {
    struct key key;
    struct shard *shard = key_make(cache, name, type, &key);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find_locked(shard, &key);
    if (entry != NULL) {
        if (answer != NULL)
            fill_locked(cache, shard, entry, answer);
        entry->sought = false;
        if (entry->waiting > 0)
            pthread_cond_broadcast(&shard->found);
        leave_locked(shard, entry);
    }
    pthread_mutex_unlock(&shard->lock);
}

void dns_cache_forget_failures(struct dns_cache *cache) {
    atomic_store_explicit(&cache->failures_since, clock_now_ms() + 1, memory_order_relaxed);
}
