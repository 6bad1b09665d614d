/*
 * From what is there and what is wanted to what must change. Neither checks nor writes.
 */
#ifndef GATEPOST_WRITE_PLAN_H
#define GATEPOST_WRITE_PLAN_H

#include "gatepost/core/policy.h"
#include "gatepost/write/writer.h"

/* A field and what it shall be; value NULL: not be there. */
struct wanted_fact {
    const char *field, *value;
};

/* Changes of one subject, as planned; texts are those of the hash and of what is wanted. */
struct change_plan {
    struct store_change *changes;
    size_t n, room;
    uint64_t state; /* of the subject afterwards; 0 when nothing is left of it */
};

/*
 * What must change so that `now` becomes what is wanted; of a field that is wanted other spellings
 * go. With `only` everything goes that is not wanted. Returns 0, or -1 when there is no memory.
 */
int plan_changes(bool network, const struct store_hash *now, const struct wanted_fact *wanted,
                 size_t n, bool only, struct change_plan *out);
void plan_clear(struct change_plan *plan);

/* The policy that a plan makes of what is there of a subject; NULL when nothing is left (then
 * *gone), or when there is no memory. */
struct policy *plan_policy(const char *subject, const struct store_hash *now,
                           const struct change_plan *plan, bool *gone);

#endif
