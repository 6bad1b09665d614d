/*
 * The first change of a policy file that does not exist. Owns that the file appears whole, and who
 * may read it. Knows nothing of what is written.
 */
#include "new_file.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatepost/core/store_url.h"
#include "memory.h"
#include "print.h"

#define HISTORY ".history"

/* For root and the filter, if root makes it; for its maker alone otherwise. */
static int give_to_filter(int fd, const char *user) {
    const struct passwd *filter = geteuid() == 0 ? getpwnam(user) : NULL;
    if (filter == NULL)
        return 0;
    return fchown(fd, (uid_t)-1, filter->pw_gid) == 0 ? fchmod(fd, 0640) : -1;
}

int new_file_begin(struct ctl *ctl, struct new_file *file) {
    struct store_url url;
    struct why why;
    *file = (struct new_file){0};
    if (store_url_parse(ctl->config->store, &url, &why) != 0 || url.kind != STORE_FILE ||
        access(url.path, F_OK) == 0 || errno != ENOENT)
        return CTL_DONE;
    char *history = xasprintf("%s" HISTORY, url.path);
    bool lost = access(history, F_OK) == 0;
    free(history);
    if (lost)
        return ctl_fail(ctl,
                        "%s does not exist, but its history does: the file was lost; put it "
                        "back, or make an empty one, which allows everything",
                        url.path);
    file->path = xstrdup(url.path);
    file->beside = xasprintf("%s.XXXXXX", file->path);
    int fd = mkstemp(file->beside);
    if (fd < 0 || give_to_filter(fd, ctl->config->user) != 0) {
        why_set(&why, "%s: %s", file->path, strerror(errno));
        return ctl_fail_store(ctl, why.text);
    }
    close(fd);
    ctl->config->store = file->store = xasprintf("file:%s", file->beside);
    return CTL_DONE;
}

static bool is_empty(const char *path) {
    struct stat state;
    return stat(path, &state) != 0 || state.st_size == 0;
}

int new_file_end(const struct ctl *ctl, struct new_file *file, int status) {
    if (file->path == NULL)
        return status;
    char *history = xasprintf("%s" HISTORY, file->path),
         *beside = xasprintf("%s" HISTORY, file->beside);
    if (!is_empty(file->beside) && link(file->beside, file->path) != 0) {
        status = ctl_fail(ctl, "%s: %s", file->path, strerror(errno)); /* another was faster */
    } else if (!is_empty(file->beside)) {
        ctl_warn("%s did not exist: it is new, and has this change alone", file->path);
        if (rename(beside, history) != 0 && errno != ENOENT)
            ctl_warn("%s: %s", history, strerror(errno));
    }
    unlink(file->beside);
    unlink(beside);
    free(history);
    free(beside);
    free(file->path);
    free(file->beside);
    free(file->store);
    return status;
}
