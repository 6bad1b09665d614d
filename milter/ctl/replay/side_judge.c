/*
 * A question of the past, judged anew. Owns what the log cannot say: where that decides, there is
 * no verdict. The rules are the core's, asked through the filter's own judge.
 */
#include <string.h>

#include "gatepost/session/judge.h"
#include "side.h"

/* What is taken for true of what the line does not say. */
struct guess {
    const struct past *past;
    bool tls;
    enum spf_result helo; /* where HELO was not evaluated beside MAIL FROM */
    bool helo_asked;      /* and that was asked for */
    enum unsaid unsaid;   /* what was asked for and is not known */
    struct why unavailable;
};

/*
 * The result that the line has is that of MAIL FROM, but for the null sender, and unless a fail of
 * HELO has decided: HELO is then not logged apart.
 */
static bool recall(void *context, const struct judgement *j, enum spf_identity identity,
                   enum spf_result *result, unsigned *prefix) {
    struct guess *g = context;
    const struct past *past = g->past;
    bool null_sender = past->sender[0] == '\0';
    /* by how many bits it passed is logged only where that was too few */
    *prefix = past->outcome.reason == REASON_SPF_TOO_WIDE ? 0 : 128;
    if (identity == IDENTITY_NONE)
        g->unsaid = UNSAID_PROVIDER;
    else if (j->sender != past->sender)
        g->unsaid = UNSAID_SENDER; /* another reading of it, whose SPF nobody has logged */
    else if (past->spf < 0)
        g->unsaid = UNSAID_SPF;
    if (g->unsaid != UNSAID_NOT)
        return false;
    *result = (enum spf_result)past->spf;
    if (identity == IDENTITY_HELO && !null_sender) {
        g->helo_asked = past->helo_spf < 0;
        *result = g->helo_asked ? g->helo : (enum spf_result)past->helo_spf;
    } else if (g->helo_asked && g->helo == RESULT_FAIL && past->spf == RESULT_FAIL) {
        g->unsaid = UNSAID_HELO;
    }
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
                                    .tls = g->tls,
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

/* With HELO not logged, both what it may have said: only a fail of it can decide. */
static enum unsaid judge_helo(const struct side *side, const struct config_listener *listener,
                              int64_t now, struct guess *g, struct outcome *out) {
    struct outcome with_fail;
    *g = (struct guess){.past = g->past, .tls = g->tls, .helo = RESULT_NONE};
    judge_guess(side, listener, now, g, out);
    if (!g->helo_asked || g->unsaid != UNSAID_NOT)
        return g->unsaid;
    g->helo = RESULT_FAIL;
    judge_guess(side, listener, now, g, &with_fail);
    return g->unsaid == UNSAID_NOT && outcome_is_same(out, &with_fail) &&
                   out->reason == with_fail.reason
               ? UNSAID_NOT
               : UNSAID_HELO;
}

int side_judge(const struct side *side, const struct past *past, int64_t now, struct outcome *out,
               struct why *why) {
    const struct config_listener *listener;
    struct guess g = {.past = past, .tls = past->tls != TLS_NO};
    struct outcome without;
    if (!find_listener(side, past, &listener))
        return UNSAID_LISTENER;
    enum unsaid unsaid = judge_helo(side, listener, now, &g, out);
    if (unsaid == UNSAID_NOT && past->tls == TLS_NOT_LOGGED) {
        g.tls = false;
        unsaid = judge_helo(side, listener, now, &g, &without);
        if (unsaid != UNSAID_NOT || !outcome_is_same(out, &without) ||
            out->reason != without.reason)
            unsaid = UNSAID_TLS;
    }
    if (g.unavailable.text[0] != '\0' ||
        (unsaid == UNSAID_NOT && out->reason == REASON_POLICY_UNAVAILABLE)) {
        *why = g.unavailable;
        if (why->text[0] == '\0')
            why_set(why, "a network could not be read");
        return -1;
    }
    return (int)unsaid;
}
