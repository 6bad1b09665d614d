/*
 * Names of facts: which say the same thing. Pure.
 */
#ifndef GATEPOST_WRITE_FACT_NAME_H
#define GATEPOST_WRITE_FACT_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Is the subject a network, whose fields are its members? */
bool fact_is_network(const char *subject);

/* Is it a field for an address or block, in such a subject? */
bool fact_is_block(bool network, const char *field, size_t len);

/* Do two fields of such a subject say the same thing, spelt differently or not? */
bool fact_is_same(bool network, const char *a, size_t a_len, const char *b, size_t b_len);

#endif
