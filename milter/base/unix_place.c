/*
 * Places of unix sockets. Owns the check before a start, and the change of group and owner; who
 * talks over a socket is others' business.
 *
 * The directory may belong to somebody else. So a socket is made with the mode that it shall have,
 * and afterwards it is changed by a descriptor, never again by its name.
 */
#include "gatepost/base/unix_place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/log.h"

int place_look(const char *path, struct place *out, struct why *why) {
    struct stat there;
    *out = (struct place){0};
    if (lstat(path, &there) == 0) {
        if (S_ISLNK(there.st_mode))
            return why_set(why, "a symbolic link stands in its place: remove it");
        if (!S_ISSOCK(there.st_mode))
            return why_set(why, "a file that is no socket stands in its place: remove it");
        out->socket = true;
    }
    const char *slash = strrchr(path, '/');
    int len = slash == path ? 1 : (int)(slash - path);
    snprintf(out->directory, sizeof out->directory, "%.*s", len, path);
    out->error = stat(out->directory, &there) != 0 ? errno : S_ISDIR(there.st_mode) ? 0 : ENOTDIR;
    out->mode = out->error == 0 ? there.st_mode : 0;
    if (out->error != 0)
        return why_set(why, "its directory %s: %s", out->directory, strerror(out->error));
    return 0;
}

static int fail(const char *setting, const char *value, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", setting, "value", value, "problem", problem,
              (char *)NULL);
    return -1;
}

/* Does somebody answer on the socket already? */
static bool is_in_use(const char *value) {
    int fd = dial_filter(value);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int check_place(const struct unix_place *wanted) {
    struct place place;
    struct why why;
    int rc = place_look(dial_path(wanted->value), &place, &why);
    if (rc == 0 && place.socket && is_in_use(wanted->value))
        return fail(wanted->setting, wanted->value, "another process listens on it");
    if (rc != 0 && place.error == 0)
        return fail(wanted->setting, wanted->value, why.text);
    if (rc != 0)
        log_event(LOG_ERR, "start-failed", "setting", wanted->setting, "value", wanted->value,
                  "directory", place.directory, "problem", why.text, (char *)NULL);
    else if ((place.mode & S_IWOTH) != 0)
        log_event(LOG_WARNING, "socket-directory", "directory", place.directory, "problem",
                  "everybody may write there, and put another socket in place of this one",
                  (char *)NULL);
    return rc;
}

int unix_place_prepare(const struct unix_place *place, gid_t *group) {
    *group = (gid_t)-1;
    if (place->group[0] != '\0') {
        struct group *found = getgrnam(place->group);
        if (found == NULL && place->group_given)
            return fail(place->group_setting, place->group, "there is no such group");
        if (found == NULL)
            log_event(LOG_WARNING, "default-ignored", "setting", place->group_setting, "value",
                      place->group, "problem", "it does not exist on this host", (char *)NULL);
        else
            *group = found->gr_gid;
    }
    return check_place(place);
}

static int give_group(const struct unix_place *place, int made, gid_t group) {
    if (group == (gid_t)-1 || fchownat(made, "", (uid_t)-1, group, AT_EMPTY_PATH) == 0)
        return 0;
    if (place->group_given)
        return fail(place->group_setting, place->group, strerror(errno));
    log_event(LOG_WARNING, "default-ignored", "setting", place->group_setting, "value",
              place->group, "problem", strerror(errno), (char *)NULL);
    return 0;
}

int unix_place_take(const struct unix_place *place, gid_t group) {
    struct stat there;
    int made = open(dial_path(place->value), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int rc = 0;
    if (made < 0 || fstat(made, &there) != 0 || !S_ISSOCK(there.st_mode) ||
        there.st_uid != geteuid())
        rc = fail(place->setting, place->value, "another file stands in its place now");
    else if (give_group(place, made, group) != 0)
        rc = -1;
    else if (place->give && fchownat(made, "", place->owner, (gid_t)-1, AT_EMPTY_PATH) != 0)
        rc = fail("user", place->owner_name, strerror(errno));
    if (rc == 0)
        return made;
    if (made >= 0)
        close(made);
    return -1;
}
