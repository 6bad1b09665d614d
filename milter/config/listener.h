/*
 * The listener sections of a configuration, for config.c alone.
 */
#ifndef GATEPOST_CONFIG_LISTENER_H
#define GATEPOST_CONFIG_LISTENER_H

#include "gatepost/config/config.h"

#include "config_schema.h"

/*
 * The texts of a list, which belong to the parsed file; the array is the caller's. Returns 0, or -1
 * when there is no memory.
 */
int config_copy_list(cfg_t *cfg, const char *name, struct config_list *out);

/* Makes config->listeners of a checked file. Returns 0, or -1 when there is no memory. */
int config_copy_listeners(struct config *config, cfg_t *cfg);

/* Does each listener have only what its door knows? Returns 0, or -1 with FILE:LINE in `why`. */
int config_check_listeners(const struct config *config, struct why *why);

void config_free_listener(struct config_listener *listener);

#endif
