/*
 * A question of the past, judged anew. Owns what the log cannot say: where that decides, there is
 * no verdict. The rules are the core's, asked through the filter's own judge.
 */
#include <string.h>

#include "gatepost/session/judge.h"
#include "side.h"

/* What a line may not say. Of each there are two cases that the rules tell apart. */
enum unknown { UNKNOWN_TLS, UNKNOWN_HELO, UNKNOWN_PREFIX, UNKNOWNS };
static const enum unsaid unknowns[UNKNOWNS] = {UNSAID_TLS, UNSAID_HELO, UNSAID_PREFIX};

/* A question, and what is taken for true of what its line does not say. */
struct guess {
    const struct past *past;
    bool second[UNKNOWNS]; /* no TLS, HELO fails, the pass is wide; else the opposite */
    bool asked[UNKNOWNS];  /* it may have mattered */
    enum unsaid unsaid;    /* what was asked for and cannot be guessed */
    struct why unavailable;
};

/* Only a fail of HELO can decide, where MAIL FROM is evaluated as well. */
static enum spf_result recall_helo(struct guess *g) {
    if (g->past->helo_spf >= 0)
        return (enum spf_result)g->past->helo_spf;
    g->asked[UNKNOWN_HELO] = true;
    return g->second[UNKNOWN_HELO] ? RESULT_FAIL : RESULT_NONE;
}

static unsigned recall_prefix(struct guess *g) {
    if (g->past->spf_prefix >= 0)
        return (unsigned)g->past->spf_prefix;
    g->asked[UNKNOWN_PREFIX] = true;
    return g->second[UNKNOWN_PREFIX] ? 0 : 128;
}

/*
 * The result that the line has is that of MAIL FROM, but for the null sender, and unless a fail of
 * HELO has decided: HELO is then not logged apart.
 */
static bool recall(void *context, const struct judgement *j, enum spf_identity identity,
                   enum spf_result *result, unsigned *prefix) {
    struct guess *g = context;
    const struct past *past = g->past;
    if (identity == IDENTITY_NONE)
        g->unsaid = UNSAID_PROVIDER;
    else if (j->sender != past->sender)
        g->unsaid = UNSAID_SENDER; /* another reading of it, whose SPF nobody has logged */
    else if (past->spf < 0)
        g->unsaid = UNSAID_SPF;
    if (g->unsaid != UNSAID_NOT)
        return false;
    *prefix = 0; /* is asked of a pass only */
    if (identity == IDENTITY_HELO && past->sender[0] != '\0') {
        *result = recall_helo(g);
        return true;
    }
    *result = (enum spf_result)past->spf;
    if (*result == RESULT_PASS)
        *prefix = recall_prefix(g);
    if (g->second[UNKNOWN_HELO] && *result == RESULT_FAIL)
        g->unsaid = UNSAID_HELO; /* of which of the two is it? */
    return g->unsaid == UNSAID_NOT;
}

static void on_unavailable(void *context, const char *why) {
    struct guess *g = context;
    why_set(&g->unavailable, "%s", why);
}

/* The listener that the line names, as the configuration has it today; false when it has none. */
static bool find_listener(const struct side *side, const struct past *past,
                          const struct config_listener **out) {
    const struct config *config = side->runtime.config;
    *out = NULL;
    for (size_t i = 0; past->listener != NULL && i < config->n_listeners; i++) {
        const struct decision_listener *rules = &config->listeners[i].rules;
        if (rules->door == past->door && rules->name != NULL &&
            strcmp(rules->name, past->listener) == 0) {
            *out = &config->listeners[i];
            return true;
        }
    }
    if (past->listener != NULL)
        return false;
    if (past->door == DOOR_MTA) {
        *out = config_listener(config, NULL, NULL, NULL);
        return *out != NULL && (*out)->rules.name == NULL;
    }
    const struct config_door_query query = {.door = past->door, .service = past->service};
    return config_door_listener(config, &query, out) == 0;
}

static struct outcome outcome_of(const struct verdict *v) {
    return (struct outcome){v->kind, v->reason, v->monitor};
}

/* As session.c asks at connect: true when the client is let in. */
static bool let_in(const struct side *side, const struct config_listener *listener,
                   struct decision_facts *facts, char members[2][60], struct outcome *out) {
    const struct config *config = side->runtime.config;
    struct decision decision;
    facts->trusted = networks_contain(side->runtime.networks, &config->trusted, &facts->client,
                                      members[0], sizeof members[0]);
    facts->allowed = networks_contain(side->runtime.networks, &listener->connect_from,
                                      &facts->client, members[1], sizeof members[1]);
    decision_connect(&decision, &config->rules, &listener->rules, facts);
    *out = outcome_of(&decision.verdict);
    return verdict_applied(&decision.verdict) == VERDICT_ACCEPT;
}

static void judge_guess(const struct side *side, const struct config_listener *listener,
                        int64_t now, struct guess *g, struct outcome *out) {
    const struct past *past = g->past;
    const struct judge_observer observer = {.context = g, .unavailable = on_unavailable};
    const struct judge_past recalled = {g, recall};
    const struct decision_listener bare = {
        .door = past->door, .service = past->service, .mode = MODE_ENFORCE};
    char members[2][60];
    struct judgement j = {.runtime = &side->runtime,
                          .listener = listener == NULL ? &bare : &listener->rules,
                          .facts = {.client = past->client,
                                    .tls = past->tls == TLS_YES ||
                                           (past->tls == TLS_NOT_LOGGED && !g->second[UNKNOWN_TLS]),
                                    .app_password = past->app_password,
                                    .now = now},
                          .helo = past->helo,
                          .sender = past->sender,
                          .observer = &observer,
                          .past = &recalled};
    if (past->door == DOOR_MTA) {
        if (!let_in(side, listener, &j.facts, members, out) || past->stage == STAGE_CONNECT)
            return;
    }
    judge_decide(&j, &(struct judge_question){.login = past->login, .given = past->sender});
    *out = outcome_of(&j.decision.verdict);
    judge_clear(&j);
}

/*
 * With all that may be true of what the line does not say, from the given unknown on: a verdict is
 * one only where it is always the same.
 */
static enum unsaid judge_all(const struct side *side, const struct config_listener *listener,
                             int64_t now, struct guess *g, enum unknown unknown,
                             struct outcome *out) {
    struct outcome other;
    if (unknown == UNKNOWNS) {
        judge_guess(side, listener, now, g, out);
        return g->unsaid;
    }
    g->second[unknown] = false;
    enum unsaid unsaid = judge_all(side, listener, now, g, unknown + 1, out);
    if (unsaid != UNSAID_NOT || !g->asked[unknown])
        return unsaid;
    g->second[unknown] = true;
    unsaid = judge_all(side, listener, now, g, unknown + 1, &other);
    g->second[unknown] = false;
    bool same = outcome_is_same(out, &other) && out->reason == other.reason;
    return unsaid == UNSAID_NOT && same ? UNSAID_NOT : unknowns[unknown];
}

int side_judge(const struct side *side, const struct past *past, int64_t now, struct outcome *out,
               struct why *why) {
    const struct config_listener *listener;
    struct guess g = {.past = past, .asked[UNKNOWN_TLS] = past->tls == TLS_NOT_LOGGED};
    if (!find_listener(side, past, &listener))
        return UNSAID_LISTENER;
    enum unsaid unsaid = judge_all(side, listener, now, &g, UNKNOWN_TLS, out);
    bool failed = unsaid == UNSAID_NOT && out->reason == REASON_POLICY_UNAVAILABLE;
    if (g.unavailable.text[0] == '\0' && !failed)
        return (int)unsaid;
    if (g.unavailable.text[0] == '\0')
        why_set(&g.unavailable, "a network could not be read");
    *why = g.unavailable;
    return -1;
}
