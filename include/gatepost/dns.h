/*
 * DNS look-ups with a deadline.
 *
 * "Found", "absent" and "failed" are different answers. Any number of threads may ask at once.
 */
#ifndef GATEPOST_DNS_H
#define GATEPOST_DNS_H

#include <stddef.h>
#include <stdint.h>

struct dns;

/*
 * Prepares look-ups at the given name servers ("ADDRESS:PORT", "[ADDRESS]:PORT"), or those of
 * resolv.conf when n is 0. Returns 0 and a resolver owned by the caller, or -1 with the reason.
 */
int dns_open(const char *const *nameservers, size_t n, struct dns **out, char *why,
             size_t why_size);

/* To be called when no look-up is under way. */
void dns_free(struct dns *dns);

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

/*
 * A: 4 octets; AAAA: 16 octets; TXT: the strings of one record joined (RFC 7208 3.3); PTR and MX:
 * a host name, of MX in the order of the answer. `data` is terminated for those that are text.
 */
struct dns_record {
    char *data;
    size_t len;
};

struct dns_answer {
    struct dns_record *records;
    size_t n;
};

/*
 * Asks for the records of `name`, at the latest until `deadline` (clock_now_ms()). Returns 1 and
 * at least one record; 0 when there is none (no such name, or none of that type); -1 with the
 * reason in `why` when it cannot be known: no answer in time, or one that is an error. The answer
 * is cleared by the caller in every case.
 */
int dns_query(struct dns *dns, const char *name, enum dns_type type, int64_t deadline,
              struct dns_answer *answer, char *why, size_t why_size);
void dns_answer_clear(struct dns_answer *answer);

#endif
