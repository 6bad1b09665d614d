/*
 * Who else may be meant: the addresses that an MTA can make of a sender besides the plain one.
 *
 * An MTA that takes the sender's domain for its own looks at the local part again: user%domain,
 * domain!user, user@domain@its.own, and a source route lead to another address (Postfix:
 * swap_bangpath, allow_percent_hack, resolve_dequoted_address; Sendmail: ruleset 3). "localhost",
 * an address literal and a sender without a domain mean one of its own users. Which domains are its
 * own is not known here, so every reading counts. Pure.
 */
#ifndef GATEPOST_CORE_READINGS_H
#define GATEPOST_CORE_READINGS_H

#include <stdbool.h>
#include <stddef.h>

/* More readings than this are nobody's address. */
#define READINGS_MAX 32

/* Each is unquoted: LOCAL@DOMAIN, split at the last '@', or one of the MTA's own users: LOCAL
 * alone, or LOCAL@ when it has an '@'. */
struct readings {
    char *items[READINGS_MAX];
    size_t n;
    bool too_many; /* there are more, which are left out */
};

/*
 * The readings of a sender as MAIL FROM gave it (with or without angle brackets) and as the MTA
 * understood it ({mail_addr}; NULL when it did not say), the plain one and what is only spelt
 * otherwise among them. A sender that is only LOCAL@DOMAIN, without a second meaning, has none.
 * Returns 0 and readings to be cleared, or -1 when there is no memory (nothing to be cleared).
 */
int readings_find(const char *given, const char *understood, struct readings *out);

void readings_clear(struct readings *readings);

#endif
