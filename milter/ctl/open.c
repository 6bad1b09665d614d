/*
 * What commands ask for before they begin. Owns how long gatepostctl waits for the store, who is
 * at work, and how a time in the past is written.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/cache/live_store.h"
#include "gatepost/core/duration.h"
#include "gatepost/core/timestamp.h"
#include "print.h"

/* A tool may wait longer for the store than a message can: milliseconds. */
#define PATIENCE 5000

int ctl_open_store(struct ctl *ctl) {
    struct store_settings settings = live_store_settings(ctl->config);
    struct why why = {"no memory"};
    if (ctl->store != NULL)
        return CTL_DONE;
    settings.sizes_first = true;
    if (settings.timeout < PATIENCE)
        settings.timeout = PATIENCE;
    if (store_open(&settings, &ctl->store, &why) == 0)
        return CTL_DONE;
    return ctl_fail_store(ctl, why.text);
}

int ctl_open_writer(struct ctl *ctl) {
    struct store_settings settings = live_store_settings(ctl->config);
    struct why why = {"no memory"};
    int status = ctl_open_store(ctl);
    if (status != CTL_DONE || ctl->writer != NULL || ctl->trial != NULL)
        return status;
    if (settings.timeout < PATIENCE)
        settings.timeout = PATIENCE;
    if (store_writer_open(&settings, ctl->actor, &ctl->writer, &why) == 0)
        return CTL_DONE;
    return ctl_fail_store(ctl, why.text);
}

int ctl_parse_since(struct ctl *ctl, int64_t *since) {
    int64_t value;
    *since = 0;
    if (ctl->since == NULL)
        return CTL_DONE;
    if (timestamp_parse(ctl->since, strlen(ctl->since), &value) == 0)
        *since = value * 1000;
    else if (duration_parse(ctl->since, &value) == 0)
        *since = ctl->now * 1000 - value;
    else
        return ctl_refuse(ctl,
                          "--since %.60s: it must be a UTC time like 2027-01-31T00:00:00Z, or how "
                          "long ago, like 90m, 12h or 7d",
                          ctl->since);
    return CTL_DONE;
}

void ctl_name_actor(char *out, size_t out_size) {
    char host[256] = "";
    const char *name = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
    const struct passwd *user = getpwuid(getuid());
    if (name == NULL || name[0] == '\0')
        name = user == NULL ? NULL : user->pw_name;
    gethostname(host, sizeof host - 1);
    if (name == NULL)
        snprintf(out, out_size, "uid %u@%s", (unsigned)getuid(), host);
    else
        snprintf(out, out_size, "%.200s@%s", name, host);
}
