/*
 * The facts that a change of self facts needs. Private to self/.
 */
#ifndef GATEPOST_WRITE_SELF_SELF_PLAN_H
#define GATEPOST_WRITE_SELF_SELF_PLAN_H

#include "gatepost/write/plan.h"

struct self_plan {
    struct wanted_fact *wanted;
    size_t n, room;
    char **texts; /* the memory of fields and values */
    size_t n_texts, texts_room;
    struct change_plan changes; /* what must change for it; none when n is 0 */
    int64_t pending;            /* when the last of it acts; 0: all of it at once */
};

/* Takes a malloc'd text, which then lasts as long as the plan. NULL, also for NULL: no memory. */
const char *self_plan_keep(struct self_plan *plan, char *text);

/*
 * Wants a fact; value NULL: the field is to go. Both must last as long as the plan. Returns 0, or
 * -1: no memory.
 */
int self_plan_want(struct self_plan *plan, const char *field, const char *value);

void self_plan_clear(struct self_plan *plan);

#endif
