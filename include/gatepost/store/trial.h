/*
 * A policy as it would be: what another store has, with some subjects replaced. It is written
 * nowhere.
 *
 * It says of itself that every change of it is heard of, and none comes: who keeps what it answers
 * reads each subject once, so that a long job sees one policy.
 */
#ifndef GATEPOST_STORE_TRIAL_H
#define GATEPOST_STORE_TRIAL_H

#include "gatepost/store/store.h"

/*
 * A store upon `base`, which it then owns, also when it fails: it is freed. Returns 0, or -1 when
 * there is no memory.
 */
int store_trial_open(struct store *base, struct store **out);

/*
 * The same upon another trial, which stays the caller's and must outlive it. What both are asked
 * for one after the other, and is absent, is looked for once.
 */
int store_trial_open_on(struct store *trial, struct store **out);

/*
 * From now on the subject has these fields, which are copied, and no others; n 0: it is absent.
 * Before anybody else asks the store. Returns 0, or -1 when there is no memory.
 */
int store_trial_put(struct store *trial, const char *subject, const struct store_field *fields,
                    size_t n);

#endif
