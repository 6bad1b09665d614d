/*
 * The questions that a decision asks of an account's subjects. Owns inheritance: which
 * subject answers, that what its user has set himself holds where it is stricter, and when a
 * malformed field is in the way. Knows nothing of their storage.
 */
#include <string.h>

#include "gatepost/core/policy.h"

static enum setting_state answer(const struct policy_set *set, size_t subject,
                                 const struct setting *setting, int *value,
                                 struct policy_origin *origin) {
    *origin = (struct policy_origin){set->subjects[subject], setting->field};
    *value = setting->value;
    return setting->state;
}

static bool is_unreadable(const struct policy *policy) {
    return policy->wrong_type || policy->too_large;
}

static enum setting_state unreadable(const struct policy_set *set, size_t subject,
                                     struct policy_origin *origin) {
    *origin = (struct policy_origin){
        set->subjects[subject], set->policies[subject]->too_large ? "(too large)" : "(wrong type)"};
    return SETTING_MALFORMED;
}

static enum setting_state unset(struct policy_origin *origin) {
    *origin = (struct policy_origin){NULL, NULL};
    return SETTING_UNSET;
}

bool policy_is_own(const struct policy_set *set, const struct policy_origin *origin) {
    return origin->subject != NULL && origin->subject == set->subjects[SUBJECT_SELF];
}

/*
 * What the host says, or what the user has set himself (NULL: nothing) where it is stricter. The
 * host's answer stands that can be read no other way, or is as strict.
 */
static enum setting_state stricter(const struct policy_set *set, const struct policy_field *field,
                                   const struct setting *own, enum setting_state state, int *value,
                                   struct policy_origin *origin) {
    const struct policy *policy = set->policies[SUBJECT_SELF];
    if (policy == NULL || state == SETTING_MALFORMED ||
        (state == SETTING_SET && *value == field->stricter))
        return state;
    if (is_unreadable(policy))
        return unreadable(set, SUBJECT_SELF, origin);
    if (own == NULL || own->state == SETTING_UNSET ||
        (own->state == SETTING_SET && !fact_time_holds(&own->time, set->now)))
        return state;
    return answer(set, SUBJECT_SELF, own, value, origin);
}

/* What the host's subjects say. */
static enum setting_state inherited(const struct policy_set *set, size_t setting, int *value,
                                    struct policy_origin *origin) {
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        if (policy == NULL)
            continue;
        if (is_unreadable(policy))
            return unreadable(set, i, origin);
        if (policy->settings[setting].state != SETTING_UNSET)
            return answer(set, i, &policy->settings[setting], value, origin);
    }
    return unset(origin);
}

enum setting_state policy_setting(const struct policy_set *set, size_t setting, int *value,
                                  struct policy_origin *origin) {
    const struct policy *own = set->policies[SUBJECT_SELF];
    enum setting_state state = inherited(set, setting, value, origin);
    if (own == NULL || setting >= FIELD_SPF ||
        policy_field_of((enum policy_field_id)setting)->own == NULL)
        return state;
    return stricter(set, policy_field_of((enum policy_field_id)setting), &own->settings[setting],
                    state, value, origin);
}

enum setting_state policy_source(const struct policy_set *set, int *value,
                                 struct policy_origin *origin) {
    return policy_setting(set, FIELD_SOURCE, value, origin);
}

enum setting_state policy_mode(const struct policy_set *set, int *value,
                               struct policy_origin *origin) {
    return policy_setting(set, FIELD_MODE, value, origin);
}

enum setting_state policy_spf(const struct policy_set *set, enum spf_result result, int *value,
                              struct policy_origin *origin) {
    return policy_setting(set, FIELD_SPF + (size_t)result, value, origin);
}

static const struct setting *protocol_of(const struct policy *policy, const char *name) {
    const struct setting *others = NULL;
    for (size_t i = 0; i < policy->n_protocols; i++) {
        const struct protocol_switch *p = &policy->protocols[i];
        if (strcmp(p->name, name) == 0)
            return &p->on;
        if (strcmp(p->name, "*") == 0)
            others = &p->on;
    }
    return others;
}

static enum setting_state protocol_inherited(const struct policy_set *set, const char *name,
                                             int *value, struct policy_origin *origin) {
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        if (policy == NULL)
            continue;
        if (is_unreadable(policy))
            return unreadable(set, i, origin);
        const struct setting *setting = protocol_of(policy, name);
        if (setting != NULL)
            return answer(set, i, setting, value, origin);
    }
    return unset(origin);
}

static bool is_in_force(const struct setting *setting, int64_t now) {
    return setting->state == SETTING_MALFORMED ||
           (setting->state == SETTING_SET && fact_time_holds(&setting->time, now));
}

const struct setting *policy_own_switch(const struct policy *policy, const char *name,
                                        int64_t now) {
    const struct setting *found = NULL;
    for (size_t i = 0; i < policy->n_protocols; i++) {
        const struct protocol_switch *p = &policy->protocols[i];
        if (!is_in_force(&p->on, now))
            continue;
        if (strcmp(p->name, name) == 0)
            return &p->on;
        if (strcmp(p->name, "*") == 0)
            found = &p->on;
    }
    return found;
}

enum setting_state policy_protocol(const struct policy_set *set, const char *name, int *value,
                                   struct policy_origin *origin) {
    const struct policy *own = set->policies[SUBJECT_SELF];
    enum setting_state state = protocol_inherited(set, name, value, origin);
    if (own == NULL)
        return state;
    return stricter(set, policy_field_of(FIELD_PROTOCOL), policy_own_switch(own, name, set->now),
                    state, value, origin);
}

bool policy_ip_counts(const struct ip_entry *entry, int64_t now) {
    const struct fact_time time = {entry->from, entry->until};
    return !entry->malformed && fact_time_holds(&time, now);
}

bool policy_name_counts(const struct name_entry *entry, int64_t now) {
    return !entry->malformed && (entry->until == 0 || now < entry->until);
}

/*
 * Do the user's own entries count? Where the host demands its listed addresses they would open what
 * it has closed; where nobody demands any, they are of no use yet.
 */
static bool own_entries_count(const struct policy_set *set) {
    struct policy_origin origin;
    int source = SOURCE_ANY;
    return set->policies[SUBJECT_SELF] != NULL &&
           policy_source(set, &source, &origin) == SETTING_SET && source == SOURCE_AUTHORIZED &&
           policy_is_own(set, &origin);
}

enum setting_state policy_ip_listed(const struct policy_set *set, const struct ip_address *ip,
                                    int64_t now, struct policy_origin *origin) {
    enum setting_state state = unset(origin);
    size_t n = own_entries_count(set) ? ALL_SUBJECTS : SUBJECTS;
    for (size_t i = 0; i < n; i++) {
        if (i == SUBJECT_SELF && state == SETTING_MALFORMED) /* he does not mend the host's */
            break;
        const struct policy *policy = set->policies[i];
        if (policy == NULL)
            continue;
        if (is_unreadable(policy) && state == SETTING_UNSET)
            state = unreadable(set, i, origin);
        for (size_t j = 0; j < policy->n_ips; j++) {
            const struct ip_entry *entry = &policy->ips[j];
            struct policy_origin here = {set->subjects[i], entry->field};
            if (entry->malformed && state == SETTING_UNSET) {
                state = SETTING_MALFORMED;
                *origin = here;
            } else if (policy_ip_counts(entry, now) && netblock_contains(&entry->block, ip)) {
                *origin = here;
                return SETTING_SET;
            }
        }
        for (size_t j = 0; state == SETTING_UNSET && j < policy->n_providers; j++)
            if (policy->providers[j].malformed) {
                state = SETTING_MALFORMED;
                *origin = (struct policy_origin){set->subjects[i], policy->providers[j].field};
            }
    }
    return state;
}

/* The first provider of a policy in the order of names that comes after `last`, NULL for all. */
static const struct name_entry *provider_after(const struct policy *policy, const char *last,
                                               int64_t now) {
    const struct name_entry *next = NULL;
    for (size_t i = 0; i < policy->n_providers; i++) {
        const struct name_entry *entry = &policy->providers[i];
        if (policy_name_counts(entry, now) && (last == NULL || strcmp(entry->name, last) > 0) &&
            (next == NULL || strcmp(entry->name, next->name) < 0))
            next = entry;
    }
    return next;
}

static bool is_among(const struct policy_provider *providers, size_t n, const char *domain) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(providers[i].domain, domain) == 0)
            return true;
    return false;
}

size_t policy_providers(const struct policy_set *set, int64_t now,
                        struct policy_provider out[PROVIDERS_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        const struct name_entry *entry = NULL;
        while (n < PROVIDERS_MAX && policy != NULL &&
               (entry = provider_after(policy, entry == NULL ? NULL : entry->name, now)) != NULL)
            if (!is_among(out, n, entry->name))
                out[n++] = (struct policy_provider){entry->name, {set->subjects[i], entry->field}};
    }
    return n;
}

/* Does an `as:` entry name this address? */
static bool names(const char *name, const struct address *sender) {
    if (name[0] != '@')
        return strcmp(name, sender->text) == 0;
    if (sender->domain == NULL)
        return false;
    if (name[1] != '.')
        return strcmp(name + 1, sender->domain) == 0;
    size_t len = strlen(sender->domain), tail = strlen(name + 1);
    return len > tail && strcmp(sender->domain + len - tail, name + 1) == 0;
}

enum setting_state policy_sends_as(const struct policy_set *set, const struct address *sender,
                                   int64_t now, struct policy_origin *origin) {
    const char *own = set->subjects[SUBJECT_ACCOUNT];
    enum setting_state state = unset(origin);
    if (own != NULL && strcmp(own + strlen("account:"), sender->text) == 0)
        return SETTING_SET;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        if (policy == NULL)
            continue;
        if (is_unreadable(policy) && state == SETTING_UNSET)
            state = unreadable(set, i, origin);
        for (size_t j = 0; j < policy->n_as; j++) {
            const struct name_entry *entry = &policy->as[j];
            struct policy_origin here = {set->subjects[i], entry->field};
            if (entry->malformed && state == SETTING_UNSET) {
                state = SETTING_MALFORMED;
                *origin = here;
            } else if (policy_name_counts(entry, now) && names(entry->name, sender)) {
                *origin = here;
                return SETTING_SET;
            }
        }
    }
    return state;
}

bool policy_is_known(const struct policy_set *set) {
    for (size_t i = 0; i < SUBJECT_DEFAULT; i++)
        if (set->policies[i] != NULL)
            return true;
    return false;
}

struct policy_set policy_own(const struct policy_set *set) {
    struct policy_set own = {.now = set->now};
    own.subjects[SUBJECT_SELF] = set->subjects[SUBJECT_SELF];
    own.policies[SUBJECT_SELF] = set->policies[SUBJECT_SELF];
    return own;
}
