/*
 * Privileges. Owns the change of user and what is given up with it; what had to be opened before
 * is socket.c's.
 */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gatepost/base/log.h"

static int refuse_root(const struct config *config, struct why *why) {
    if (config->user[0] == '\0')
        return why_set(why, "started by root, which it does not stay: name the user to become "
                            "(user = \"root\" if it really is root)");
    return why_set(why, "there is no such user: create it (systemd-sysusers, or adduser --system), "
                        "or name another one (user = \"root\" if it really is root)");
}

int privileges_find(const struct config *config, struct privileges *out, struct why *why) {
    bool root = geteuid() == 0;
    *out = (struct privileges){.change = false};
    struct passwd *user = config->user[0] == '\0' ? NULL : getpwnam(config->user);
    if (user == NULL && root)
        return refuse_root(config, why);
    if (config->user[0] == '\0')
        return 0;
    if (user == NULL && config->user_given)
        return why_set(why, "there is no such user");
    if (user == NULL) {
        log_event(LOG_WARNING, "default-ignored", "setting", "user", "value", config->user,
                  "problem", "it does not exist on this host", (char *)NULL);
        return 0;
    }
    if (!root && geteuid() != user->pw_uid && config->user_given)
        return why_set(why, "only root can become another user");
    *out = (struct privileges){
        .change = root && user->pw_uid != 0, .uid = user->pw_uid, .gid = user->pw_gid};
    return 0;
}

/* Also those that a service manager may have given to a user that is not root. */
static int drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, none);
}

int privileges_drop(const struct config *config, const struct privileges *privileges,
                    struct why *why) {
    if (privileges->change && (initgroups(config->user, privileges->gid) != 0 ||
                               setgid(privileges->gid) != 0 || setuid(privileges->uid) != 0))
        return why_set(why, "%s", strerror(errno));
    if (geteuid() != 0 && drop_capabilities() != 0)
        return why_set(why, "its capabilities cannot be given up: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return why_set(why, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
    return 0;
}
