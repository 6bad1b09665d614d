/*
 * Mail without a login, which no record tells of: would `source authorized` refuse any that is
 * accepted today?
 */
#ifndef GATEPOST_CTL_USE_STRANGERS_H
#define GATEPOST_CTL_USE_STRANGERS_H

#include "../policies.h"
#include "gatepost/spf/spf.h"

/* Begins as {.ctl = ...}; one evaluator and one patience for all accounts. */
struct strangers {
    const struct ctl *ctl;
    struct spf *spf;  /* owned; NULL before the first question */
    int64_t deadline; /* clock_now_ms() */
};

/*
 * True when no mail without a login is accepted as this account but by an SPF pass: no
 * door lets it in, each other result is refused, or the record of its domain gives no
 * result that is not. False also when that cannot be known.
 */
bool strangers_are_refused(struct strangers *strangers, const char *account,
                           const struct policy_set *set);

void strangers_clear(struct strangers *strangers);

#endif
