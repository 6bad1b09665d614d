/*
 * DNS look-ups with a deadline, and a cache of their answers.
 *
 * "Found", "absent" and "failed" are different answers. Any number of threads may ask at once;
 * identical questions at the same time are asked once.
 */
#ifndef GATEPOST_DNS_DNS_H
#define GATEPOST_DNS_DNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatepost/core/why.h"

struct dns;

/*
 * Prepares look-ups at the given name servers ("ADDRESS:PORT", "[ADDRESS]:PORT"), at most 16, or at
 * those of /etc/resolv.conf when n is 0: its first three, followed as the file changes. Returns 0
 * and a resolver owned by the caller, or -1 with the reason.
 */
int dns_open(const char *const *nameservers, size_t n, struct dns **out, struct why *why);

/* To be called when no look-up is in progress. */
void dns_free(struct dns *dns);

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

/*
 * A: 4 octets; AAAA: 16 octets; TXT: the strings of one record joined (RFC 7208 3.3), any octets;
 * PTR and MX: a host name without a dot at its end, MX in the order of preference. `data` is
 * terminated.
 */
struct dns_record {
    char *data;
    size_t len;
};

enum dns_status { DNS_FAILED = -1, DNS_ABSENT = 0, DNS_FOUND = 1 };

/* An answer never changes; it is shared by reference. */
struct dns_answer {
    enum dns_status status;
    size_t n;
    struct dns_record *records;
    char why[80];      /* of DNS_FAILED */
    bool no_such_name; /* of DNS_ABSENT: the name itself does not exist (NXDOMAIN) */
    int64_t patience;  /* of a failure by time-out: for how many milliseconds it was asked */
    int64_t expires;   /* clock_now_ms() until which it may be given again */
    atomic_uint references;
};

/*
 * Asks for the records of `name`, at the latest until `deadline` (clock_now_ms()). `name` has its
 * octets as they are, dots between labels. Returns DNS_FOUND and at least one record; DNS_ABSENT
 * when there is none (no such name, none of that type, or what the DNS cannot have as a name);
 * DNS_FAILED when that cannot be known: no answer in time, or one that is an error. *answer is to
 * be released by the caller; it is NULL only when there was no memory.
 */
enum dns_status dns_query(struct dns *dns, const char *name, enum dns_type type, int64_t deadline,
                          struct dns_answer **answer);
void dns_answer_release(struct dns_answer *answer);

/* Would dns_query() answer from the cache, without waiting for anybody? */
bool dns_is_known(struct dns *dns, const char *name, enum dns_type type, int64_t deadline);

#endif
