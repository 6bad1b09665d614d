/*
 * What holds for an account, for its user. Owns what he is shown of it and what he may change; the
 * answers are those that the decision gets from policy.h.
 */
#include <stdlib.h>
#include <string.h>

#include "gatepost/write/fact_check.h"
#include "self_inside.h"

struct inside {
    struct self_facts facts;
    char *account;
    const char **names;
};

/* What is set in the user's own facts. */
struct own_setting {
    bool set;
    int64_t until;
};

static struct own_setting own_of(const struct setting *setting, int64_t now) {
    bool set =
        setting != NULL && setting->state == SETTING_SET && fact_time_holds(&setting->time, now);
    return (struct own_setting){set, set ? setting->time.until : 0};
}

static const struct setting *own_switch(const struct self_facts *facts, const char *name) {
    const struct policy *own = facts->policies[SUBJECT_SELF];
    return own == NULL ? NULL : policy_own_switch(own, name, facts->set.now);
}

/* The services of a protocol: its section's, or the service of the same name. */
static void name_services(const struct decision_rules *rules, struct self_protocol *p) {
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, p->name) != 0)
            continue;
        p->services = rules->protocols[i].services;
        p->n_services = rules->protocols[i].n_services;
        return;
    }
    for (size_t i = 0; i < service_words.count; i++)
        if (strcmp(service_words.names[i], p->name) == 0) {
            p->services = &service_words.names[i];
            p->n_services = 1;
        }
}

static void view_protocol(const struct config *config, const struct self_facts *facts,
                          struct self_protocol *p) {
    struct policy_set host = self_facts_host(&facts->set);
    struct policy_origin origin;
    int on = 1, hosts = 1;
    name_services(&config->rules, p);
    enum setting_state state = policy_protocol(&facts->set, p->name, &on, &p->from);
    enum setting_state of_host = policy_protocol(&host, p->name, &hosts, &origin);
    const struct setting *set = own_switch(facts, p->name);
    struct own_setting own = own_of(set, facts->set.now);
    bool together = own_switch(facts, "*") != NULL;
    p->malformed = state == SETTING_MALFORMED;
    p->on = !p->malformed && on;
    p->set_off = own.set;
    p->until = own.until;
    p->may_off = !own.set || own.until != 0;
    /* what cannot be read is as closed; what he has set for all together no change of his opens */
    bool malformed = set != NULL && set->state == SETTING_MALFORMED;
    bool closes = (own.set && own.until == 0) || malformed;
    p->may_on = !together && closes && of_host != SETTING_MALFORMED && hosts;
}

static void view_setting(const struct self_facts *facts, enum policy_field_id id,
                         struct self_setting *out) {
    const struct policy_field *field = policy_field_of(id);
    const struct policy *policy = facts->policies[SUBJECT_SELF];
    int value = field->otherwise;
    enum setting_state state = policy_setting(&facts->set, id, &value, &out->from);
    struct own_setting own = own_of(policy == NULL ? NULL : &policy->settings[id], facts->set.now);
    out->malformed = state == SETTING_MALFORMED;
    out->value = out->malformed ? NULL : field->words->names[value];
    out->set = own.set;
    out->until = own.until;
    out->may_restrict = !own.set || own.until != 0;
    out->may_unset = own.set && own.until == 0;
}

/* `at` is as for self_facts_field(). */
static void view_entry(const struct self_facts *facts, size_t subject, const struct ip_entry *entry,
                       size_t *at, struct self_ip *out) {
    const struct store_field *stored = self_facts_field(&facts->hashes[subject], entry->field, at);
    struct self_value value = {.note = ""};
    bool own = subject == SUBJECT_SELF;
    *out = (struct self_ip){.block = entry->block,
                            .field = entry->field,
                            .own = own,
                            .counts = policy_ip_counts(entry, facts->set.now),
                            .malformed = entry->malformed,
                            .from = entry->from,
                            .until = entry->until};
    if (stored == NULL)
        return;
    out->note = (struct store_text){stored->value, stored->value_len};
    /* of the host's only until= is no part of the note */
    if (!entry->malformed && (own || entry->until != 0) &&
        self_value_parse(stored->value, stored->value_len, false, &value) == 0)
        out->note = (struct store_text){value.note, value.note_len};
}

static int view_entries(const struct self_facts *facts, struct self_view *out) {
    size_t room = 0;
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        room += facts->policies[i] == NULL ? 0 : facts->policies[i]->n_ips;
    out->ips = calloc(room + 1, sizeof *out->ips);
    if (out->ips == NULL)
        return -1;
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        size_t at = 0;
        for (size_t k = 0; facts->policies[i] != NULL && k < facts->policies[i]->n_ips; k++)
            view_entry(facts, i, &facts->policies[i]->ips[k], &at, &out->ips[out->n_ips++]);
    }
    struct policy_set host = self_facts_host(&facts->set);
    struct policy_origin origin;
    int source = SOURCE_ANY;
    enum setting_state state = policy_source(&host, &source, &origin);
    const struct policy *own = facts->policies[SUBJECT_SELF];
    out->may_add_ips = state != SETTING_MALFORMED && source == SOURCE_ANY &&
                       (own == NULL || own->n_ips < SELF_IPS_MAX);
    return 0;
}

static int view_all(const struct config *config, struct inside *inside, struct self_view *out) {
    size_t n = fact_protocols(&config->rules, NULL, 0);
    inside->names = calloc(n, sizeof *inside->names);
    out->protocols = calloc(n, sizeof *out->protocols);
    if (inside->names == NULL || out->protocols == NULL)
        return -1;
    fact_protocols(&config->rules, inside->names, n);
    for (out->n_protocols = 0; out->n_protocols < n; out->n_protocols++) {
        struct self_protocol *p = &out->protocols[out->n_protocols];
        p->name = inside->names[out->n_protocols];
        view_protocol(config, &inside->facts, p);
    }
    view_setting(&inside->facts, FIELD_SOURCE, &out->source);
    view_setting(&inside->facts, FIELD_PASSWORD, &out->password);
    out->state = inside->facts.state;
    out->account = inside->account;
    return view_entries(&inside->facts, out);
}

int self_read(struct self_store *store, const char *account, int64_t now, struct self_view *out,
              struct why *why) {
    struct inside *inside = calloc(1, sizeof *inside);
    *out = (struct self_view){.inside = inside};
    if (inside == NULL)
        return why_set(why, "no memory");
    inside->account = strdup(account);
    int rc = inside->account == NULL
                 ? why_set(why, "no memory")
                 : self_facts_read(store->store, account, now, &inside->facts, why);
    if (rc == 0 && view_all(store->config, inside, out) != 0)
        rc = why_set(why, "no memory");
    if (rc != 0)
        self_view_clear(out);
    return rc;
}

void self_view_clear(struct self_view *view) {
    struct inside *inside = view->inside;
    if (inside != NULL) {
        self_facts_clear(&inside->facts);
        free(inside->account);
        free((void *)inside->names);
        free(inside);
    }
    free(view->protocols);
    free(view->ips);
    *view = (struct self_view){0};
}
