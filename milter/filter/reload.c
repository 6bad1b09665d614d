/*
 * Reload. Owns which settings take a restart, and that a configuration in error changes nothing.
 */
#include "reload.h"

#include <stdio.h>
#include <string.h>

#include "doors/doors.h"
#include "gatepost/base/log.h"
#include "use_recorder.h"

static void name_ignored(const char *setting, bool changed) {
    if (changed)
        log_event(LOG_WARNING, "reload-ignored", "setting", setting, "problem",
                  "a change needs a restart", (char *)NULL);
}

static bool same_list(const struct config_list *a, const struct config_list *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->items[i], b->items[i]) == 0;
    return same;
}

static void name_all_ignored(const struct config *old, const struct config *new) {
    name_ignored("socket", strcmp(old->socket, new->socket) != 0);
    name_ignored("socket_mode", old->socket_mode != new->socket_mode);
    name_ignored("socket_group", strcmp(old->socket_group, new->socket_group) != 0);
    name_ignored("user", strcmp(old->user, new->user) != 0);
    name_ignored("http_listen", strcmp(old->http_listen, new->http_listen) != 0);
    name_ignored("doors_listen", !same_list(&old->doors_listen, &new->doors_listen));
    name_ignored("doors_mode", old->doors_mode != new->doors_mode);
    name_ignored("doors_group", strcmp(old->doors_group, new->doors_group) != 0);
    name_ignored("passwords_listen", strcmp(old->passwords_listen, new->passwords_listen) != 0);
}

void reload_warn(const struct config *config) {
    struct why why;
    if (config_secret_is_exposed(config, &why))
        log_event(LOG_WARNING, "password-exposed", "problem", why.text, (char *)NULL);
}

static int read_token(const struct config *config, struct why *why) {
    struct why reason;
    if (doors_read_token(config, &reason) == 0)
        return 0;
    return why_set(why, "doors_token_file: %s: %s", config->doors_token_file, reason.text);
}

int reload_configuration(struct runtime **current) {
    struct runtime *last = *current, *fresh;
    struct config *config;
    struct why why;

    char generation[16];
    int rc = config_load(last->config->path, &config, &why);
    if (rc == 0)
        rc = runtime_open(config, last, &fresh, &why);
    if (rc == 0 && (rc = read_token(fresh->config, &why)) != 0)
        runtime_release(fresh);
    if (rc != 0) {
        log_event(LOG_ERR, "reload-failed", "problem", why.text, "kept", "the configuration in use",
                  (char *)NULL);
        return -1;
    }
    name_all_ignored(last->config, fresh->config);
    live_store_keep(fresh->store, fresh->config);
    log_open(fresh->config->log, fresh->config->log_format, fresh->config->log_level);
    reload_warn(fresh->config);
    use_recorder_configure(fresh->config);
    runtime_publish(runtime_acquire(fresh));
    *current = fresh;
    runtime_release(last);
    snprintf(generation, sizeof generation, "%u", fresh->generation);
    log_event(LOG_INFO, "reload", "generation", generation, (char *)NULL); /* it holds by now */
    return 0;
}
