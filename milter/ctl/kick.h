/*
 * Sessions that are open when a protocol is switched off: who is logged in already is not asked
 * for again. They are told of, or ended by Dovecot's doveadm.
 */
#ifndef GATEPOST_CTL_KICK_H
#define GATEPOST_CTL_KICK_H

#include "ctl.h"
#include "gatepost/write/plan.h"

/*
 * Lets a change of these `protocol:NAME` fields be followed by what becomes of the sessions, by
 * ctl->after_change. Returns CTL_DONE, or another status after saying why the subject cannot be
 * kicked out.
 */
int ctl_kick_prepare(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted,
                     size_t n);

#endif
