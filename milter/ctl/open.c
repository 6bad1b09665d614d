/*
 * What commands ask for before they begin. Owns how long gatepostctl waits for the store, and who
 * is at work.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/cache/live_store.h"
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
