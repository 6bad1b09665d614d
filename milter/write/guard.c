/*
 * The guard against locking oneself out. Owns what counts as locked out; who asks, and what may be
 * done nevertheless, is up to the caller.
 */
#include "gatepost/write/guard.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/core/netset.h"

/* Is everything refused that does not come from a listed address, and none listed? */
static bool listed_nowhere(const struct policy_set *set, int64_t now) {
    struct policy_origin origin;
    int source = SOURCE_ANY;
    if (policy_source(set, &source, &origin) != SETTING_SET || source != SOURCE_AUTHORIZED)
        return false;
    /* a user's own entries are of use only where it is he who demands them */
    size_t n = policy_is_own(set, &origin) ? ALL_SUBJECTS : SUBJECTS;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; set->policies[i] != NULL && j < set->policies[i]->n_ips; j++)
            if (policy_ip_counts(&set->policies[i]->ips[j], now))
                return false;
    struct policy_provider providers[PROVIDERS_MAX];
    return policy_providers(set, now, providers) == 0;
}

/* The `ip:spf:` entries of an account that count. */
static size_t count_providers(const struct policy_set *set, int64_t now) {
    size_t n = 0;
    for (size_t i = 0; i < SUBJECTS; i++)
        for (size_t j = 0; set->policies[i] != NULL && j < set->policies[i]->n_providers; j++)
            n += policy_name_counts(&set->policies[i]->providers[j], now);
    return n;
}

/* Without a listener section of the MTA any of its doors is possible. */
static bool serves(const struct config *config, const char *service) {
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct decision_listener *door = &config->listeners[i].rules;
        if (door->door != DOOR_MTA)
            continue;
        if (door->name == NULL)
            return true;
        /* where a login is needed, what it counts as is served */
        if (strcmp(decision_service(door, door->auth_required), service) == 0)
            return true;
    }
    return false;
}

static bool allowed(const struct config *config, const struct policy_set *set,
                    const char *service) {
    struct policy_origin origin;
    int on = 1;
    return decision_service_state(&config->rules, set, service, &on, &origin) != SETTING_SET || on;
}

/* What an account can send by: `logins` of the doors for logins, `any` of all doors. */
struct doors {
    bool logins, any;
};

static struct doors open_doors(const struct config *config, const struct policy_set *set) {
    static const char *const for_logins[] = {"submission", "submissions"};
    struct doors open = {false, false};
    bool served = false;
    for (size_t i = 0; i < 2; i++) {
        served |= serves(config, for_logins[i]);
        if (serves(config, for_logins[i]) && allowed(config, set, for_logins[i]))
            open.logins = true;
    }
    if (!served) /* a gateway: what sends comes by smtp */
        open.logins = allowed(config, set, "smtp");
    open.any = open.logins || allowed(config, set, "smtp");
    return open;
}

static enum guard_loss lose(enum guard_loss loss, struct why *why, const char *reason) {
    why_set(why, "%s", reason);
    return loss;
}

enum guard_loss guard_policy(const struct config *config, const struct policy_set *before,
                             const struct policy_set *after, int64_t now, struct why *why) {
    struct policy_set old = *before, new = *after;
    old.now = new.now = now;
    struct doors was = open_doors(config, &old), is = open_doors(config, &new);
    if (listed_nowhere(&new, now) && !listed_nowhere(&old, now))
        return lose(GUARD_ADDRESSES, why,
                    "source authorized without a listed address: no login could send, and without "
                    "a login only what SPF passes; add an address first (ip add)");
    if (count_providers(&new, now) > PROVIDERS_MAX &&
        count_providers(&new, now) > count_providers(&old, now)) {
        why_set(why,
                "this is one more ip:spf: entry than the %d of an account, its domain and "
                "everybody together that are asked: some would have no effect",
                PROVIDERS_MAX);
        return GUARD_PROVIDERS;
    }
    if (was.any && !is.any)
        return lose(
            GUARD_SENDING, why,
            "this switches off the last protocol for sending: the account could not send any mail");
    if (was.logins && !is.logins)
        return lose(
            GUARD_LOGINS, why,
            "this switches off the last protocol that a login can send by (smtp is for mail "
            "without a login)");
    return GUARD_NOTHING;
}

bool guard_network(const struct config *config, const char *name, struct why *why) {
    const struct config_network *fixed = config_network(config, name);
    if (fixed != NULL) /* its members in the configuration stay */
        return false;
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_list *from = &config->listeners[i].connect_from;
        for (size_t j = 0; j < from->n; j++) {
            if (strcmp(from->items[j], name) != 0)
                continue;
            why_set(why,
                    "the network would be empty: listener \"%.100s\" lets in only clients of its "
                    "connect_from",
                    config->listeners[i].rules.name);
            return true;
        }
    }
    return false;
}
