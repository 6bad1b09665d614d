/*
 * What the user of an account has set himself, as an administrator may remove it: all of it.
 */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "print.h"
#include "write/write.h"

/* The subject of self facts of an account as the command line names it. */
static int name_self(struct ctl *ctl, const char *account, char **subject) {
    char *named;
    int status = ctl_name_account(ctl, account, &named);
    if (status != CTL_DONE)
        return status;
    const char *name = named + strlen("account:");
    bool is_user = name[0] != '@' && strcmp(name, "*") != 0;
    *subject = is_user ? xasprintf(SELF_SUBJECT "%s", name) : NULL;
    if (!is_user)
        status = ctl_refuse(ctl, "%.300s: only the user of an account can set something himself",
                            account);
    free(named);
    return status;
}

int ctl_self_forget(struct ctl *ctl, int argc, char **argv) {
    char *subject = NULL;
    (void)argc;
    int status = name_self(ctl, argv[0], &subject);
    if (status == CTL_DONE)
        status = ctl_write_drop(ctl, subject);
    free(subject);
    return status;
}

int ctl_self_drop(struct ctl *ctl, const char *account) {
    if (!ctl->config->self_facts || account[0] == '@' || strcmp(account, "*") == 0)
        return CTL_DONE;
    char *subject = NULL;
    int status = name_self(ctl, account, &subject);
    if (status == CTL_DONE)
        status = ctl_write_drop_beside(ctl, subject);
    free(subject);
    return status;
}
