/*
 * Answers of the DNS kept for their time, and identical questions joined.
 *
 * Bounded in entries and octets; any thread.
 */
#ifndef GATEPOST_DNS_CACHE_H
#define GATEPOST_DNS_CACHE_H

#include <stdbool.h>

#include "gatepost/dns/dns.h"

struct dns_cache;

/* A cache of at most about `entries` answers; NULL when there is no memory. */
struct dns_cache *dns_cache_new(size_t entries);
void dns_cache_free(struct dns_cache *cache);

/*
 * The kept answer, with a reference of the caller's, or NULL. When NULL and *owner is true, the
 * caller shall find the answer and give it to dns_cache_put() in every case: others wait for it.
 * When NULL and *owner is false, the deadline passed while another one was finding it, or there was
 * no memory: the caller goes its own way.
 *
 * A failure by time-out is given only to those who have at most a quarter more of it than
 * answer->patience.
 */
struct dns_answer *dns_cache_get(struct dns_cache *cache, const char *name, enum dns_type type,
                                 int64_t deadline, bool *owner);

/*
 * The owner's answer, kept until answer->expires, which nobody else may know yet: a failure that
 * follows another one of the same question is kept twice as long as that, up to
 * DNS_FAILURE_KEPT_MAX. NULL: the owner found none, and of those who wait one becomes the owner.
 */
void dns_cache_put(struct dns_cache *cache, const char *name, enum dns_type type,
                   struct dns_answer *answer);

/* Would dns_cache_get() have an answer now, without waiting for anybody? */
bool dns_cache_has(struct dns_cache *cache, const char *name, enum dns_type type, int64_t deadline);

/* Milliseconds. */
#define DNS_FAILURE_KEPT_MAX 30000

/* Failures that were kept so far are not given any more: other name servers are asked now. */
void dns_cache_forget_failures(struct dns_cache *cache);

#endif
