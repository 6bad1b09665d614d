/*
 * What of the unused may be closed.
 */
#ifndef GATEPOST_CTL_USE_CLOSING_H
#define GATEPOST_CTL_USE_CLOSING_H

#include "search.h"

/* A field of an account's own policy, as a command would set it. */
struct use_field {
    const char *name, *value;
};

/* Would the guard refuse these fields on top of the account's own? */
bool use_locks_out(const struct use_search *s, const struct ctl_policies *policies,
                   const struct use_field *fields, size_t n);

/*
 * Gives each row of use_unused(), which was asked with the same `from`, a boolean "close": the
 * record shows how the account has come in all that time, and all rows that have it true can be
 * carried out, in their order.
 */
void use_closable(const struct use_search *s, const struct ctl_policies *policies,
                  const struct ctl_use *use, int64_t from, json_t *rows);

#endif
