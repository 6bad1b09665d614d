/*
 * Who may wait for the DNS: the bound on evaluations that wait for a name server, and the share of
 * it that one domain and one client network can have. What is answered from the cache needs no
 * share.
 *
 * A dead name server must not pile up threads, and one sender whose server never answers must not
 * take the evaluations of everybody else. Any thread.
 */
#ifndef GATEPOST_SPF_SHARES_H
#define GATEPOST_SPF_SHARES_H

#include <stdbool.h>

#include "gatepost/core/netblock.h"
#include "gatepost/core/why.h"

#define SHARE_ALL 256     /* evaluations that wait at once */
#define SHARE_DOMAIN 64   /* of one domain */
#define SHARE_PARENT 128  /* of all names below the same two labels */
#define SHARE_NETWORK 128 /* for clients of one network: /24, /48 */

struct shares;

/* NULL when there is no memory. */
struct shares *shares_new(void);
void shares_free(struct shares *shares);

/* What one evaluation holds. Begins as {0}. */
struct share {
    bool taken;
    struct share_count *counts[3];
};

/*
 * Takes a share for an evaluation of `domain` (in any letter case) for this client. Returns 0, or
 * -1 with the reason when too many wait already; the share then holds nothing.
 */
int shares_take(struct shares *shares, const char *domain, const struct ip_address *client,
                struct share *share, struct why *why);

/* Gives back what the share holds, if anything. */
void shares_give(struct shares *shares, struct share *share);

#endif
