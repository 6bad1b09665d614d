/*
 * Between the files of the decision: steps are added, and the last one or another makes the
 * verdict. Pure.
 */
#ifndef GATEPOST_CORE_DECISION_TRACE_H
#define GATEPOST_CORE_DECISION_TRACE_H

#include "gatepost/core/decision.h"

/* One more step; there is room for all that one message can come to. */
struct decision_step *trace_step(struct decision *d, enum decision_rule rule, int value);

/* One for something that the listener may require. False: it is required and missing. */
bool trace_ask_listener(struct decision *d, enum decision_rule rule, bool is, bool required);

/* One that asks the policy for the setting of its rule. */
const struct decision_step *trace_ask_policy(struct decision *d, enum decision_rule rule);

/* Does it matter to this door which password it was? */
bool trace_minds_password(const struct decision *d);

/*
 * Would a refusal that is only on trial, made before the policy is known, let in a password that
 * the policy does not take? And what is left of the trial once the policy is known.
 */
bool trace_waits_for_password(const struct decision *d);
void trace_password_known(struct decision *d);

/* The one that asks for trust; a login is never trusted. */
enum membership trace_ask_trusted(struct decision *d);

/*
 * Ends the decision, by a step, by the one that was asked last, or by one whose field cannot be
 * read. A refusal may become another verdict by what it has to mind. Returns DECISION_MADE.
 */
enum decision_next trace_made_by(struct decision *d, size_t decider, enum verdict_kind kind,
                                 enum reason reason, struct policy_origin from);
enum decision_next trace_made(struct decision *d, enum verdict_kind kind, enum reason reason,
                              struct policy_origin from);
enum decision_next trace_malformed(struct decision *d, struct policy_origin from);

#endif
