/*
 * Places of unix sockets. Owns the words for what stands in the way, and the change of mode, group
 * and owner; who talks over a socket is others' business.
 *
 * The directory may belong to somebody else. So a socket is made with the mode that it shall have,
 * and afterwards it is changed by a descriptor, never again by its name.
 */
#include "unix_place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatepost/base/dial.h"
#include "gatepost/base/log.h"

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

static int check_directory(const struct unix_place *place, const char *directory) {
    struct stat there;
    if (stat(directory, &there) != 0) {
        log_event(LOG_ERR, "start-failed", "setting", place->setting, "value", place->value,
                  "directory", directory, "problem", strerror(errno), (char *)NULL);
        return -1;
    }
    if ((there.st_mode & S_IWOTH) != 0)
        log_event(LOG_WARNING, "socket-directory", "directory", directory, "problem",
                  "everybody may write there, and put another socket in place of this one",
                  (char *)NULL);
    return 0;
}

const char *unix_place_obstacle(const char *path) {
    struct stat there;
    if (lstat(path, &there) != 0 || S_ISSOCK(there.st_mode))
        return NULL;
    return S_ISLNK(there.st_mode) ? "a symbolic link stands in its place: remove it"
                                  : "a file that is no socket stands in its place: remove it";
}

static int check_place(const struct unix_place *place) {
    const char *path = dial_path(place->value), *obstacle = unix_place_obstacle(path);
    if (obstacle != NULL)
        return fail(place->setting, place->value, obstacle);
    if (is_in_use(place->value))
        return fail(place->setting, place->value, "another process listens on it");
    char *directory = strdup(path), *slash = directory == NULL ? NULL : strrchr(directory, '/');
    if (slash == NULL) {
        free(directory);
        return fail(place->setting, place->value, "no memory");
    }
    slash[slash == directory] = '\0';
    int rc = check_directory(place, directory);
    free(directory);
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

int unix_place_take(const struct unix_place *place, gid_t group, const struct config *config,
                    const struct privileges *privileges) {
    struct stat there;
    int made = open(dial_path(place->value), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int rc = 0;
    if (made < 0 || fstat(made, &there) != 0 || !S_ISSOCK(there.st_mode) ||
        there.st_uid != geteuid())
        rc = fail(place->setting, place->value, "another file stands in its place now");
    else if (give_group(place, made, group) != 0)
        rc = -1;
    else if (privileges->change &&
             fchownat(made, "", privileges->uid, (gid_t)-1, AT_EMPTY_PATH) != 0)
        rc = fail("user", config->user, strerror(errno));
    if (rc == 0)
        return made;
    if (made >= 0)
        close(made);
    return -1;
}
