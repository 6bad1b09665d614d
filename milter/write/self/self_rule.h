/*
 * What a user's wish becomes: which facts it sets, what the host has closed, what would lock him
 * out, and what has to wait. Pure. Private to self/.
 */
#ifndef GATEPOST_WRITE_SELF_SELF_RULE_H
#define GATEPOST_WRITE_SELF_SELF_RULE_H

#include "gatepost/write/fact_check.h"
#include "gatepost/write/self.h"
#include "self_facts.h"
#include "self_plan.h"

/*
 * Judges the change by what was read. Returns 0 with out->result, field, why and pending, and the
 * plan; or -1: no memory. `plan` is to be cleared in every case, and lasts as long as the facts.
 */
int self_rule_judge(const struct config *config, const struct self_facts *facts,
                    const struct self_change *change, struct self_plan *plan,
                    struct self_outcome *out);

#endif
