/*
 * The steps of an explanation. Owns how each step of the decision's trace is put into words, and
 * which facts are shown under it. Which steps there are, their answers, their order and which one
 * decided is what the trace says: no rule is asked again here.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../effective.h"
#include "../memory.h"
#include "explain.h"
#include "gatepost/core/store_key.h"

/* A trace while it is put into words. */
struct wording {
    struct explanation *e;
    const struct decision *decision;
    const char *account;
    json_t *steps;
    size_t n_spf;           /* evaluations so far */
    enum spf_result result; /* of the last one */
};

void explanation_put(json_t *object, const char *name, const char *value) {
    json_object_set_new(object, name, json_text(value));
}

json_t *explanation_key(const struct explanation *e, const char *subject) {
    char *key = store_key_make(e->config->key_prefix, subject);
    if (key == NULL)
        no_memory();
    json_t *told = json_text(key);
    free(key);
    return told;
}

static const char *answer_of(const struct wording *w, const struct decision_step *step) {
    static const char *const is[] = {"no", "yes"}, *const account[] = {"none"};
    static const char *const member[] = {"no", "yes", "unknown", "malformed"};
    static const char *const found[] = {"none", "found", "unavailable"};
    static const char *const allowed[] = {"refused", "allowed"};
    const char *const *const answers[RULES] = {
        [RULE_CONNECT] = member,
        [RULE_TRUSTED] = member,
        [RULE_TLS] = is,
        [RULE_AUTH] = is,
        [RULE_ACCOUNT] = account,
        [RULE_POLICY] = found,
        [RULE_KNOWN] = is,
        [RULE_SERVICE] = allowed,
        [RULE_OWNED] = is,
        [RULE_LISTED] = is,
        [RULE_PROVIDER] = spf_result_words.names,
        [RULE_SPF] = spf_result_words.names,
        [RULE_ACTION] = verdict_words.names,
    };
    const struct policy_field *field = decision_rule_field(step->rule);
    if (step->state == SETTING_MALFORMED)
        return "malformed";
    if (step->rule == RULE_ACCOUNT && step->value)
        return w->account;
    return field != NULL ? field->words->names[step->value] : answers[step->rule][step->value];
}

/* One more step; `because` may come to nothing. It belongs to the explanation. */
__attribute__((format(printf, 3, 4))) static json_t *
put_step(struct wording *w, const struct decision_step *step, const char *because, ...) {
    char text[1000];
    va_list args;
    json_t *told = json_object();
    va_start(args, because);
    vsnprintf(text, sizeof text, because, args);
    va_end(args);
    explanation_put(told, "step", decision_rule_name(step->rule));
    explanation_put(told, "answer", answer_of(w, step));
    explanation_put(told, "because", text[0] == '\0' ? NULL : text);
    json_object_set_new(told, "facts", json_array());
    json_array_append_new(w->steps, told);
    return told;
}

/* A fact under a step; it belongs to the step. */
static json_t *put_fact(const struct wording *w, json_t *step, const struct effective *s) {
    json_t *fact = effective_json(s);
    explanation_put(fact, "name", s->name);
    if (s->origin.subject != NULL)
        json_object_set_new(fact, "key", explanation_key(w->e, s->origin.subject));
    json_array_append_new(json_object_get(step, "facts"), fact);
    return fact;
}

/* A fact that is no setting: an entry, a member. */
static void put_entry(const struct wording *w, json_t *step, const char *value,
                      struct policy_origin origin) {
    const struct effective s = {
        .name = origin.field, .value = value, .from = NULL, .origin = origin};
    if (origin.subject != NULL)
        put_fact(w, step, &s);
}

/* ---- before the store is asked ---- */

static void names_of(const struct config_list *list, char *out, size_t size) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->n && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i == 0 ? "" : ", ", list->items[i]);
}

static void word_membership(struct wording *w, const struct decision_step *step,
                            const struct config_list *list) {
    static const char *const texts[] = {[MEMBER_NO] = "the client is in none of: ",
                                        [MEMBER_YES] = "the client is in one of: ",
                                        [MEMBER_UNKNOWN] = "the store has not given all of: ",
                                        [MEMBER_MALFORMED] = "a member is malformed"};
    char names[300];
    names_of(list, names, sizeof names);
    bool malformed = step->value == MEMBER_MALFORMED;
    json_t *told = put_step(w, step, "%s%s", texts[step->value], malformed ? "" : names);
    if (malformed)
        put_entry(w, told, "malformed", step->from);
}

static void word_connect(struct wording *w, const struct decision_step *step) {
    if (step->listener)
        word_membership(w, step, &w->e->listener->connect_from);
    else
        put_step(w, step, "the listener has no connect_from");
}

static void word_trusted(struct wording *w, const struct decision_step *step) {
    if (w->decision->facts->logged_in)
        put_step(w, step, "a login is judged by its account");
    else if (w->e->config->trusted.n == 0)
        put_step(w, step, "trusted is empty");
    else
        word_membership(w, step, &w->e->config->trusted);
}

static void word_tls(struct wording *w, const struct decision_step *step) {
    put_step(w, step, "the listener %s",
             w->decision->listener->tls_offloaded ? "takes every login for made by TLS"
             : step->listener                     ? "requires it"
                                                  : "does not require it");
}

static void word_auth(struct wording *w, const struct decision_step *step) {
    put_step(w, step, "the listener %s",
             step->listener ? "requires a login" : "does not require a login");
}

static void word_account(struct wording *w, const struct decision_step *step) {
    if (!step->value)
        put_step(w, step, "the null sender, and HELO gives no domain%s",
                 step->listener ? "; unknown_sender = reject" : "");
    else if (w->decision->facts->null_sender)
        put_step(w, step, "of the null sender, by its HELO name");
    else if (w->decision->facts->misnamed)
        put_step(w, step, "of the login; no account can have this name");
    else
        put_step(w, step, "of the %s", w->decision->facts->logged_in ? "login" : "sender");
}

/* ---- the policy ---- */

static void put_fault(struct wording *w, json_t *step, const char *subject,
                      const struct policy_fault *fault) {
    const struct effective s = {.name = fault->field,
                                .value = fault->kind == FAULT_UNKNOWN_FIELD ? "unknown field"
                                                                            : "malformed",
                                .origin = {subject, fault->field}};
    explanation_put(put_fact(w, step, &s), "problem", fault->why);
}

static void word_policy(struct wording *w, const struct decision_step *step) {
    const struct policy_set *set = w->decision->policy;
    json_t *told = put_step(w, step, "%s", set == NULL ? w->e->unavailable.text : "");
    for (size_t i = 0; set != NULL && i < ALL_SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        if (set->subjects[i] == NULL)
            continue;
        const char *is = policy == NULL       ? "absent"
                         : policy->wrong_type ? "wrong type"
                         : policy->too_large  ? "too large"
                                              : "found";
        const struct effective s = {
            .name = "subject", .value = is, .origin = {set->subjects[i], NULL}};
        put_fact(w, told, &s);
        for (size_t j = 0; policy != NULL && j < policy->n_faults; j++)
            put_fault(w, told, set->subjects[i], &policy->faults[j]);
    }
}

static void word_known(struct wording *w, const struct decision_step *step) {
    if (step->value)
        put_step(w, step, "the account, its domain or a parent of that has policy");
    else
        put_step(w, step, "neither the account nor its domain nor a parent has policy; %s = %s",
                 w->decision->facts->logged_in ? "unknown_login" : "unknown_sender",
                 step->listener ? "reject" : "accept");
}

static void word_service(struct wording *w, const struct decision_step *step) {
    const struct decision_rules *rules = w->decision->rules;
    const struct decision_listener *listener = w->decision->listener;
    const char *service = decision_service(listener, w->decision->facts->logged_in);
    if (w->decision->policy == NULL) {
        put_step(w, step, "there is no such service, or no listener of it matches");
        return;
    }
    json_t *told = put_step(w, step, "%s%s", service,
                            strcmp(service, listener->service) == 0
                                ? ""
                                : ", as which a login at a listener of service smtp counts");
    bool bound = false;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (!protocol_contains(&rules->protocols[i], service))
            continue;
        bound = true;
        const struct effective s =
            effective_protocol(w->decision->policy, rules->protocols[i].name);
        put_fact(w, told, &s);
    }
    if (!bound) {
        const struct effective s = effective_protocol(w->decision->policy, service);
        put_fact(w, told, &s);
    }
}

/* The setting that the rule asks the policy for, under what is said of it. */
static void put_setting(struct wording *w, const struct decision_step *step, json_t *told) {
    const struct effective s = effective_setting(w->decision->rules, w->decision->policy,
                                                 decision_rule_field(step->rule)->id, 0);
    put_fact(w, told, &s);
}

/* A rule that asks for a setting and of which there is no more to say. */
static void word_setting(struct wording *w, const struct decision_step *step) {
    put_setting(w, step, put_step(w, step, "%s", ""));
}

static void word_account_tls(struct wording *w, const struct decision_step *step) {
    put_setting(
        w, step,
        put_step(w, step, "the session has %s",
                 w->decision->facts->tls || w->decision->listener->tls_offloaded ? "it" : "none"));
}

static void word_password(struct wording *w, const struct decision_step *step) {
    put_setting(w, step,
                put_step(w, step, "the login was made with %s",
                         w->decision->facts->app_password ? "one" : "another password"));
}

/* Which reading of the sender the account does not own; of those that it does, by which entry. */
static void word_owned(struct wording *w, const struct decision_step *step) {
    const struct decision *d = w->decision;
    const struct decision_facts *facts = d->facts;
    const char *sender = facts->senders[d->unowned < facts->n_senders ? d->unowned : 0].text;
    json_t *told;
    if (step->state == SETTING_MALFORMED)
        told = put_step(w, step, "a malformed entry might name %.300s", sender);
    else if (!step->value && d->unowned >= facts->n_senders)
        told = put_step(w, step, "the sender can be read in too many ways");
    else if (!step->value)
        told = put_step(w, step, "%s%.300s, which is neither the account nor an as: entry",
                        d->unowned > 0 ? "the sender can be read as " : "the sender is ", sender);
    else
        told = put_step(w, step, "%s",
                        facts->senders[0].text[0] == '\0' ? "the null sender"
                        : step->from.subject != NULL      ? "the sender is an as: entry"
                                                          : "the sender is the account");
    put_entry(w, told, step->state == SETTING_MALFORMED ? "malformed" : "allowed", step->from);
    if (step->state == SETTING_UNSET) {
        const struct effective s = effective_setting(d->rules, d->policy, FIELD_SENDER, 0);
        put_fact(w, told, &s);
    }
}

static void word_source(struct wording *w, const struct decision_step *step) {
    const struct decision *d = w->decision;
    const char *because = "";
    if (d->facts->logged_in && !decision_asks_source(d->rules, decision_service(d->listener, true)))
        because = "which does not matter here: source_services does not name this service";
    else if (step->state == SETTING_SET && step->value == SOURCE_AUTHORIZED &&
             !d->facts->logged_in && policy_is_own(d->policy, &step->from))
        because = d->own_listed ? "the user's own demand, which his own entry meets"
                                : "the user's own demand: not listed, so SPF must pass";
    else if (step->state == SETTING_SET && step->value == SOURCE_AUTHORIZED)
        because = d->facts->logged_in ? "a login may send from listed addresses only"
                                      : "not listed, so SPF must pass";
    else if (step->state != SETTING_MALFORMED && step->listener)
        because = "unknown_sender = reject: for the null sender SPF must pass, whatever the source";
    put_setting(w, step, put_step(w, step, "%s", because));
}

/* Entries that would list the client had they not expired, or begun already. */
static void put_expired(struct wording *w, json_t *step) {
    const struct policy_set *set = w->decision->policy;
    const struct decision_facts *facts = w->decision->facts;
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        for (size_t j = 0; policy != NULL && j < policy->n_ips; j++) {
            const struct ip_entry *entry = &policy->ips[j];
            if (!entry->malformed && !policy_ip_counts(entry, facts->now) &&
                netblock_contains(&entry->block, &facts->client))
                put_entry(w, step, entry->from > facts->now ? "pending" : "expired",
                          (struct policy_origin){set->subjects[i], entry->field});
        }
        for (size_t j = 0; policy != NULL && j < policy->n_providers; j++)
            if (!policy->providers[j].malformed &&
                !policy_name_counts(&policy->providers[j], facts->now))
                put_entry(w, step, "expired",
                          (struct policy_origin){set->subjects[i], policy->providers[j].field});
    }
}

static void word_listed(struct wording *w, const struct decision_step *step) {
    static const struct {
        const char *because, *is;
    } texts[] = {
        [SETTING_UNSET] = {"no entry lists the client's address", NULL},
        [SETTING_SET] = {"the client's address is listed", "listed"},
        [SETTING_MALFORMED] = {"a malformed entry might list it", "malformed"},
    };
    const char *because = w->decision->own_listed && step->state == SETTING_SET
                              ? "the client's address is listed by the user himself, which is what "
                                "his own source asks for: SPF is still asked"
                              : texts[step->state].because;
    json_t *told = put_step(w, step, "%s", because);
    put_entry(w, told, texts[step->state].is, step->from);
    if (step->state != SETTING_SET)
        put_expired(w, told);
}

/* ---- SPF, and what is made of it ---- */

/* The term that has made a pass too wide, or nothing. */
static void name_term(const struct decision_step *step, const struct spf_answer *answer,
                      const char *what, char *out, size_t size) {
    out[0] = '\0';
    if (step->too_wide)
        snprintf(out, size, "; %s: %s in the record of %s", what, answer->term,
                 answer->term_domain);
}

/* The next evaluation that the session has told. */
static const struct evaluation *next_evaluation(struct wording *w) {
    return &w->e->evaluations[w->n_spf++];
}

static void word_provider(struct wording *w, const struct decision_step *step) {
    const struct evaluation *evaluation = next_evaluation(w);
    const struct spf_answer *answer = &evaluation->answer;
    char wide[500];
    name_term(step, answer, "too wide for source authorized", wide, sizeof wide);
    json_t *told =
        put_step(w, step, "of %s%s%s%s%s", answer->domain, answer->problem[0] == '\0' ? "" : ": ",
                 answer->problem, wide, step->too_wide ? ", so it lists nobody" : "");
    bool listed = step->value == RESULT_PASS && !step->too_wide;
    put_entry(w, told, listed ? "listed" : "not listed", step->from);
    json_object_set(told, "lines", evaluation->lines);
}

static void word_spf(struct wording *w, const struct decision_step *step) {
    const struct evaluation *evaluation = next_evaluation(w);
    const struct spf_answer *answer = &evaluation->answer;
    char wide[500];
    name_term(step, answer, "too wide for source authorized", wide, sizeof wide);
    w->result = (enum spf_result)step->value;
    json_t *told = put_step(w, step, "%s %s%s%s%s",
                            evaluation->identity == IDENTITY_HELO ? "HELO" : "MAIL FROM",
                            answer->domain[0] == '\0' ? "without a domain" : answer->domain,
                            answer->problem[0] == '\0' ? "" : ": ", answer->problem, wide);
    json_object_set(told, "lines", evaluation->lines);
    if (answer->explanation[0] != '\0')
        explanation_put(told, "explanation", answer->explanation);
}

static void word_action(struct wording *w, const struct decision_step *step) {
    static const struct policy_set nothing;
    const struct policy_set *set = w->decision->policy == NULL ? &nothing : w->decision->policy;
    const struct effective s =
        effective_setting(w->decision->rules, set, FIELD_SPF, (size_t)w->result);
    put_fact(w, put_step(w, step, "for SPF %s", spf_result_name(w->result)), &s);
}

static void word_mode(struct wording *w, const struct decision_step *step) {
    const char *whose = step->state != SETTING_UNSET ? "policy"
                        : step->listener             ? "listener"
                                                     : "configuration";
    json_t *told = put_step(
        w, step, "of the %s%s", whose,
        w->decision->verdict.monitor ? "; the refusal is logged, but not carried out" : "");
    if (step->state != SETTING_UNSET)
        put_setting(w, step, told);
}

void explanation_steps(struct explanation *e, const struct decision *decision,
                       const char *account) {
    static void (*const words[RULES])(struct wording *, const struct decision_step *) = {
        [RULE_CONNECT] = word_connect,
        [RULE_TRUSTED] = word_trusted,
        [RULE_TLS] = word_tls,
        [RULE_AUTH] = word_auth,
        [RULE_ACCOUNT] = word_account,
        [RULE_POLICY] = word_policy,
        [RULE_KNOWN] = word_known,
        [RULE_SERVICE] = word_service,
        [RULE_OWNED] = word_owned,
        [RULE_PROVIDER] = word_provider,
        [RULE_ACCOUNT_TLS] = word_account_tls,
        [RULE_PASSWORD] = word_password,
        [RULE_SOURCE] = word_source,
        [RULE_LISTED] = word_listed,
        [RULE_SPF] = word_spf,
        [RULE_ACTION] = word_action,
        [RULE_MODE] = word_mode,
    };
    struct wording w = {.e = e,
                        .decision = decision,
                        .account = account,
                        .steps = json_object_get(e->told, "steps")};
    if (w.steps == NULL) {
        w.steps = json_array();
        json_object_set_new(e->told, "steps", w.steps);
    }
    e->decided_by = json_array_size(w.steps) + decision->decider + 1;
    for (size_t i = 0; i < decision->n_steps; i++) {
        const struct decision_step *step = &decision->steps[i];
        (words[step->rule] != NULL ? words[step->rule] : word_setting)(&w, step);
    }
}
