/*
 * What would lock a user out. Owns which ways he needs; knows nothing of wishes and facts.
 */
#include "self_loss.h"

#include "gatepost/write/guard.h"

static bool is_open(const struct config *config, const struct policy_set *set,
                    const char *service) {
    struct policy_origin origin;
    int on = 1;
    return decision_service_state(&config->rules, set, service, &on, &origin) == SETTING_SET && on;
}

/* Is any service open that a door of the host's may have? */
static bool any_door_open(const struct config *config, const struct policy_set *set) {
    bool any_door = config->n_listeners == 0, open = false;
    for (size_t i = 0; !open && i < config->n_listeners; i++) {
        const struct decision_listener *door = &config->listeners[i].rules;
        any_door |= door->name == NULL;
        open = is_open(config, set, door->service) ||
               is_open(config, set, decision_service(door, true));
    }
    for (size_t i = 0; any_door && !open && i < service_words.count; i++)
        open = is_open(config, set, service_words.names[i]);
    return open;
}

const char *self_loss(const struct config *config, const struct self_change *change,
                      const struct policy_set *before, const struct policy_set *after) {
    struct policy_origin origin;
    struct why why;
    int value = PASSWORD_ANY, was = PASSWORD_ANY;
    switch (guard_policy(config, before, after, change->now, &why)) {
    case GUARD_ADDRESSES:
        return "no address is listed that counts already: you could not send mail from anywhere";
    case GUARD_SENDING:
        return "this closes the last way to send mail";
    case GUARD_LOGINS:
        return "this closes the last way to send mail with your password";
    default:
        break;
    }
    if (any_door_open(config, before) && !any_door_open(config, after))
        return "this closes the last way to your mailbox";
    policy_setting(before, FIELD_PASSWORD, &was, &origin);
    policy_setting(after, FIELD_PASSWORD, &value, &origin);
    if (value == PASSWORD_APPLICATION && was != PASSWORD_APPLICATION && change->app_passwords <= 0)
        return change->app_passwords == 0
                   ? "you have no app password that is good now: your programs could not log in "
                     "any more"
                   : "it is not known whether you have an app password: your programs may not be "
                     "able to log in any more";
    return NULL;
}
