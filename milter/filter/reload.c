/*
 * Reload. Owns which settings take a restart, and that a configuration in error changes nothing.
 */
#include "reload.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/base/log.h"
#include "use_recorder.h"

static void name_ignored(const char *setting, bool changed) {
    if (changed)
        log_event(LOG_WARNING, "reload-ignored", "setting", setting, "problem",
                  "a change needs a restart", (char *)NULL);
}

static void name_all_ignored(const struct config *old, const struct config *new) {
    name_ignored("socket", strcmp(old->socket, new->socket) != 0);
    name_ignored("socket_mode", old->socket_mode != new->socket_mode);
    name_ignored("socket_group", strcmp(old->socket_group, new->socket_group) != 0);
    name_ignored("user", strcmp(old->user, new->user) != 0);
    name_ignored("http_listen", strcmp(old->http_listen, new->http_listen) != 0);
}

void reload_warn(const struct config *config) {
    struct why why;
    if (config_secret_is_exposed(config, &why))
        log_event(LOG_WARNING, "password-exposed", "problem", why.text, (char *)NULL);
}

int reload_configuration(struct runtime **current) {
    struct runtime *last = *current, *fresh;
    struct config *config;
    struct why why;

    char generation[16];
    if (config_load(last->config->path, &config, &why) != 0 ||
        runtime_open(config, last, &fresh, &why) != 0) {
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
