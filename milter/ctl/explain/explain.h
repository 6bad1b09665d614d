/*
 * An explanation: what a session was asked, each step of its decision with the facts that it
 * looked at, and the verdict. It is one JSON object, which the text is printed from.
 */
#ifndef GATEPOST_CTL_EXPLAIN_EXPLAIN_H
#define GATEPOST_CTL_EXPLAIN_EXPLAIN_H

#include "../effective.h"
#include "gatepost/session/session.h"

/* One message as it is explained. Begins as {0} with what stands first. */
struct explanation {
    const struct config *config;
    const struct config_listener *listener;
    json_t *told; /* owned: an empty object at first */
    bool decided; /* a verdict has been told */
    enum verdict_kind kind;
    /* while the message is judged */
    json_t *steps, *spf_lines; /* of `told` */
    const struct policy_set *set;
    const struct decision_facts *facts;
};

/* An observer that fills the explanation, which must outlive it. */
struct session_observer explanation_observer(struct explanation *explanation);

/* Prints `told` as text. */
void explanation_print(const json_t *told);

/* ---- between the files of the explanation ---- */

void explanation_put(json_t *object, const char *name, const char *value);

/* One more step; `because` may come to nothing. The step belongs to the explanation. */
json_t *explanation_step(struct explanation *e, const char *name, const char *answer,
                         const char *because, ...) __attribute__((format(printf, 4, 5)));

/* A fact that the step has looked at. */
void explanation_fact(struct explanation *e, json_t *step, const struct effective *s);

/* The whole key of a subject; a new reference. */
json_t *explanation_key(const struct explanation *e, const char *subject);

/* The step at connect. */
void explanation_connect(struct explanation *e, struct network_answer allowed);

/* The client may connect, and nothing more is asked. */
void explanation_connected(struct explanation *e);

/* As session_observer.verdict. */
void explanation_verdict(void *context, const struct verdict_record *record);

#endif
