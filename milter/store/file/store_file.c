/*
 * The embedded store: a policy file. Owns its re-reading when it changes, and that a file with an
 * error in it never replaces a good one; its syntax is table.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../implement.h"
#include "gatepost/base/log.h"
#include "gatepost/base/regular_file.h"
#include "gatepost/store/store.h"
#include "table.h"

/* A file as read; shared by look-ups until a newer one takes its place. */
struct shared_table {
    struct policy_table *facts;
    atomic_uint references;
};

struct store_file {
    struct store store;
    char *path;
    pthread_mutex_t lock;
    struct shared_table *table; /* under lock, as is all below */
    struct stat read_from;      /* what was read, or tried, last */
    bool missing;               /* the file cannot be opened now */
    store_told *told;           /* NULL until it is watched */
    void *context;
    int stop_fd; /* readable when the watch shall end */
    pthread_t watch;
};

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void table_release(struct shared_table *table) {
    if (table == NULL || atomic_fetch_sub(&table->references, 1) != 1)
        return;
    policy_table_free(table->facts);
    free(table);
}

/* What was read is what is there. */
static bool is_current_locked(const struct store_file *file, const struct stat *now) {
    return !file->missing && file->table != NULL && same_file(now, &file->read_from);
}

/*
 * Reads the file again if it has changed. A change that cannot be read is tried once. Returns -1
 * with the reason while the file is missing, or when it is in error and nothing good was read
 * before.
 */
static int refresh_locked(struct store_file *file, struct why *why) {
    struct stat now;
    if (stat(file->path, &now) != 0) {
        why_set(why, "%s: %s%s", file->path, strerror(errno),
                errno == ENOENT ? " (an empty file is a policy that allows everything)" : "");
        file->missing = true;
        return -1;
    }
    if (is_current_locked(file, &now))
        return 0;
    FILE *stream = regular_file_open(file->path, &now, why);
    if (stream == NULL) {
        file->missing = true;
        return -1;
    }
    struct shared_table *table = calloc(1, sizeof *table);
    if (table != NULL)
        table->facts = policy_table_read(file->path, stream, why);
    if (table != NULL && table->facts == NULL) {
        free(table);
        table = NULL;
    }
    fclose(stream);
    file->read_from = now;
    file->missing = false;
    if (table == NULL) {
        if (file->table == NULL)
            return -1;
        log_event(LOG_ERR, "policy-file-rejected", "problem", why->text, "kept", "the old policy",
                  (char *)NULL);
        return 0;
    }
    atomic_init(&table->references, 1);
    table_release(file->table);
    file->table = table;
    return 0;
}

/*
 * The file as it is now, with a reference of the caller's; NULL with the reason. The lock is not
 * held while the kernel is asked, unless the file has changed.
 */
static struct shared_table *take_table(struct store_file *file, struct why *why) {
    struct shared_table *table = NULL;
    struct stat now;
    bool there = stat(file->path, &now) == 0;
    pthread_mutex_lock(&file->lock);
    if ((there && is_current_locked(file, &now)) || refresh_locked(file, why) == 0) {
        table = file->table;
        atomic_fetch_add(&table->references, 1);
    }
    pthread_mutex_unlock(&file->lock);
    return table;
}

static bool file_is_up(struct store *store) {
    struct store_file *file = (struct store_file *)store;
    struct why why;
    struct shared_table *table = take_table(file, &why);
    table_release(table);
    return table != NULL;
}

/* A hash owns one block: its fields and after them their texts. */
static int copy_fields(const struct store_field *fields, size_t n, struct store_hash *hash) {
    size_t size = n * sizeof(struct store_field);
    for (size_t i = 0; i < n; i++)
        size += fields[i].name_len + fields[i].value_len + 2;
    hash->fields = malloc(size);
    if (hash->fields == NULL)
        return -1;
    char *at = (char *)(hash->fields + n);
    for (size_t i = 0; i < n; i++) {
        const struct store_field *from = &fields[i];
        struct store_field *to = &hash->fields[i];
        *to = *from;
        to->name = memcpy(at, from->name, from->name_len + 1);
        at += from->name_len + 1;
        to->value = memcpy(at, from->value, from->value_len + 1);
        at += from->value_len + 1;
    }
    hash->n = n;
    hash->answer = STORE_FOUND;
    return 0;
}

static int file_get(struct store *store, const char *const *subjects, size_t n,
                    struct store_hash *hashes, int64_t limit, struct why *why) {
    struct store_file *file = (struct store_file *)store;
    (void)limit; /* a file waits for nobody */
    struct shared_table *table = take_table(file, why);
    int rc = table == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t n_fields;
        const struct store_field *fields =
            policy_table_subject(table->facts, subjects[i], &n_fields);
        if (fields == NULL) {
            hashes[i].answer = STORE_ABSENT;
        } else if (policy_table_is_too_large(table->facts, subjects[i])) {
            hashes[i].answer = STORE_TOO_LARGE;
        } else if (copy_fields(fields, n_fields, &hashes[i]) != 0) {
            why_set(why, "no memory");
            rc = -1;
        }
    }
    table_release(table);
    return rc;
}

static int file_get_made(struct store *store, const char *const *subjects, size_t n,
                         const struct store_maker *maker, void **made, struct why *why) {
    struct shared_table *table = take_table((struct store_file *)store, why);
    int rc = table == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        made[i] = policy_table_make(table->facts, subjects[i], maker);
        if (made[i] == NULL)
            rc = why_set(why, "no memory");
    }
    table_release(table);
    return rc;
}

static int file_walk(struct store *store, const char *subject, store_take_field *take,
                     void *context, struct why *why) {
    struct store_file *file = (struct store_file *)store;
    struct shared_table *table = take_table(file, why);
    size_t n = 0;
    int rc = 0;
    if (table == NULL)
        return -1;
    const struct store_field *fields = policy_table_subject(table->facts, subject, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = take(context, &fields[i]);
    table_release(table);
    if (rc != 0)
        why_set(why, "no memory");
    return rc != 0 ? -1 : fields == NULL ? STORE_ABSENT : STORE_FOUND;
}

/*
 * The thread of the watch. A look at the file ten times a second costs nothing that could be
 * measured, and works for every way of changing it and on every file system.
 */
static void *watch_file(void *arg) {
    struct store_file *file = arg;
    struct stat last = {0};
    struct pollfd stop = {.fd = file->stop_fd, .events = POLLIN};
    do {
        struct stat now = {0};
        if (stat(file->path, &now) != 0)
            now = (struct stat){0};
        if (!same_file(&now, &last))
            file->told(file->context, STORE_CHANGED, NULL);
        last = now;
    } while (poll(&stop, 1, 100) == 0);
    return NULL;
}

static int file_watch(struct store *store, store_told *told, void *context, struct why *why) {
    struct store_file *file = (struct store_file *)store;
    file->context = context;
    file->stop_fd = eventfd(0, EFD_CLOEXEC);
    file->told = told;
    if (file->stop_fd >= 0 && pthread_create(&file->watch, NULL, watch_file, file) == 0)
        return 0;
    if (file->stop_fd >= 0)
        close(file->stop_fd);
    file->told = NULL;
    return why_set(why, "cannot start the thread that watches the policy file");
}

static void file_unwatch(struct store *store) {
    struct store_file *file = (struct store_file *)store;
    uint64_t one = 1;
    if (file->told == NULL)
        return;
    while (write(file->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(file->watch, NULL);
    close(file->stop_fd);
    file->told = NULL;
}

static void file_free(struct store *store) {
    struct store_file *file = (struct store_file *)store;
    table_release(file->table);
    pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file);
}

static const struct store_ops file_ops = {.get = file_get,
                                          .get_made = file_get_made,
                                          .walk = file_walk,
                                          .watch = file_watch,
                                          .unwatch = file_unwatch,
                                          .free = file_free,
                                          .is_up = file_is_up};

int store_file_open(const struct store_settings *settings, const struct store_url *url,
                    struct store **out, struct why *why) {
    struct store_file *file = calloc(1, sizeof *file);
    (void)settings;
    if (file == NULL || (file->path = strdup(url->path)) == NULL) {
        free(file);
        return why_set(why, "no memory");
    }
    file->store.ops = &file_ops;
    pthread_mutex_init(&file->lock, NULL);
    if (refresh_locked(file, why) != 0) {
        file_free(&file->store);
        return -1;
    }
    *out = &file->store;
    return 0;
}
