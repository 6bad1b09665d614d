/*
 * `gatepost-settings -t`.
 */
#ifndef GATEPOST_SETTINGS_TRY_H
#define GATEPOST_SETTINGS_TRY_H

#include "gatepost/config/config.h"

/* Tries what the configuration names, and says what is wrong on standard error. How much it is. */
unsigned settings_try(const struct config *config);

#endif
