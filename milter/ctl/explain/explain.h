/*
 * An explanation: what a session was asked, each step of its decision with the facts that it
 * looked at, and the verdict. It is one JSON object, which the text is printed from.
 */
#ifndef GATEPOST_CTL_EXPLAIN_EXPLAIN_H
#define GATEPOST_CTL_EXPLAIN_EXPLAIN_H

#include "../effective.h"
#include "gatepost/session/session.h"

/* One evaluation of SPF. */
struct evaluation {
    enum spf_identity identity;
    struct spf_answer answer;
    json_t *lines; /* owned */
};

/* One message as it is explained. Begins as {0} with what stands first. */
struct explanation {
    const struct config *config;
    const struct config_listener *listener;
    json_t *told; /* owned: an empty object at first */
    bool decided; /* there is a verdict */
    enum verdict_kind kind;
    size_t decided_by; /* the number of the step that has decided, from 1 */
    /* what the steps do not say themselves */
    struct why unavailable;                           /* why the store had no policy to give */
    struct evaluation evaluations[2 + PROVIDERS_MAX]; /* of HELO, MAIL FROM, providers */
    size_t n_evaluations;
};

/* An observer that fills the explanation, which must outlive it. */
struct session_observer explanation_observer(struct explanation *explanation);

/* The session was asked at connect alone, and has let the client in. */
void explanation_connected(struct explanation *explanation);

/* Frees what the explanation owns. */
void explanation_clear(struct explanation *explanation);

/* Prints `told` as text. */
void explanation_print(const json_t *told);

/* ---- between the files of the explanation ---- */

void explanation_put(json_t *object, const char *name, const char *value);

/* The whole key of a subject; a new reference. */
json_t *explanation_key(const struct explanation *e, const char *subject);

/* The steps of a decision, after those before it; `account` may be NULL at connect. */
void explanation_steps(struct explanation *e, const struct decision *decision, const char *account);

#endif
