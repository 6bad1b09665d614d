/*
 * The history of a policy file. Owns the format of its lines and its growth; what is written into
 * the policy itself is file.c's.
 */
#include "file_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gatepost/base/json_text.h"
#include "gatepost/core/timestamp.h"

static int fail(const char *path, const char *what, struct why *why) {
    return why_set(why, "%s: %s", path, what);
}

static json_t *octets(struct store_text text) {
    return json_octets(text.text, text.len);
}

/* One line; `state` only with the last change of an edit. */
static int put_entry(FILE *to, int64_t now, const char *actor, const struct store_edit *edit,
                     const struct store_change *change, const char *state) {
    char time[TIMESTAMP_SIZE];
    json_t *entry = json_object();
    int rc = entry == NULL ? -1 : 0;
    rc |= json_object_set_new(entry, "time", json_string(timestamp_format(now / 1000, time)));
    rc |= json_object_set_new(entry, "ms", json_integer(now % 1000));
    actor = edit->actor != NULL ? edit->actor : actor;
    rc |= json_object_set_new(entry, "actor", json_text(actor));
    if (edit->client != NULL)
        rc |= json_object_set_new(entry, "client", json_text(edit->client));
    rc |= json_object_set_new(entry, "subject", json_text(edit->subject));
    rc |= json_object_set_new(entry, "field", octets(change->field));
    rc |= json_object_set_new(entry, "old", octets(change->old));
    rc |= json_object_set_new(entry, "new", octets(change->new_value));
    if (state != NULL)
        rc |= json_object_set_new(entry, "state", json_string(state));
    if (rc == 0)
        rc = json_put(entry, to, JSON_COMPACT);
    json_decref(entry);
    return rc != 0 || fputc('\n', to) == EOF ? -1 : 0;
}

/* The first of the edits that is written down: an import of everything need not be, all of it. */
static size_t first_kept(const struct store_edit *edits, size_t n) {
    size_t kept = 0;
    while (n > 0 && kept + edits[n - 1].n <= HISTORY_KEPT)
        kept += edits[--n].n;
    return n;
}

static int put_edit(FILE *to, int64_t now, const char *actor, const struct store_edit *edit) {
    static const struct store_change whole = {.field = {"", 0}};
    char state[20];
    int rc = 0;
    snprintf(state, sizeof state, "%016llx", (unsigned long long)edit->state);
    if (edit->n == 0)
        return put_entry(to, now, actor, edit, &whole, state);
    for (size_t i = 0; rc == 0 && i < edit->n; i++)
        rc = put_entry(to, now, actor, edit, &edit->changes[i], i + 1 == edit->n ? state : NULL);
    return rc;
}

/* FILE.history and FILE.history.1 */
static int name_files(const char *path, char **current, char **older) {
    *older = NULL;
    if (asprintf(current, "%s.history", path) < 0)
        *current = NULL;
    else if (asprintf(older, "%s.1", *current) < 0)
        *older = NULL;
    return *older == NULL ? -1 : 0;
}

/* Root may write in a directory of somebody else: a link there leads nowhere. */
static FILE *open_file(const char *path, bool append) {
    int fd = open(path,
                  (append ? O_WRONLY | O_APPEND | O_CREAT : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC |
                      O_NONBLOCK,
                  0600);
    struct stat there;
    if (fd >= 0 && (fstat(fd, &there) != 0 || !S_ISREG(there.st_mode))) {
        close(fd);
        errno = EINVAL;
        return NULL;
    }
    FILE *file = fd < 0 ? NULL : fdopen(fd, append ? "a" : "r");
    if (fd >= 0 && file == NULL)
        close(fd);
    return file;
}

static int fail_to_open(const char *path, struct why *why) {
    return fail(path,
                errno == ELOOP                      ? "a symbolic link, which is not followed"
                : errno == EINVAL || errno == ENXIO ? "no regular file" /* ENXIO: a FIFO */
                                                    : strerror(errno),
                why);
}

int file_history_append(const char *path, const struct stat *like, const char *actor,
                        const struct store_edit *edits, size_t n, struct why *why) {
    char *current, *older;
    struct stat now_there;
    struct timespec clock;
    if (name_files(path, &current, &older) != 0) {
        free(current);
        return fail(path, "no memory", why);
    }
    if (stat(current, &now_there) == 0 && now_there.st_size > FILE_HISTORY_MAX)
        (void)rename(current, older); /* if it cannot be, it grows */
    clock_gettime(CLOCK_REALTIME, &clock);
    int64_t now = (int64_t)clock.tv_sec * 1000 + clock.tv_nsec / 1000000;
    FILE *to = open_file(current, true);
    int rc = to == NULL ? -1 : 0;
    if (rc == 0 && fstat(fileno(to), &now_there) == 0 && now_there.st_size == 0) {
        rc = fchmod(fileno(to), like->st_mode & 0666);
        if (rc == 0 && geteuid() == 0)
            rc = fchown(fileno(to), like->st_uid, like->st_gid);
    }
    for (size_t i = n > 1 ? first_kept(edits, n) : 0; rc == 0 && i < n; i++)
        rc = put_edit(to, now, actor, &edits[i]);
    if (to != NULL && fclose(to) != 0)
        rc = -1;
    if (rc != 0)
        fail_to_open(current, why);
    free(current);
    free(older);
    return rc;
}

static struct store_text member(const json_t *entry, const char *name) {
    const json_t *value = json_object_get(entry, name);
    return (struct store_text){json_string_value(value), json_string_length(value)};
}

/* One line; what is no entry of ours is nothing. */
static int take_line(const char *line, size_t len, int64_t since, store_take_history *take,
                     void *context) {
    int rc = 0;
    json_t *entry = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    struct store_text time = member(entry, "time");
    struct history_entry found = {.actor = member(entry, "actor"),
                                  .client = member(entry, "client"),
                                  .subject = member(entry, "subject"),
                                  .field = member(entry, "field"),
                                  .old = member(entry, "old"),
                                  .new_value = member(entry, "new"),
                                  .state = member(entry, "state")};
    if (time.text != NULL && timestamp_parse(time.text, time.len, &found.time) == 0) {
        found.time = found.time * 1000 + json_integer_value(json_object_get(entry, "ms"));
        if (found.time >= since && found.subject.text != NULL && found.field.text != NULL)
            rc = take(context, &found);
    }
    json_decref(entry);
    return rc;
}

static int walk_file(const char *path, int64_t since, store_take_history *take, void *context,
                     struct why *why) {
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    FILE *from = open_file(path, false);
    if (from == NULL)
        return errno == ENOENT ? 0 : fail_to_open(path, why);
    int rc = 0;
    while (rc == 0 && (len = getline(&line, &size, from)) >= 0)
        rc = take_line(line, (size_t)len, since, take, context);
    if (rc != 0)
        fail(path, "no memory", why);
    free(line);
    fclose(from);
    return rc;
}

int file_history_walk(const char *path, int64_t since, store_take_history *take, void *context,
                      struct why *why) {
    char *current, *older;
    int rc = name_files(path, &current, &older);
    if (rc != 0)
        fail(path, "no memory", why);
    if (rc == 0)
        rc = walk_file(older, since, take, context, why);
    if (rc == 0)
        rc = walk_file(current, since, take, context, why);
    free(current);
    free(older);
    return rc;
}
