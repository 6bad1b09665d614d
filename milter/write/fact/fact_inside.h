/*
 * For the files of fact/. Private to it.
 */
#ifndef GATEPOST_WRITE_FACT_FACT_INSIDE_H
#define GATEPOST_WRITE_FACT_FACT_INSIDE_H

#include "gatepost/core/policy_field.h"
#include "gatepost/write/fact_check.h"

/* Adds the three texts to a reason. */
void fact_append(struct why *why, const char *before, const char *text, const char *after);

/* What is wrong with a domain in lower case and with A-labels; static. NULL: nothing. */
const char *fact_domain_fault(const char *domain);

/* Adds to the reason what was probably meant by the value of a field that exists, or its key. */
void fact_propose_value(const struct fact_rules *rules, const struct policy_field *field,
                        const struct policy_field_key *key, const char *value, size_t len,
                        struct why *why);

/* The same for a field that does not exist; where nothing is near it, which fields there are. */
void fact_propose_field(const char *name, struct why *why);

#endif
