/*
 * What holds for an account: each setting and switch with where it comes from. The answers are
 * those that the decision itself gets from policy.h; owns how they are named.
 */
#include "effective.h"

#include <string.h>

#include "gatepost/core/timestamp.h"

static const char *origin_kind(const struct policy_set *set, const struct policy_origin *origin,
                               const char *otherwise) {
    for (size_t i = 0; origin->subject != NULL && i < ALL_SUBJECTS; i++)
        if (origin->subject == set->subjects[i])
            return i == SUBJECT_ACCOUNT   ? "account"
                   : i == SUBJECT_SELF    ? "self"
                   : i == SUBJECT_DOMAIN  ? "domain"
                   : i == SUBJECT_DEFAULT ? "default"
                                          : "parent";
    return otherwise;
}

/* When what the user has set himself ends. */
static int64_t end_of(const struct policy_set *set, const struct policy_origin *origin) {
    const struct policy *own = set->policies[SUBJECT_SELF];
    if (own == NULL || !policy_is_own(set, origin))
        return 0;
    for (size_t i = 0; i < POLICY_SETTINGS; i++)
        if (own->settings[i].field == origin->field)
            return own->settings[i].time.until;
    for (size_t i = 0; i < own->n_protocols; i++)
        if (own->protocols[i].on.field == origin->field)
            return own->protocols[i].on.time.until;
    return 0;
}

static struct effective make_shown(const struct policy_set *set, const char *name,
                                   enum setting_state state, const char *value,
                                   const struct policy_origin *origin, const char *otherwise) {
    return (struct effective){.name = name,
                              .value = state == SETTING_MALFORMED ? "malformed" : value,
                              .from = origin_kind(set, origin, otherwise),
                              .origin = *origin,
                              .until = end_of(set, origin)};
}

static int configured(const struct decision_rules *rules, const struct policy_field *field,
                      size_t number) {
    return field->id == FIELD_MODE ? (int)rules->mode : (int)rules->spf[number];
}

struct effective effective_setting(const struct decision_rules *rules, const struct policy_set *set,
                                   enum policy_field_id id, size_t number) {
    const struct policy_field *field = policy_field_of(id);
    bool of_conf = field->otherwise == FIELD_CONFIGURED;
    int otherwise = of_conf ? configured(rules, field, number) : field->otherwise;
    int value = otherwise;
    struct policy_origin origin = {NULL, NULL};
    enum setting_state state = SETTING_UNSET;
    if (id != FIELD_MODE || otherwise != MODE_MONITOR) /* no account can leave that */
        state = policy_setting(set, (size_t)id + number, &value, &origin);
    if (state != SETTING_SET)
        value = otherwise;
    return make_shown(set, policy_field_setting_name(field, number), state,
                      field->words->names[value], &origin, of_conf ? "configuration" : "built-in");
}

struct effective effective_protocol(const struct policy_set *set, const char *name) {
    struct policy_origin origin;
    int on = 1;
    enum setting_state state = policy_protocol(set, name, &on, &origin);
    on = state == SETTING_SET ? on : 1;
    return make_shown(set, name, state, switch_words.names[on ? 0 : 1], &origin, "built-in");
}

struct effective effective_service(const struct decision_rules *rules, const struct policy_set *set,
                                   const char *name) {
    struct policy_origin origin = {NULL, NULL};
    int on = 1;
    enum setting_state state = decision_service_state(rules, set, name, &on, &origin);
    return make_shown(set, name, state, on ? "allowed" : "refused", &origin, "built-in");
}

bool effective_is_served(const struct config *config, const char *service) {
    for (size_t i = 0; i < config->n_listeners; i++)
        if (strcmp(config->listeners[i].rules.service, service) == 0)
            return true;
    /* a login at such a listener is one of submission */
    return strcmp(service, "submission") == 0
               ? config->n_listeners == 0 || effective_is_served(config, "smtp")
               : config->n_listeners == 0 && strcmp(service, "smtp") == 0;
}

bool effective_protocol_is_served(const struct config *config, const char *protocol) {
    const struct decision_rules *rules = &config->rules;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, protocol) != 0)
            continue;
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            if (effective_is_served(config, rules->protocols[i].services[j]))
                return true;
        return false;
    }
    return effective_is_served(config, protocol);
}

json_t *effective_json(const struct effective *s) {
    json_t *object = json_object();
    json_object_set_new(object, "value", json_text(s->value));
    json_object_set_new(object, "from", json_text(s->from));
    json_object_set_new(object, "subject", json_text(s->origin.subject));
    json_object_set_new(object, "field", json_text(s->origin.field));
    if (s->until != 0) {
        char time[TIMESTAMP_SIZE];
        json_object_set_new(object, "until", json_string(timestamp_format(s->until, time)));
    }
    return object;
}
