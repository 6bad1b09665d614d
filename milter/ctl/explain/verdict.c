/*
 * The end of an explanation. Owns which step made the decision, and how the verdict is told.
 */
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "gatepost/session/verdict_log.h"

/* What is made of the result. */
static void tell_action(struct explanation *e, const struct verdict *verdict) {
    static const struct policy_set nothing;
    const struct policy_set *set = e->set == NULL ? &nothing : e->set;
    bool helo_first = verdict->identity == IDENTITY_HELO && e->facts->has_account;
    struct effective s = effective_source(set);
    if (e->set != NULL && !helo_first) {
        explanation_fact(e,
                         explanation_step(e, "source", s.value, "%s",
                                          effective_is_authorized(&s)
                                              ? "not listed, so that only an SPF pass will do"
                                              : ""),
                         &s);
        if (strcmp(s.value, source_words.names[SOURCE_ANY]) != 0)
            return;
    }
    s = effective_spf(&e->config->rules, set, verdict->spf);
    explanation_fact(
        e, explanation_step(e, "action", s.value, "for SPF %s", spf_result_name(verdict->spf)), &s);
}

static bool says(const json_t *object, const char *name, const char *text) {
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL && strcmp(value, text) == 0;
}

/* The name of the step that made the decision; NULL: the last one that has the fact. */
static const char *decider(const struct explanation *e, const struct verdict *verdict) {
    bool inherited = verdict->from.subject != NULL;
    switch (verdict->reason) {
    case REASON_NOT_ALLOWLISTED:
        return "connect";
    case REASON_TRUSTED:
        return "trusted";
    case REASON_TLS_REQUIRED:
        return inherited ? "account-tls" : "tls";
    case REASON_AUTH_REQUIRED:
        return "auth";
    case REASON_ACCOUNT:
        return inherited ? "listed" : "source";
    case REASON_PROTOCOL_DISABLED:
        return "service";
    case REASON_IP_NOT_AUTHORIZED:
        return e->facts->logged_in ? "listed" : "source";
    case REASON_IP_AUTHORIZED:
        return "listed";
    case REASON_UNKNOWN_SENDER:
        return e->facts->has_account ? "known" : "account";
    case REASON_POLICY_UNAVAILABLE:
        if (e->facts == NULL)
            return "connect";
        return e->set == NULL && e->facts->has_account ? "policy" : "trusted";
    default:
        return NULL;
    }
}

/* Has the step the fact that decided? */
static bool has_fact(const json_t *step, const struct policy_origin *from) {
    const json_t *facts = json_object_get(step, "facts");
    for (size_t i = 0; i < json_array_size(facts) && !says(step, "step", "policy"); i++) {
        const json_t *fact = json_array_get(facts, i);
        if (says(fact, "subject", from->subject) && says(fact, "field", from->field))
            return true;
    }
    return false;
}

/* Which step made the decision is told, and what no decision came to is left out. */
static void end_steps(struct explanation *e, const struct verdict *verdict) {
    const char *name = decider(e, verdict);
    size_t n = json_array_size(e->steps), at = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *step = json_array_get(e->steps, i);
        if (name != NULL ? says(step, "step", name)
                         : verdict->from.subject != NULL && has_fact(step, &verdict->from))
            at = i;
    }
    if (at == n)
        at = n - 1;
    /* trust that cannot be known decides only over what a later step refuses */
    bool last =
        verdict->reason == REASON_TRUSTED || !says(json_array_get(e->steps, at), "step", "trusted");
    while (last && json_array_size(e->steps) > at + 1)
        json_array_remove(e->steps, at + 1);
    json_object_set_new(e->told, "decided_by", json_integer((json_int_t)at + 1));
}

/* Whether a refusal is done asks the mode, which may be in the way itself. */
static void tell_mode(struct explanation *e, const struct verdict *verdict) {
    static const struct policy_set nothing;
    struct effective s = effective_mode(&e->config->rules, e->set == NULL ? &nothing : e->set);
    if (e->listener->rules.mode == MODE_MONITOR)
        s = (struct effective){.name = "mode", .value = "monitor", .from = "listener"};
    bool of_account = s.origin.subject != NULL;
    json_t *step =
        explanation_step(e, "mode", s.value, "%s%s%s", "of the ", of_account ? "policy" : s.from,
                         verdict->monitor ? "; the refusal is told, not done" : "");
    if (of_account)
        explanation_fact(e, step, &s);
}

static void tell_verdict(struct explanation *e, const struct verdict_record *record) {
    const struct verdict *verdict = record->verdict;
    const struct reply *reply = &record->answer->reply;
    char text[REPLY_TEXT_SIZE + 24] = "", id[60];
    json_t *told = e->told;
    explanation_put(told, "stage", record->stage);
    explanation_put(told, "service", record->values->service);
    explanation_put(told, "account", record->has_account ? record->values->account : NULL);
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
        snprintf(text, sizeof text, "%s %s %s", reply->code, reply->enhanced, reply->text);
    /* there is no such session: who looked for its id would find nothing */
    snprintf(id, sizeof id, "; session %s", record->values->session);
    char *end = strstr(text, id);
    if (end != NULL && end[strlen(id)] == '\0')
        *end = '\0';
    explanation_put(told, "reply", text[0] == '\0' ? NULL : text);
}

void explanation_verdict(void *context, const struct verdict_record *record) {
    struct explanation *e = context;
    const struct verdict *verdict = record->verdict;
    e->decided = true;
    e->kind = verdict_applied(verdict);
    if (record->stage[0] == 'c')
        explanation_connect(
            e, (struct network_answer){
                   .membership = verdict->reason == REASON_NOT_ALLOWLISTED    ? MEMBER_NO
                                 : verdict->reason == REASON_POLICY_MALFORMED ? MEMBER_MALFORMED
                                                                              : MEMBER_UNKNOWN,
                   .from = verdict->from});
    else if (verdict->identity != IDENTITY_NONE)
        tell_action(e, verdict);
    bool mode_decides = verdict->from.field != NULL && strcmp(verdict->from.field, "mode") == 0;
    if (!mode_decides)
        end_steps(e, verdict);
    if (verdict->kind != VERDICT_ACCEPT)
        tell_mode(e, verdict);
    if (mode_decides)
        end_steps(e, verdict);
    tell_verdict(e, record);
}

void explanation_connected(struct explanation *e) {
    e->decided = true;
    e->kind = VERDICT_ACCEPT;
    explanation_connect(e, (struct network_answer){.membership = MEMBER_YES});
    explanation_put(e->told, "stage", "connect");
    explanation_put(e->told, "verdict", verdict_name(e->kind));
    json_object_set_new(e->told, "decided_by", json_integer(1));
}
