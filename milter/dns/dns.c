/*
 * DNS look-ups. Owns what becomes of a question between the cache (cache.c) and the name servers
 * (exchange.c), and how long its answer is kept.
 */
#include "gatepost/dns/dns.h"

#include <stdbool.h>
#include <stdlib.h>

#include "cache.h"
#include "exchange.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/metrics.h"
#include "packet.h"
#include "question.h"
#include "servers.h"

#define RESOLV_CONF "/etc/resolv.conf"

/* Answers kept. */
#define CACHE_ENTRIES 20000
/*
 * The longest that an answer is kept, and how long a failure is (the cache doubles that when it
 * repeats itself): in milliseconds. That no name server can be reached is not the name's fault.
 */
#define KEPT_MAX (24 * 3600 * 1000LL)
#define FAILURE_KEPT 5000
#define UNREACHED_KEPT 1000

struct dns {
    struct dns_cache *cache;
    struct dns_servers *servers;
};

int dns_open(const char *const *nameservers, size_t n, struct dns **out, struct why *why) {
    struct dns *dns = calloc(1, sizeof *dns);
    if (dns != NULL)
        dns->cache = dns_cache_new(CACHE_ENTRIES);
    if (dns == NULL || dns->cache == NULL) {
        dns_free(dns);
        return why_set(why, "no memory");
    }
    if (dns_servers_open(nameservers, n, RESOLV_CONF, &dns->servers, why) != 0) {
        dns_free(dns);
        return -1;
    }
    *out = dns;
    return 0;
}

void dns_free(struct dns *dns) {
    if (dns == NULL)
        return;
    dns_servers_free(dns->servers);
    dns_cache_free(dns->cache);
    free(dns);
}

/* Asks the name servers; NULL when there is no memory. */
static struct dns_answer *ask(struct dns *dns, const char *name, enum dns_type type, int64_t begin,
                              int64_t deadline) {
    struct dns_question question;
    struct dns_exchange_result result;
    struct dns_answer *answer = NULL;
    int64_t kept = 0;
    if (dns_question_write(name, type, &question) != 0)
        return dns_answer_new(DNS_ABSENT, "");
    dns_exchange(dns->servers, &question, deadline, &result);
    switch (result.end) {
    case EXCHANGE_ANSWERED:
        answer = result.answer;
        kept = (int64_t)result.ttl * 1000 < KEPT_MAX ? (int64_t)result.ttl * 1000 : KEPT_MAX;
        break;
    case EXCHANGE_LATE:
    case EXCHANGE_ERROR:
    case EXCHANGE_UNREACHED:
        answer = dns_answer_new(DNS_FAILED, result.problem);
        kept = result.end == EXCHANGE_UNREACHED ? UNREACHED_KEPT : FAILURE_KEPT;
        if (answer != NULL && result.end == EXCHANGE_LATE)
            answer->patience = deadline - begin;
        break;
    }
    if (answer != NULL)
        answer->expires = clock_now_ms() + kept;
    return answer;
}

bool dns_is_known(struct dns *dns, const char *name, enum dns_type type, int64_t deadline) {
    return dns_cache_has(dns->cache, name, type, deadline);
}

enum dns_status dns_query(struct dns *dns, const char *name, enum dns_type type, int64_t deadline,
                          struct dns_answer **out) {
    bool owner;
    enum metrics_dns outcome = DNS_CACHED;
    int64_t begin = clock_now_ms();
    if (dns_servers_follow(dns->servers, begin))
        dns_cache_forget_failures(dns->cache);
    struct dns_answer *answer = dns_cache_get(dns->cache, name, type, deadline, &owner);
    if (answer == NULL) {
        begin = clock_now_ms(); /* it may have waited */
        bool in_time = begin < deadline;
        answer = in_time ? ask(dns, name, type, begin, deadline)
                         : dns_answer_new(DNS_FAILED, "no answer in time");
        bool failed = answer == NULL || answer->status == DNS_FAILED;
        outcome = clock_now_ms() >= deadline ? DNS_LATE : failed ? DNS_ERROR : DNS_ANSWERED;
        if (owner) /* who had no time to ask knows nothing of use to others */
            dns_cache_put(dns->cache, name, type, in_time ? answer : NULL);
    }
    metrics_dns(outcome);
    *out = answer;
    return answer == NULL ? DNS_FAILED : answer->status;
}
