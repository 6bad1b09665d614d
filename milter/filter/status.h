/*
 * The state of the filter, for an operator.
 */
#ifndef GATEPOST_FILTER_STATUS_H
#define GATEPOST_FILTER_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "gatepost/core/why.h"
#include "gatepost/session/runtime.h"

/*
 * Writes one JSON object: version, uptime, configuration, store, cache, SPF, sessions and the last
 * errors. Never a secret. Any thread.
 */
void status_print(FILE *to, const struct runtime *runtime);

/*
 * Can it judge as configured? True while the store answers, or the cache has something that may
 * serve; `why` says in one line which, or what is missing.
 */
bool status_is_ready(const struct runtime *runtime, struct why *why);

#endif
