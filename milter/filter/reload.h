/*
 * Reload: another configuration takes the place of the one in use, whole or not at all.
 */
#ifndef GATEPOST_FILTER_RELOAD_H
#define GATEPOST_FILTER_RELOAD_H

#include "gatepost/session/runtime.h"

/*
 * Reads the file of the configuration in use again. When it is good, new sessions begin with it,
 * *current is the new runtime (with the caller's reference, as before) and 0 is returned; sessions
 * that began before keep theirs. Otherwise nothing changes, the reason is logged as
 * event=reload-failed, and -1 is returned. Settings that take a restart are named in the log. One
 * thread.
 */
int reload_configuration(struct runtime **current);

/* Logs what is dangerous in a configuration that is taken into use, at start or by a reload. */
void reload_warn(const struct config *config);

#endif
