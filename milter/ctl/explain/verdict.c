/*
 * What an explanation is made from. Owns what is kept while the session is asked, and how its
 * verdict is put into words.
 */
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "gatepost/session/verdict_log.h"

static void tell_verdict(struct explanation *e, const struct verdict_record *record) {
    const struct verdict *verdict = &record->decision->verdict;
    const struct reply *reply = record->reply;
    char text[REPLY_TEXT_SIZE + 24] = "", id[60];
    json_t *told = e->told;
    explanation_put(told, "stage", stage_name(record->stage));
    explanation_put(told, "service", record->values->service);
    explanation_put(told, "account", record->account == NULL ? NULL : record->values->account);
    explanation_put(told, "spf",
                    verdict->identity == IDENTITY_NONE ? NULL : spf_result_name(verdict->spf));
    explanation_put(told, "verdict", verdict_name(e->kind));
    explanation_put(told, "reason", reason_name(verdict->reason));
    explanation_put(told, "mode", mode_words.names[verdict->monitor ? MODE_MONITOR : MODE_ENFORCE]);
    explanation_put(told, "would", verdict->monitor ? verdict_name(verdict->kind) : NULL);
    json_object_set_new(told, "key",
                        verdict->from.subject == NULL ? json_null()
                                                      : explanation_key(e, verdict->from.subject));
    explanation_put(told, "field", verdict->from.subject == NULL ? NULL : verdict->from.field);
    if (e->kind == VERDICT_DEFER || e->kind == VERDICT_REJECT)
        reply_format(reply, verdict->door, text, sizeof text);
    /* there is no such session: who looked for its id would find nothing */
    snprintf(id, sizeof id, "; session %s", record->values->session);
    char *end = strstr(text, id);
    if (end != NULL && end[strlen(id)] == '\0')
        *end = '\0';
    explanation_put(told, "reply", text[0] == '\0' ? NULL : text);
}

static void put_decider(struct explanation *e) {
    json_object_set_new(e->told, "decided_by", json_integer((json_int_t)e->decided_by));
}

/* ---- what the session says ---- */

static void on_unavailable(void *context, const char *why) {
    struct explanation *e = context;
    snprintf(e->unavailable.text, sizeof e->unavailable.text, "%s", why);
}

/* The evaluation in progress, or NULL when a message has had all that it can have. */
static struct evaluation *evaluation_now(struct explanation *e) {
    if (e->n_evaluations == sizeof e->evaluations / sizeof *e->evaluations)
        return NULL;
    struct evaluation *now = &e->evaluations[e->n_evaluations];
    if (now->lines == NULL)
        now->lines = json_array();
    return now;
}

static void on_spf(void *context, const char *line) {
    struct evaluation *now = evaluation_now(context);
    if (now != NULL)
        json_array_append_new(now->lines, json_text(line));
}

static void on_spf_done(void *context, enum spf_identity identity,
                        const struct spf_answer *answer) {
    struct explanation *e = context;
    struct evaluation *now = evaluation_now(e);
    if (now == NULL)
        return;
    now->identity = identity;
    now->answer = *answer;
    e->n_evaluations++;
}

static void on_connected(void *context, const struct decision *decision) {
    explanation_steps(context, decision, NULL);
}

static void on_verdict(void *context, const struct verdict_record *record) {
    struct explanation *e = context;
    e->decided = true;
    e->kind = verdict_applied(&record->decision->verdict);
    explanation_steps(e, record->decision, record->account);
    put_decider(e);
    tell_verdict(e, record);
}

struct session_observer explanation_observer(struct explanation *explanation) {
    return (struct session_observer){.judge = {.context = explanation,
                                               .unavailable = on_unavailable,
                                               .spf = on_spf,
                                               .spf_done = on_spf_done},
                                     .connected = on_connected,
                                     .verdict = on_verdict};
}

void explanation_connected(struct explanation *e) {
    e->decided = true;
    e->kind = VERDICT_ACCEPT;
    explanation_put(e->told, "stage", stage_name(STAGE_CONNECT));
    explanation_put(e->told, "verdict", verdict_name(e->kind));
    put_decider(e);
}

void explanation_clear(struct explanation *e) {
    for (size_t i = 0; i < sizeof e->evaluations / sizeof *e->evaluations; i++)
        json_decref(e->evaluations[i].lines);
    json_decref(e->told);
}
