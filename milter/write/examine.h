/*
 * What may make a store lose policy, or has, and whether it reports changes.
 */
#ifndef GATEPOST_WRITE_EXAMINE_H
#define GATEPOST_WRITE_EXAMINE_H

#include "cluster_nodes.h"
#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"
#include "redis_client.h"

/* As store_writer_examine(), of that server; `name` is what complaints call it. */
int examine_redis(struct redis_client *talk, const char *name, store_take_complaint *take,
                  void *context, struct why *why);

/*
 * May this user read what users have set themselves? `reply` is the answer to EXAMINE_SELF, which
 * is freed; NULL with the reason in `why` for none.
 */
#define EXAMINE_SELF "HGETALL" /* of the key of SELF_SUBJECT, which nobody has */
void examine_self(redisReply *reply, const struct why *why, store_take_complaint *take,
                  void *context);

/* The same of a cluster; after a scan it looks for masters that have lost what they had, too. */
int examine_cluster(struct cluster_nodes *cluster, store_take_complaint *take, void *context,
                    struct why *why);

#endif
