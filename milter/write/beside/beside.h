/*
 * Keys beside the policy, one for each account: the way to the Redis that has them. For use.c and
 * passwords.c. One thread.
 */
#ifndef GATEPOST_WRITE_BESIDE_BESIDE_H
#define GATEPOST_WRITE_BESIDE_BESIDE_H

#include "../cluster_nodes.h"
#include "../redis_client.h"

struct beside {
    bool in_cluster;
    char *prefix;
    struct redis_client client;   /* unless in_cluster */
    struct cluster_nodes cluster; /* if it is */
};

/*
 * The keys of that name beside the key_prefix of the settings; nothing is connected yet. Returns 0,
 * or -1 with the reason and nothing to clear.
 */
int beside_open(struct beside *beside, const struct store_settings *settings, const char *name,
                struct why *why);
void beside_clear(struct beside *beside);

/* As redis_client_follow(): before what must not be lost. */
void beside_follow(struct beside *beside);

/*
 * One command on the key of an account: its name and what follows the key, ended by a NULL. NULL
 * with the reason, for an error of Redis, too.
 */
redisReply *beside_ask(struct beside *beside, const char *account, const char *const *words,
                       struct why *why);

/* The same where the answer does not matter; 0, or -1 with the reason. */
int beside_run(struct beside *beside, const char *account, const char *const *words,
               struct why *why);

/* The whole hash as a flat array of strings; NULL with the reason. */
redisReply *beside_read(struct beside *beside, const char *account, struct why *why);

#endif
