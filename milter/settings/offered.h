/*
 * What a host offers: of all services that there are, a user is to see first what he can use here.
 */
#ifndef GATEPOST_SETTINGS_OFFERED_H
#define GATEPOST_SETTINGS_OFFERED_H

#include <jansson.h>

#include "gatepost/config/config.h"

/*
 * Gives each protocol of an account's form a member "offered". True where the configuration has a
 * section for it or a listener of a service of it, where he has used it, or where it has been set
 * by its name; else nothing says that this host has such a door.
 */
void offered_mark(json_t *shown, const struct config *config);

/* Gives it a member "suggested": what the host suggests to list and nobody has, block: note. */
void offered_suggest(json_t *shown, const struct config *config);

#endif
