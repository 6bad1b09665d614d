/*
 * The one way in which gatepostctl changes the policy: what is wanted is checked, compared with
 * what is there, passed by the guard, written with its history, and reported.
 */
#ifndef GATEPOST_CTL_WRITE_WRITE_H
#define GATEPOST_CTL_WRITE_WRITE_H

#include "../policies.h"
#include "gatepost/write/plan.h"

/*
 * Sets and unsets fields of one subject. Facts are checked first; with --force the guard only
 * warns, with --dry-run nothing is written. Tells what has changed. Returns the exit status.
 */
int ctl_write(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted, size_t n);

/* Removes the whole subject, whatever it is. */
int ctl_write_drop(struct ctl *ctl, const char *subject);

/*
 * Removes a subject beside another one that the command is about: that there is none is no error,
 * and with --json nothing is told of it.
 */
int ctl_write_drop_beside(struct ctl *ctl, const char *subject);

/*
 * Would the guard and the store let it be removed, or is it not there? CTL_DONE, or another status
 * after saying why not; nothing is written.
 */
int ctl_write_may_drop(struct ctl *ctl, const char *subject);

#endif
