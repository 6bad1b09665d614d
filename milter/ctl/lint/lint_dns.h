/*
 * What `lint --dns` looks at of a domain with policy, beyond what lint asks of any record.
 */
#ifndef GATEPOST_CTL_LINT_LINT_DNS_H
#define GATEPOST_CTL_LINT_LINT_DNS_H

#include "gatepost/spf/spf.h"
#include "lint.h"

/* Listed addresses of one domain that are looked at. */
#define LINT_LISTED_MAX 32

struct lint_listed {
    char *subject, *field; /* owned */
    struct netblock block;
};

struct lint_listing {
    struct lint_listed *entries; /* owned; the first LINT_LISTED_MAX */
    size_t n, room, more;        /* more: that are not looked at */
};

/* Takes the addresses that a policy lists and that still count. */
void lint_listing_add(struct lint_listing *listing, const struct lint *lint, const char *subject,
                      const struct policy *policy);
void lint_listing_clear(struct lint_listing *listing);

/*
 * Evaluates the record of a domain, which has one, for somebody whom it does not name: is it near
 * a limit, or beyond it? And for each listed address: does it name that? `subject` is whom findings
 * are told of. Returns 0, or -1 with the reason when the DNS does not say.
 */
int lint_record(struct lint *lint, struct spf *spf, const char *domain, const char *subject,
                const struct lint_listing *listing, int64_t deadline, struct why *why);

#endif
