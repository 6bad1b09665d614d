/*
 * Shares of the evaluations that wait. Owns the counts; who waits, and for what, is terms.c's.
 */
#include "shares.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* by default uthash ends the process when memory runs out */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define KEY_SIZE 264

/* How many evaluations of one key wait; there is one of each key as long as it is not 0. */
struct share_count {
    unsigned n;
    UT_hash_handle hh;
    char key[KEY_SIZE];
};

struct shares {
    pthread_mutex_t lock;
    unsigned all;
    struct share_count *counts;
};

struct shares *shares_new(void) {
    struct shares *shares = calloc(1, sizeof *shares);
    if (shares != NULL)
        pthread_mutex_init(&shares->lock, NULL);
    return shares;
}

void shares_free(struct shares *shares) {
    if (shares == NULL)
        return;
    pthread_mutex_destroy(&shares->lock); /* nobody waits, so there is no count */
    free(shares);
}

static void give_one_locked(struct shares *shares, struct share_count *count) {
    if (--count->n > 0)
        return;
    HASH_DEL(shares->counts, count);
    free(count);
}

/* One more of the key; NULL when it has its share already, or there is no memory. */
static struct share_count *take_one_locked(struct shares *shares, const char *key, unsigned most) {
    struct share_count *count;
    HASH_FIND_STR(shares->counts, key, count);
    if (count != NULL && count->n >= most)
        return NULL;
    if (count == NULL) {
        count = calloc(1, sizeof *count);
        if (count == NULL)
            return NULL;
        snprintf(count->key, sizeof count->key, "%.*s", KEY_SIZE - 1, key);
        HASH_ADD_STR(shares->counts, key, count);
        if (count->hh.tbl == NULL) {
            free(count);
            return NULL;
        }
    }
    count->n++;
    return count;
}

/* The keys that an evaluation counts for: its domain, the last two labels of it, the network. */
static void name_keys(const char *domain, const struct ip_address *client, char keys[3][KEY_SIZE]) {
    struct ip_address network = *client;
    char text[IP_TEXT_SIZE];
    int n = snprintf(keys[0], KEY_SIZE, "d ");
    for (; *domain != '\0' && n < KEY_SIZE - 1; domain++)
        keys[0][n++] = (char)(*domain >= 'A' && *domain <= 'Z' ? *domain - 'A' + 'a' : *domain);
    keys[0][n] = '\0';
    const char *parent = keys[0] + n;
    for (unsigned dots = 0; parent > keys[0] + 2; parent--)
        if (parent[-1] == '.' && ++dots == 2)
            break;
    snprintf(keys[1], KEY_SIZE, "p %.255s", parent);
    ip_mask(&network, client->family == IP_V4 ? 24 : 48);
    snprintf(keys[2], KEY_SIZE, "n %s", ip_format(&network, text));
}

int shares_take(struct shares *shares, const char *domain, const struct ip_address *client,
                struct share *share, struct why *why) {
    static const unsigned most[3] = {SHARE_DOMAIN, SHARE_PARENT, SHARE_NETWORK};
    static const char *const whose[3] = {"of this domain", "of names below this domain",
                                         "for clients of this network"};
    char keys[3][KEY_SIZE];
    name_keys(domain, client, keys);
    *share = (struct share){.taken = true};
    pthread_mutex_lock(&shares->lock);
    bool room = shares->all < SHARE_ALL;
    size_t n = 0;
    while (room && n < 3 && (share->counts[n] = take_one_locked(shares, keys[n], most[n])) != NULL)
        n++;
    if (n == 3)
        shares->all++;
    for (size_t i = 0; n < 3 && i < n; i++)
        give_one_locked(shares, share->counts[i]);
    pthread_mutex_unlock(&shares->lock);
    if (n == 3)
        return 0;
    *share = (struct share){.taken = false};
    if (!room)
        return why_set(why, "%d evaluations wait for name servers", SHARE_ALL);
    return why_set(why, "%u evaluations %s wait for name servers", most[n], whose[n]);
}

void shares_give(struct shares *shares, struct share *share) {
    if (!share->taken)
        return;
    pthread_mutex_lock(&shares->lock);
    shares->all--;
    for (size_t i = 0; i < 3; i++)
        give_one_locked(shares, share->counts[i]);
    pthread_mutex_unlock(&shares->lock);
    *share = (struct share){.taken = false};
}
