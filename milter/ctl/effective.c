/*
 * What holds for an account: each setting and switch with where it comes from. The answers are
 * those that the decision itself gets from policy.h; owns how they are named.
 */
#include "effective.h"

#include <string.h>

static const char *origin_kind(const struct policy_set *set, const struct policy_origin *origin,
                               const char *otherwise) {
    static const char *const kinds[] = {"account", "domain", "default"};
    for (size_t i = 0; origin->subject != NULL && i < SUBJECTS; i++)
        if (origin->subject == set->subjects[i])
            return kinds[i];
    return otherwise;
}

static struct effective make_shown(const struct policy_set *set, const char *name,
                                   enum setting_state state, const char *value,
                                   const struct policy_origin *origin, const char *otherwise) {
    return (struct effective){.name = name,
                              .value = state == SETTING_MALFORMED ? "malformed" : value,
                              .from = origin_kind(set, origin, otherwise),
                              .origin = *origin};
}

struct effective effective_source(const struct policy_set *set) {
    struct policy_origin origin;
    int value = SOURCE_ANY;
    enum setting_state state = policy_source(set, &value, &origin);
    value = state == SETTING_SET ? value : SOURCE_ANY;
    return make_shown(set, "source", state, source_words.names[value], &origin, "built-in");
}

bool effective_is_authorized(const struct effective *source) {
    return strcmp(source->value, source_words.names[SOURCE_AUTHORIZED]) == 0;
}

struct effective effective_tls(const struct policy_set *set) {
    struct policy_origin origin;
    int value = NEED_OPTIONAL;
    enum setting_state state = policy_tls(set, &value, &origin);
    value = state == SETTING_SET ? value : NEED_OPTIONAL;
    return make_shown(set, "tls", state, need_words.names[value], &origin, "built-in");
}

/* The configuration's monitor is for all; an account cannot leave it. */
struct effective effective_mode(const struct decision_rules *rules, const struct policy_set *set) {
    struct policy_origin origin;
    int value = (int)rules->mode;
    enum setting_state state = policy_mode(set, &value, &origin);
    if (rules->mode == MODE_MONITOR) {
        state = SETTING_UNSET;
        origin = (struct policy_origin){NULL, NULL};
    }
    value = state == SETTING_SET ? value : (int)rules->mode;
    return make_shown(set, "mode", state, mode_words.names[value], &origin, "configuration");
}

struct effective effective_spf(const struct decision_rules *rules, const struct policy_set *set,
                               enum spf_result result) {
    static const char *const names[] = {
        [RESULT_NONE] = "spf:none",           [RESULT_NEUTRAL] = "spf:neutral",
        [RESULT_PASS] = "spf:pass",           [RESULT_SOFTFAIL] = "spf:softfail",
        [RESULT_FAIL] = "spf:fail",           [RESULT_TEMPERROR] = "spf:temperror",
        [RESULT_PERMERROR] = "spf:permerror",
    };
    struct policy_origin origin;
    int value = 0;
    enum setting_state state = policy_spf(set, result, &value, &origin);
    value = state == SETTING_SET ? value : (int)rules->spf[result];
    return make_shown(set, names[result], state, verdict_words.names[value], &origin,
                      "configuration");
}

struct effective effective_protocol(const struct policy_set *set, const char *name) {
    struct policy_origin origin;
    int on = 1;
    enum setting_state state = policy_protocol(set, name, &on, &origin);
    on = state == SETTING_SET ? on : 1;
    return make_shown(set, name, state, on ? "on" : "off", &origin, "built-in");
}

struct effective effective_service(const struct decision_rules *rules, const struct policy_set *set,
                                   const char *name) {
    struct policy_origin origin = {NULL, NULL};
    int on = 1;
    enum setting_state state = decision_service_state(rules, set, name, &on, &origin);
    return make_shown(set, name, state, on ? "allowed" : "refused", &origin, "built-in");
}

json_t *effective_json(const struct effective *s) {
    json_t *told = json_object();
    json_object_set_new(told, "value", json_text(s->value));
    json_object_set_new(told, "from", json_text(s->from));
    json_object_set_new(told, "subject", json_text(s->origin.subject));
    json_object_set_new(told, "field", json_text(s->origin.field));
    return told;
}
