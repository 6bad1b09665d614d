/*
 * Changes as gatepostctl tells them.
 */
#ifndef GATEPOST_CTL_CHANGE_H
#define GATEPOST_CTL_CHANGE_H

#include "gatepost/base/json_text.h"
#include "gatepost/write/writer.h"

/* Prints "SUBJECT FIELD: OLD -> NEW". */
void ctl_put_change(const char *subject, const struct store_change *change);

/* {"field": ..., "old": ..., "new": ...}; a new reference. */
json_t *ctl_change_json(const struct store_change *change);

#endif
