/*
 * A change of what a user has set himself. Owns the order of its steps - read, judge, write - and
 * that one which meets another is tried again; the rule is self_rule.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/idna.h"
#include "gatepost/write/fact_check.h"
#include "self_inside.h"
#include "self_rule.h"

#define TRIES 100 /* each time that one is too late, another has written */

int self_store_open(const struct config *config, const struct store_settings *settings,
                    struct self_store **out, struct why *why) {
    struct self_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return why_set(why, "no memory");
    store->config = config;
    if (store_open(settings, &store->store, why) != 0 ||
        store_writer_open(settings, "self", &store->writer, why) != 0) {
        self_store_free(store);
        return -1;
    }
    *out = store;
    return 0;
}

void self_store_free(struct self_store *store) {
    if (store == NULL)
        return;
    store_writer_free(store->writer);
    store_free(store->store);
    free(store);
}

int self_account(const struct config *config, const char *name, char **out, struct why *why) {
    const struct address_rules rules = {.default_domain = config->default_domain,
                                        .delimiters = config->address_delimiter,
                                        .domain_to_ascii = idna_domain_to_ascii,
                                        .lower_case = idna_lower_case};
    const struct fact_rules fact_rules = {&config->rules, &rules};
    struct address account = {0};
    char *subject = NULL;
    *out = NULL;
    if (address_from_login(name, &rules, &account) != 0 ||
        asprintf(&subject, "%s%s", SELF_SUBJECT, account.text) < 0) {
        address_clear(&account);
        return why_set(why, "no memory");
    }
    int rc = 0;
    enum fact_kind kind = fact_check_subject(&fact_rules, subject, why);
    if (account.misnamed)
        why_set(why, "no account can have this name");
    else if (kind == FACT_UNCHECKED)
        rc = -1;
    else if (kind == FACT_GOOD)
        rc = (*out = strdup(account.text)) == NULL ? why_set(why, "no memory") : 1;
    free(subject);
    address_clear(&account);
    return rc;
}

/* One try of a change. */
struct attempt {
    struct self_store *store;
    const struct self_change *change;
    struct self_facts facts;
    struct self_plan plan;
    bool again;
};

void self_outcome_clear(struct self_outcome *outcome) {
    struct attempt *attempt = outcome->inside;
    if (attempt != NULL) {
        self_plan_clear(&attempt->plan);
        self_facts_clear(&attempt->facts);
        free(attempt);
    }
    *outcome = (struct self_outcome){0};
}

static void fail(struct self_outcome *out) {
    out->result = SELF_UNAVAILABLE;
}

static void write_plan(struct attempt *a, struct self_outcome *out) {
    char actor[600];
    struct change_plan *changes = &a->plan.changes;
    snprintf(actor, sizeof actor, SELF_SUBJECT "%s", a->change->account);
    struct store_edit edit = {.subject = a->facts.set.subjects[SUBJECT_SELF],
                              .actor = a->change->actor != NULL ? a->change->actor : actor,
                              .client = a->change->client,
                              .changes = changes->changes,
                              .n = changes->n,
                              .state = changes->state};
    enum store_written written = store_writer_write(a->store->writer, &edit, 1, &out->why);
    a->again = written == WRITE_CONFLICT;
    out->unrecorded = written == WRITE_UNRECORDED;
    if (edit.refused)
        why_set(&out->why, "%s", edit.why);
    if (written == WRITE_FAILED || edit.refused)
        fail(out);
    out->changes = changes->changes;
    out->n_changes = changes->n;
    out->state = self_facts_state(&a->facts, changes->state);
}

static void try_once(struct attempt *a, struct self_outcome *out) {
    const struct self_change *c = a->change;
    a->again = false;
    self_plan_clear(&a->plan);
    self_facts_clear(&a->facts);
    *out = (struct self_outcome){.inside = a};
    struct self_store *store = a->store;
    char *subject = NULL;
    if (asprintf(&subject, "%s%s", SELF_SUBJECT, c->account) < 0) {
        why_set(&out->why, "no memory");
        fail(out);
        return;
    }
    int rc = store_writer_begin(store->writer, subject, &out->why);
    free(subject);
    if (rc == 0)
        rc = self_facts_read(store->store, c->account, c->now, &a->facts, &out->why);
    bool stale = rc == 0 && c->if_state != 0 && c->if_state != a->facts.state;
    if (rc == 0 && !stale && self_rule_judge(store->config, &a->facts, c, &a->plan, out) != 0)
        rc = why_set(&out->why, "no memory");
    if (rc != 0)
        fail(out);
    else if (stale)
        out->result = SELF_STALE;
    out->state = a->facts.state;
    bool good = out->result == SELF_DONE || out->result == SELF_PENDING;
    if (rc == 0 && good && a->plan.changes.n > 0)
        write_plan(a, out);
    else
        store_writer_leave(store->writer);
}

void self_change(struct self_store *store, const struct self_change *change,
                 struct self_outcome *out) {
    struct attempt *attempt = calloc(1, sizeof *attempt);
    *out = (struct self_outcome){.inside = attempt};
    if (attempt == NULL) {
        why_set(&out->why, "no memory");
        fail(out);
        return;
    }
    attempt->store = store;
    attempt->change = change;
    attempt->again = true;
    for (int i = 0; attempt->again && i < TRIES; i++)
        try_once(attempt, out);
    if (attempt->again) {
        why_set(&out->why, "others kept changing it at the same time");
        fail(out);
    }
}
