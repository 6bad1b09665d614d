/*
 * The listed addresses of an account, as they are shown.
 */
#ifndef GATEPOST_CTL_ENTRIES_H
#define GATEPOST_CTL_ENTRIES_H

#include "gatepost/base/json_text.h"
#include "policies.h"

/* Appends the entries of all subjects to `list`, or prints them, a line each, when it is NULL. */
void ctl_list_entries(const struct ctl *ctl, const struct ctl_policies *policies, json_t *list);

#endif
