/*
 * The steps of an explanation. Owns which facts belong to a step and how a step is told; what is
 * allowed, listed, known is asked of the functions that the decision itself asks.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../effective.h"
#include "explain.h"
#include "gatepost/cache/account_lookup.h"

void explanation_put(json_t *object, const char *name, const char *value) {
    json_object_set_new(object, name, json_text(value));
}

json_t *explanation_step(struct explanation *e, const char *name, const char *answer,
                         const char *because, ...) {
    char text[1000];
    va_list args;
    json_t *step = json_object();
    va_start(args, because);
    vsnprintf(text, sizeof text, because, args);
    va_end(args);
    explanation_put(step, "step", name);
    explanation_put(step, "answer", answer);
    explanation_put(step, "because", text[0] == '\0' ? NULL : text);
    json_object_set_new(step, "facts", json_array());
    if (e->steps == NULL) {
        e->steps = json_array();
        json_object_set_new(e->told, "steps", e->steps);
    }
    json_array_append_new(e->steps, step);
    return step;
}

json_t *explanation_key(const struct explanation *e, const char *subject) {
    char *key;
    if (asprintf(&key, "%s%s", e->config->key_prefix, subject) < 0)
        return json_null();
    json_t *told = json_text(key);
    free(key);
    return told;
}

void explanation_fact(struct explanation *e, json_t *step, const struct effective *s) {
    json_t *fact = effective_json(s);
    explanation_put(fact, "name", s->name);
    if (s->origin.subject != NULL)
        json_object_set_new(fact, "key", explanation_key(e, s->origin.subject));
    json_array_append_new(json_object_get(step, "facts"), fact);
}

/* A fact that is no setting: an entry, a member. */
static void add_entry(struct explanation *e, json_t *step, const char *value,
                      struct policy_origin origin) {
    const struct effective s = {
        .name = origin.field, .value = value, .from = NULL, .origin = origin};
    if (origin.subject != NULL)
        explanation_fact(e, step, &s);
}

/* ---- before the store is asked ---- */

static void names_of(const struct config_list *list, char *out, size_t size) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->n && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i == 0 ? "" : ", ", list->items[i]);
}

/* Is the client in these networks? */
static void tell_membership(struct explanation *e, const char *name, const struct config_list *list,
                            struct network_answer answer) {
    char names[300];
    names_of(list, names, sizeof names);
    if (answer.membership == MEMBER_YES)
        explanation_step(e, name, "yes", "the client is in one of: %s", names);
    else if (answer.membership == MEMBER_NO)
        explanation_step(e, name, "no", "the client is in none of: %s", names);
    else if (answer.membership == MEMBER_UNKNOWN)
        explanation_step(e, name, "unknown", "the store has not given all of: %s", names);
    else
        add_entry(e, explanation_step(e, name, "malformed", "a member cannot be read"), "malformed",
                  answer.from);
}

void explanation_connect(struct explanation *e, struct network_answer allowed) {
    if (e->listener->rules.has_connect_from)
        tell_membership(e, "connect", &e->listener->connect_from, allowed);
    else
        explanation_step(e, "connect", "yes", "the listener has no connect_from");
}

static void on_begun(void *context, const struct decision_facts *facts,
                     const struct address *account) {
    struct explanation *e = context;
    const struct decision_listener *door = &e->listener->rules;
    e->facts = facts;
    if (e->steps == NULL)
        explanation_connect(e, facts->allowed);
    if (facts->logged_in)
        explanation_step(e, "trusted", "no", "a login is judged by its account");
    else if (e->config->trusted.n == 0)
        explanation_step(e, "trusted", "no", "nobody is: trusted is empty");
    else
        tell_membership(e, "trusted", &e->config->trusted, facts->trusted);
    explanation_step(e, "tls", facts->tls ? "yes" : "no", "the listener %s",
                     door->tls_required ? "requires it" : "does not require it");
    explanation_step(e, "auth", facts->logged_in ? "yes" : "no", "the listener %s",
                     door->auth_required ? "requires a login" : "does not require a login");
    if (!facts->has_account)
        explanation_step(e, "account", "none", "the null sender%s",
                         door->reject_unknown ? ", which unknown_sender = reject takes for unknown"
                                              : "");
    else
        explanation_step(e, "account", account->text, "of the %s",
                         facts->logged_in ? "login" : "sender");
}

/* ---- the policy ---- */

static void tell_fault(struct explanation *e, json_t *step, const char *subject,
                       const struct policy_fault *fault) {
    const struct effective s = {.name = fault->field,
                                .value = fault->unknown ? "unknown field" : "malformed",
                                .origin = {subject, fault->field}};
    explanation_fact(e, step, &s);
    json_t *facts = json_object_get(step, "facts");
    explanation_put(json_array_get(facts, json_array_size(facts) - 1), "problem", fault->why);
}

static void tell_subjects(struct explanation *e) {
    json_t *step = explanation_step(e, "policy", "found", "%s", "");
    bool any = false;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = e->set->policies[i];
        if (e->set->subjects[i] == NULL)
            continue;
        any |= policy != NULL;
        const char *is = policy == NULL ? "absent" : policy->wrong_type ? "wrong type" : "found";
        const struct effective s = {
            .name = "subject", .value = is, .origin = {e->set->subjects[i], NULL}};
        explanation_fact(e, step, &s);
        for (size_t j = 0; policy != NULL && j < policy->n_faults; j++)
            tell_fault(e, step, e->set->subjects[i], &policy->faults[j]);
    }
    if (!any)
        explanation_put(step, "answer", "none");
}

static void tell_service(struct explanation *e) {
    const struct decision_rules *rules = &e->config->rules;
    const char *service = decision_service(&e->listener->rules, e->facts->logged_in);
    struct effective s = effective_service(rules, e->set, service);
    json_t *step =
        explanation_step(e, "service", s.value, "%s%s", service,
                         strcmp(service, e->listener->rules.service) == 0
                             ? ""
                             : ", as which a login at a listener of service smtp counts");
    bool bound = false;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (!protocol_contains(&rules->protocols[i], service))
            continue;
        bound = true;
        s = effective_protocol(e->set, rules->protocols[i].name);
        explanation_fact(e, step, &s);
    }
    if (!bound) {
        s = effective_protocol(e->set, service);
        explanation_fact(e, step, &s);
    }
}

/* Entries that would list the client had they not expired. */
static void tell_expired(struct explanation *e, json_t *step) {
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = e->set->policies[i];
        for (size_t j = 0; policy != NULL && j < policy->n_ips; j++) {
            const struct ip_entry *entry = &policy->ips[j];
            if (!entry->malformed && entry->until != 0 && entry->until <= e->facts->now &&
                netblock_contains(&entry->block, &e->facts->client))
                add_entry(e, step, "expired",
                          (struct policy_origin){e->set->subjects[i], entry->field});
        }
    }
}

static void tell_listed(struct explanation *e) {
    struct policy_origin origin;
    enum setting_state state = policy_ip_listed(e->set, &e->facts->client, e->facts->now, &origin);
    if (state == SETTING_SET) {
        add_entry(e, explanation_step(e, "listed", "yes", "the client's address is listed"),
                  "listed", origin);
        return;
    }
    json_t *step =
        explanation_step(e, "listed", state == SETTING_UNSET ? "no" : "malformed", "%s",
                         state == SETTING_UNSET ? "no entry lists the client's address"
                                                : "an entry that cannot be read might list it");
    if (state == SETTING_MALFORMED)
        add_entry(e, step, "malformed", origin);
    tell_expired(e, step);
}

static void tell_login(struct explanation *e) {
    tell_service(e);
    struct effective s = effective_tls(e->set);
    explanation_fact(e,
                     explanation_step(e, "account-tls", s.value, "the session has %s",
                                      e->facts->tls ? "it" : "none"),
                     &s);
    s = effective_source(e->set);
    explanation_fact(e,
                     explanation_step(e, "source", s.value, "%s",
                                      effective_is_authorized(&s)
                                          ? "only listed addresses may log in to send"
                                          : ""),
                     &s);
    if (effective_is_authorized(&s))
        tell_listed(e);
}

static void tell_sender(struct explanation *e) {
    if (policy_is_known(e->set)) {
        explanation_step(e, "known", "yes", "the account or its domain has policy");
        tell_service(e);
    } else {
        explanation_step(e, "known", "no",
                         "neither the account nor its domain has policy; "
                         "unknown_sender = %s",
                         e->listener->rules.reject_unknown ? "reject" : "accept");
    }
    tell_listed(e);
}

static void on_policy(void *context, const struct account_lookup *lookup, const char *why) {
    struct explanation *e = context;
    if (lookup == NULL) {
        explanation_step(e, "policy", "unavailable", "%s", why);
        return;
    }
    e->set = &lookup->set;
    tell_subjects(e);
    if (e->facts->logged_in)
        tell_login(e);
    else
        tell_sender(e);
}

/* ---- SPF ---- */

static void on_spf(void *context, const char *line) {
    struct explanation *e = context;
    if (e->spf_lines == NULL)
        e->spf_lines = json_array();
    json_array_append_new(e->spf_lines, json_text(line));
}

static void on_spf_done(void *context, enum spf_identity identity,
                        const struct spf_answer *answer) {
    struct explanation *e = context;
    json_t *step = explanation_step(e, "spf", spf_result_name(answer->result), "%s %s%s%s",
                                    identity == IDENTITY_HELO ? "HELO" : "MAIL FROM",
                                    answer->domain[0] == '\0' ? "without a domain" : answer->domain,
                                    answer->problem[0] == '\0' ? "" : ": ", answer->problem);
    json_object_set_new(step, "lines", e->spf_lines == NULL ? json_array() : e->spf_lines);
    e->spf_lines = NULL;
    if (answer->explanation[0] != '\0')
        explanation_put(step, "explanation", answer->explanation);
}

struct session_observer explanation_observer(struct explanation *explanation) {
    return (struct session_observer){.context = explanation,
                                     .begun = on_begun,
                                     .policy = on_policy,
                                     .spf = on_spf,
                                     .spf_done = on_spf_done,
                                     .verdict = explanation_verdict};
}
