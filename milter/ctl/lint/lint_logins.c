/*
 * Advice on logins. Owns when a listener should refuse a login that nobody has registered.
 */
#include <string.h>

#include "../print.h"
#include "lint.h"

/* Do the names of accounts have more than one domain? */
static bool has_domains(const struct ctl_names *names) {
    const char *first = NULL;
    for (size_t i = 0; i < names->n; i++) {
        const char *at =
            strncmp(names->names[i], "account:", 8) == 0 ? strrchr(names->names[i], '@') : NULL;
        if (at != NULL && first != NULL && strcmp(at, first) != 0)
            return true;
        first = at != NULL ? at : first;
    }
    return false;
}

void lint_logins(const struct config *config, const struct ctl_names *names) {
    const char *domain = config->default_domain;
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct decision_listener *listener = &config->listeners[i].rules;
        bool logins = listener->door != DOOR_MTA || listener->auth_required ||
                      strcmp(listener->service, "smtp") != 0;
        if (!logins || config->listeners[i].unknown_login_given ||
            (domain[0] == '\0' && !has_domains(names)))
            continue;
        ctl_warn(
            "listener \"%s\": unknown_login is accept: a login service that ignores the domain "
            "lets alice@unknown.example in as alice, without alice's policy; with a policy for "
            "each account or domain, set unknown_login = reject (or accept, if that is meant)",
            listener->name == NULL ? "" : listener->name);
        return; /* one is enough to tell of all */
    }
}
