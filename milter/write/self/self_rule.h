/*
 * What a user's wish becomes: which facts it sets, what the host has closed, what would lock him
 * out, and what has to wait. Pure. Private to self/.
 */
#ifndef GATEPOST_WRITE_SELF_SELF_RULE_H
#define GATEPOST_WRITE_SELF_SELF_RULE_H

#include "gatepost/write/fact_check.h"
#include "gatepost/write/plan.h"
#include "gatepost/write/self.h"
#include "self_facts.h"

/* The facts that a change needs; texts are the rule's own. */
struct self_plan {
    struct wanted_fact *wanted;
    size_t n, room;
    char **texts; /* the memory of fields and values */
    size_t n_texts, texts_room;
    struct change_plan changes; /* what must change for it; none when n is 0 */
    int64_t pending;            /* when the last of it acts; 0: all of it at once */
};

/*
 * Judges the change by what was read. Returns 0 with out->result, field, why and pending, and the
 * plan; or -1: no memory. `plan` is to be cleared in every case, and lasts as long as the facts.
 */
int self_rule_judge(const struct config *config, const struct self_facts *facts,
                    const struct self_change *change, struct self_plan *plan,
                    struct self_outcome *out);
void self_plan_clear(struct self_plan *plan);

/* Is any service open that a door of the host's may have? */
bool self_rule_any_open(const struct config *config, const struct policy_set *set);

#endif
