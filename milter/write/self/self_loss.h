/*
 * What a user would lose by a change of what he has set. Pure. Private to self/.
 */
#ifndef GATEPOST_WRITE_SELF_SELF_LOSS_H
#define GATEPOST_WRITE_SELF_SELF_LOSS_H

#include "gatepost/write/self.h"

/* What `after` would take that he has `before`: a sentence, static; NULL: nothing. */
const char *self_loss(const struct config *config, const struct self_change *change,
                      const struct policy_set *before, const struct policy_set *after);

#endif
