/*
 * The policies that a log is judged by. Owns what is opened for them.
 */
#include "side.h"

#include <stdio.h>
#include <stdlib.h>

#include "../memory.h"
#include "../print.h"
#include "gatepost/store/trial.h"

/* A tool may wait longer for the store than a message can: milliseconds. */
#define PATIENCE 5000

int side_open(const struct ctl *ctl, const char *path, struct side *side) {
    struct store_settings settings = live_store_settings(ctl->config);
    struct why why = {"no memory"};
    struct store *store;
    char *url = path == NULL ? NULL : xasprintf("file:%s", path);
    *side = (struct side){.runtime = {.config = ctl->config}};
    if (url != NULL)
        settings.url = url;
    if (settings.timeout < PATIENCE)
        settings.timeout = PATIENCE;
    int rc = store_open(&settings, &store, &why);
    free(url);
    if (rc == 0 && store_trial_open(store, &side->store) == 0)
        return CTL_DONE;
    return ctl_fail(ctl, "%s", why.text);
}

int side_open_on(const struct ctl *ctl, const struct side *below, struct side *side) {
    *side = (struct side){.runtime = {.config = ctl->config}};
    return store_trial_open_on(below->store, &side->store) == 0 ? CTL_DONE
                                                                : ctl_fail(ctl, "no memory");
}

int side_begin(const struct ctl *ctl, struct side *side) {
    struct runtime *runtime = &side->runtime;
    struct why why;
    struct store *store = side->store;
    side->store = NULL;
    if (live_store_open_on(ctl->config, store, &runtime->store, &why) != 0 ||
        networks_open(ctl->config, runtime->store, &runtime->networks, &why) != 0)
        return ctl_fail(ctl, "%s", why.text);
    return CTL_DONE;
}

void side_close(struct side *side) {
    networks_free(side->runtime.networks);
    live_store_release(side->runtime.store);
    store_free(side->store);
    *side = (struct side){0};
}
