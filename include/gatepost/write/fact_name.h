/*
 * Names of facts: which say the same thing, and how they are written. Pure.
 */
#ifndef GATEPOST_WRITE_FACT_NAME_H
#define GATEPOST_WRITE_FACT_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "gatepost/core/address.h"

/* Is the subject a network, whose fields are its members? */
bool fact_is_network(const char *subject);

/* Is it an entry, in such a subject, of which there may be many: an address, a domain? */
bool fact_is_entry(bool network, const char *field, size_t len);

/* Is it a field for an address or block, in such a subject? */
bool fact_is_block(bool network, const char *field, size_t len);

/* Do two fields of such a subject say the same thing, spelt differently or not? */
bool fact_is_same(bool network, const char *a, size_t a_len, const char *b, size_t b_len);

/*
 * The name of an `as:` entry, an address, @DOMAIN or @.DOMAIN, as senders are compared with it.
 * Returns 0 and a malloc'd text, or -1 when there is no memory.
 */
int fact_name_sender(const char *name, const struct address_rules *rules, char **out);

/* That of an `ip:spf:` entry, a domain, as it is looked up; it may be no domain name. As above. */
int fact_name_domain(const char *domain, const struct address_rules *rules, char **out);

#endif
