/*
 * A replay: what it compares, and what is told of it.
 */
#ifndef GATEPOST_CTL_REPLAY_REPLAY_H
#define GATEPOST_CTL_REPLAY_REPLAY_H

#include "../ctl.h"
#include "tally.h"

/* Prints what was found, as text or JSON. `against_log`: no change was given to be tried. */
void replay_report(const struct ctl *ctl, const struct tally *tally, bool against_log);

#endif
