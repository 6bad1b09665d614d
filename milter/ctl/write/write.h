/*
 * The one way in which gatepostctl changes the policy: what is wanted is checked, compared with
 * what is there, asked of the guard, written with its history, and told.
 */
#ifndef GATEPOST_CTL_WRITE_WRITE_H
#define GATEPOST_CTL_WRITE_WRITE_H

#include "../policies.h"

/* A field and what it shall be; value NULL: not be there. */
struct ctl_wanted {
    const char *field, *value;
};

/* Changes of one subject, as planned; texts are those of the hash and of what is wanted. */
struct ctl_plan {
    struct store_change *changes;
    size_t n, room;
    uint64_t state; /* of the subject afterwards; 0 when nothing is left of it */
};

/*
 * What must change so that `now` becomes what is wanted; of a field that is wanted other spellings
 * go. With `only` everything goes that is not wanted. Returns 0, or -1 when there is no memory.
 */
int ctl_plan_changes(bool network, const struct store_hash *now, const struct ctl_wanted *wanted,
                     size_t n, bool only, struct ctl_plan *out);
void ctl_plan_clear(struct ctl_plan *plan);

/* The policy that a plan makes of what is there; NULL when nothing is left (then *gone), or when
 * there is no memory. */
struct policy *ctl_plan_policy(const struct store_hash *now, const struct ctl_plan *plan,
                               bool *gone);

/*
 * Sets and unsets fields of one subject. Facts are checked first; with --force the guard only
 * warns, with --dry-run nothing is written. Tells what has changed. Returns the exit status.
 */
int ctl_write(struct ctl *ctl, const char *subject, const struct ctl_wanted *wanted, size_t n);

/* Removes the whole subject, whatever it is. */
int ctl_write_drop(struct ctl *ctl, const char *subject);

#endif
