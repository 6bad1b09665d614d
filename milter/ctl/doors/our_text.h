/*
 * Is what a door says a reply of Gatepost, and of which reason? Told by the texts of the
 * configuration, and by the session that each reply ends with.
 */
#ifndef GATEPOST_CTL_DOORS_OUR_TEXT_H
#define GATEPOST_CTL_DOORS_OUR_TEXT_H

#include <stdbool.h>

#include "gatepost/config/config.h"

/* true and the reason, or false for somebody else's text. */
bool our_text_find(const struct config *config, const char *said, enum reason *reason);

#endif
