/*
 * A policy that the log is judged by: of the store, with changes on top, or of a file. It is read
 * once for each account, and nothing is written anywhere.
 */
#ifndef GATEPOST_CTL_REPLAY_SIDE_H
#define GATEPOST_CTL_REPLAY_SIDE_H

#include "../ctl.h"
#include "gatepost/session/runtime.h"
#include "past.h"

struct side {
    struct store *store;    /* a trial; the live store's once that is open */
    struct runtime runtime; /* without SPF; its configuration is the caller's */
};

/*
 * Opens the policy of the configuration's store, or of a policy file (`path`, NULL for none), or
 * upon that of another side, which is closed after it; changes may be made to side->store until
 * side_begin(). All return CTL_DONE, or CTL_FAILED after saying why. side_close() in every case.
 */
int side_open(const struct ctl *ctl, const char *path, struct side *side);
int side_open_on(const struct ctl *ctl, const struct side *below, struct side *side);
int side_begin(const struct ctl *ctl, struct side *side);
void side_close(struct side *side);

/*
 * Makes the changes of a command of gatepostctl, as its words stand on a command line, to the trial
 * of the side. Returns CTL_DONE, or CTL_FAILED after saying why.
 */
int side_change(struct ctl *ctl, struct side *side, const char *command);

/*
 * Judges a question of the past by the policy of a side at time `now`; nothing is asked of DNS.
 * Returns UNSAID_NOT and the outcome; or why it cannot be told; or -1 with the reason when the
 * policy could not be read.
 */
int side_judge(const struct side *side, const struct past *past, int64_t now, struct outcome *out,
               struct why *why);

#endif
