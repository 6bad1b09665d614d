/*
 * The trace of a decision: its steps, what they are called and which field each asks, and how one
 * of them ends it. Owns what a refusal still has to mind - a provider and trust that cannot be
 * known, the mode; which rule asks what is decision.c's.
 */
#include "decision_trace.h"

#include <string.h>

static const struct policy_origin from_conf = {NULL, NULL};

enum verdict_kind verdict_applied(const struct verdict *verdict) {
    return verdict->monitor ? VERDICT_ACCEPT : verdict->kind;
}

bool verdict_is_stricter(const struct verdict *a, const struct verdict *b) {
    enum verdict_kind x = verdict_applied(a), y = verdict_applied(b);
    return x != y ? x > y : a->kind > b->kind;
}

const char *decision_rule_name(enum decision_rule rule) {
    static const char *const names[RULES] = {
        [RULE_CONNECT] = "connect",
        [RULE_TRUSTED] = "trusted",
        [RULE_TLS] = "tls",
        [RULE_AUTH] = "auth",
        [RULE_ACCOUNT] = "account",
        [RULE_POLICY] = "policy",
        [RULE_KNOWN] = "known",
        [RULE_SERVICE] = "service",
        [RULE_ACCOUNT_TLS] = "account-tls",
        [RULE_PASSWORD] = "password",
        [RULE_SENDER] = "sender",
        [RULE_OWNED] = "owned",
        [RULE_PROVIDER] = "provider",
        [RULE_SOURCE] = "source",
        [RULE_LISTED] = "listed",
        [RULE_SPF] = "spf",
        [RULE_ACTION] = "action",
        [RULE_MODE] = "mode",
    };
    return names[rule];
}

const struct policy_field *decision_rule_field(enum decision_rule rule) {
    switch (rule) {
    case RULE_ACCOUNT_TLS:
        return policy_field_of(FIELD_TLS);
    case RULE_PASSWORD:
        return policy_field_of(FIELD_PASSWORD);
    case RULE_SENDER:
        return policy_field_of(FIELD_SENDER);
    case RULE_SOURCE:
        return policy_field_of(FIELD_SOURCE);
    case RULE_MODE:
        return policy_field_of(FIELD_MODE);
    default:
        return NULL;
    }
}

/* One more step; there is room for all that one message can come to. */
struct decision_step *trace_step(struct decision *d, enum decision_rule rule, int value) {
    size_t at = d->n_steps < DECISION_STEPS ? d->n_steps++ : DECISION_STEPS - 1;
    d->steps[at] = (struct decision_step){.rule = rule, .value = value};
    return &d->steps[at];
}

/* Adds a step for something the listener may require. False if it is required and missing. */
bool trace_ask_listener(struct decision *d, enum decision_rule rule, bool is, bool required) {
    struct decision_step *step = trace_step(d, rule, is);
    step->listener = required;
    return is || !required;
}

/* One that asks the policy for the setting of its rule. */
const struct decision_step *trace_ask_policy(struct decision *d, enum decision_rule rule) {
    const struct policy_field *field = decision_rule_field(rule);
    struct decision_step *step = trace_step(d, rule, field->otherwise);
    step->state = policy_setting(d->policy, field->id, &step->value, &step->from);
    return step;
}

enum membership trace_ask_trusted(struct decision *d) {
    const struct network_answer *trusted = &d->facts->trusted;
    struct decision_step *step = trace_step(d, RULE_TRUSTED, MEMBER_NO);
    if (!d->facts->logged_in) {
        step->value = (int)trusted->membership;
        step->from = trusted->from;
    }
    return (enum membership)step->value;
}

/* The step that asks for trust; at connect nobody has asked yet. */
static size_t trusted_step(struct decision *d) {
    for (size_t i = 0; i < d->n_steps; i++)
        if (d->steps[i].rule == RULE_TRUSTED)
            return i;
    trace_ask_trusted(d);
    return d->n_steps - 1;
}

/*
 * Whether the client is trusted matters to a message only when it would be refused: then what
 * cannot be known or read defers it. It never opens a door, whatever on_store_error says.
 */
static void mind_trusted(struct decision *d) {
    struct verdict *v = &d->verdict;
    enum membership trusted = d->facts->trusted.membership;
    if (d->facts->logged_in || v->kind != VERDICT_REJECT)
        return;
    if (trusted == MEMBER_UNKNOWN && d->rules->on_store_error != VERDICT_REJECT) {
        v->reason = REASON_POLICY_UNAVAILABLE;
        v->from = from_conf;
    } else if (trusted == MEMBER_MALFORMED) {
        v->reason = REASON_POLICY_MALFORMED;
        v->from = d->facts->trusted.from;
    } else {
        return;
    }
    v->kind = VERDICT_DEFER;
    d->decider = trusted_step(d);
}

/* A provider that could not be asked might have listed the client: a refusal has to wait. */
static void mind_provider(struct decision *d) {
    struct verdict *v = &d->verdict;
    if (d->unanswered == 0 || v->kind != VERDICT_REJECT)
        return;
    const struct policy_provider *provider = &d->providers[d->unanswered - 1];
    d->decider = d->listed + d->unanswered; /* providers follow it */
    v->kind = VERDICT_DEFER;
    v->reason = REASON_SPF;
    v->from = provider->from;
    v->provider = provider->domain;
}

bool trace_minds_password(const struct decision *d) {
    return d->listener->door != DOOR_MTA && strcmp(d->listener->service, "webmail") != 0;
}

/*
 * What a wrong password gets is no trial, and one that something else refuses before is not let in
 * by it either.
 */
static bool is_wrong_password(const struct decision *d) {
    struct policy_origin from;
    int value = PASSWORD_ANY;
    if (d->policy == NULL || d->facts->app_password || !trace_minds_password(d))
        return false;
    enum setting_state state = policy_setting(d->policy, FIELD_PASSWORD, &value, &from);
    return state == SETTING_MALFORMED || value == PASSWORD_APPLICATION;
}

bool trace_waits_for_password(const struct decision *d) {
    return d->verdict.monitor && trace_minds_password(d) && !d->facts->app_password;
}

void trace_password_known(struct decision *d) {
    d->verdict.monitor = d->verdict.monitor && !is_wrong_password(d);
}

/* A refusal asks the mode; one that cannot be read defers the message. */
static void mind_mode(struct decision *d) {
    struct verdict *v = &d->verdict;
    bool of_listener = d->listener->mode == MODE_MONITOR;
    struct decision_step *mode =
        trace_step(d, RULE_MODE, of_listener ? MODE_MONITOR : (int)d->rules->mode);
    mode->listener = of_listener;
    if (mode->value == MODE_ENFORCE && d->policy != NULL)
        mode->state = policy_mode(d->policy, &mode->value, &mode->from);
    if (mode->state != SETTING_MALFORMED) {
        v->monitor = mode->value == MODE_MONITOR && !is_wrong_password(d);
    } else if (v->reason != REASON_POLICY_MALFORMED) {
        v->kind = VERDICT_DEFER;
        v->reason = REASON_POLICY_MALFORMED;
        v->from = mode->from;
        d->decider = d->n_steps - 1;
    }
}

/* Ends the decision, by a step. A message that is accepted anyway does not need the mode. */
enum decision_next trace_made_by(struct decision *d, size_t decider, enum verdict_kind kind,
                                 enum reason reason, struct policy_origin from) {
    struct verdict *v = &d->verdict;
    v->kind = kind;
    v->reason = reason;
    v->from = from;
    v->provider = NULL;
    v->monitor = false;
    d->decider = decider;
    if (reason != REASON_HEADER_FORGED)
        mind_provider(d);
    if (reason != REASON_NOT_ALLOWLISTED) /* trust does not open a listener's connect_from */
        mind_trusted(d);
    if (v->kind != VERDICT_ACCEPT)
        mind_mode(d);
    return d->next = DECISION_MADE;
}

/* By the step that was asked last. */
enum decision_next trace_made(struct decision *d, enum verdict_kind kind, enum reason reason,
                              struct policy_origin from) {
    return trace_made_by(d, d->n_steps - 1, kind, reason, from);
}

enum decision_next trace_malformed(struct decision *d, struct policy_origin from) {
    return trace_made(d, VERDICT_DEFER, REASON_POLICY_MALFORMED, from);
}
