/*
 * The options of gatepost.conf as libconfuse knows them, each with its default and its check.
 * Used by config.c only.
 */
#ifndef GATEPOST_CONFIG_CONFIG_SCHEMA_H
#define GATEPOST_CONFIG_CONFIG_SCHEMA_H

#include <stddef.h>

#include <confuse.h>

#include "gatepost/core/why.h"

/*
 * Parses a file and checks every value on its own. Returns the tree, to be freed with
 * config_schema_free(), or NULL with "FILE:LINE: reason" in `why`. One thread at a time.
 */
cfg_t *config_schema_parse(const char *path, struct why *why);

/* Any thread. */
void config_schema_free(cfg_t *cfg);

/* The line of an option in the file parsed last; 0 when it was not there. */
int config_schema_line(const cfg_opt_t *option);

#endif
