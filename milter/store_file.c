/*
 * The embedded store: a text file of facts, one per line, `SUBJECT FIELD VALUE`. Owns its syntax
 * and its re-reading when it changes; a file with an error in it never replaces a good one.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* uthash ends the process for want of memory unless told otherwise */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gatepost/log.h"
#include "gatepost/store.h"

struct subject {
    char *name; /* the key */
    struct store_field *fields;
    size_t n;
    UT_hash_handle hh;
};

/* A file as read; shared by look-ups until a newer one takes its place. */
struct table {
    struct subject *subjects;
    unsigned references; /* under the store's lock */
};

struct store_file {
    struct store store;
    char *path;
    pthread_mutex_t lock;
    struct table *table;    /* under lock, as is all below */
    struct stat read_from;  /* what was read, or tried, last */
    bool missing;           /* the file cannot be opened now */
    store_changed *changed; /* NULL until it is watched */
    void *context;
    int stop_fd; /* readable when the watch shall end */
    pthread_t watch;
};

static void table_free(struct table *table) {
    struct subject *subject, *next;
    HASH_ITER(hh, table->subjects, subject, next) {
        HASH_DEL(table->subjects, subject);
        for (size_t i = 0; i < subject->n; i++) {
            free((void *)subject->fields[i].name);
            free((void *)subject->fields[i].value);
        }
        free(subject->fields);
        free(subject->name);
        free(subject);
    }
    free(table);
}

/* The subject of that name, made if need be; NULL when there is no memory. */
static struct subject *table_subject(struct table *table, const char *name) {
    struct subject *subject;
    HASH_FIND_STR(table->subjects, name, subject);
    if (subject != NULL)
        return subject;
    subject = calloc(1, sizeof *subject);
    if (subject == NULL || (subject->name = strdup(name)) == NULL) {
        free(subject);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, table->subjects, subject->name, strlen(subject->name), subject);
    if (subject->hh.tbl == NULL) {
        free(subject->name);
        free(subject);
        return NULL;
    }
    return subject;
}

static int add_field(struct subject *subject, const char *name, const char *value) {
    struct store_field *grown = subject->fields;
    if ((subject->n & (subject->n - 1)) == 0)
        grown = realloc(subject->fields, (subject->n == 0 ? 1 : subject->n * 2) * sizeof *grown);
    char *name_copy = strdup(name), *value_copy = strdup(value);
    if (grown != NULL)
        subject->fields = grown;
    if (grown == NULL || name_copy == NULL || value_copy == NULL) {
        free(name_copy);
        free(value_copy);
        return -1;
    }
    subject->fields[subject->n++] =
        (struct store_field){name_copy, value_copy, strlen(name_copy), strlen(value_copy)};
    /* cppcheck-suppress memleak; the field owns both */
    return 0;
}

/* The next word of a line, terminated; *rest is what follows it and the spaces behind. */
static char *cut_word(char *line, char **rest) {
    line += strspn(line, " \t");
    size_t len = strcspn(line, " \t");
    *rest = line + len;
    if (**rest != '\0')
        *(*rest)++ = '\0';
    *rest += strspn(*rest, " \t");
    return line;
}

/* A subject that no look-up would ever ask for is an operator's mistake. */
static const char *subject_fault(const char *subject) {
    const char *name = strchr(subject, ':');
    const char *domain = strrchr(subject, '@');
    if (strncmp(subject, "network:", 8) == 0)
        return name[1] == '\0' ? "the network's name is missing" : NULL;
    if (strncmp(subject, "account:", 8) != 0)
        return "the subject must be account:ADDRESS, account:@DOMAIN, account:* or network:NAME";
    if (name[1] == '\0')
        return "the account's address is missing";
    for (; *name != '\0'; name++)
        if (*name >= 'A' && *name <= 'Z')
            return "accounts are written in lower case";
    for (; domain != NULL && *domain != '\0'; domain++)
        if ((unsigned char)*domain >= 0x80)
            return "domains are written as A-labels (xn--...)";
    return NULL;
}

/* One line without its newline; 0, or -1 with the reason. */
static int parse_line(struct table *table, char *line, char *why, size_t why_size) {
    char *rest, *value;
    char *subject_name = cut_word(line, &rest);
    if (subject_name[0] == '\0' || subject_name[0] == '#')
        return 0;
    const char *fault = subject_fault(subject_name);
    char *field = cut_word(rest, &value);
    if (fault == NULL && field[0] == '\0')
        fault = "the field is missing: a line is SUBJECT FIELD VALUE";
    if (fault != NULL) {
        snprintf(why, why_size, "%.100s: %s", subject_name, fault);
        return -1;
    }
    struct subject *subject = table_subject(table, subject_name);
    if (subject == NULL) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    for (size_t i = 0; i < subject->n; i++) {
        if (strcmp(subject->fields[i].name, field) == 0) {
            snprintf(why, why_size, "%.100s %.80s: given a second time", subject_name, field);
            return -1;
        }
    }
    if (add_field(subject, field, value) != 0) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    return 0;
}

static struct table *parse_file(const char *path, FILE *file, char *why, size_t why_size) {
    struct table *table = calloc(1, sizeof *table);
    char *line = NULL, reason[300];
    size_t size = 0;
    unsigned long number = 0;
    bool good = table != NULL;
    if (!good)
        snprintf(why, why_size, "%s: no memory", path);
    while (good) {
        ssize_t len = getline(&line, &size, file);
        if (len < 0)
            break;
        number++;
        /* white space at the end of a line is nothing that anybody means */
        while (len > 0 && line[len - 1] != '\0' && strchr(" \t\r\n", line[len - 1]) != NULL)
            line[--len] = '\0';
        good = strlen(line) == (size_t)len;
        if (!good)
            snprintf(reason, sizeof reason, "a NUL octet");
        else
            good = parse_line(table, line, reason, sizeof reason) == 0;
        if (!good)
            snprintf(why, why_size, "%s:%lu: %s", path, number, reason);
    }
    if (good && ferror(file)) {
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
        good = false;
    }
    free(line);
    if (!good && table != NULL) {
        table_free(table);
        table = NULL;
    }
    return table;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void table_release(struct table *table) {
    if (table != NULL && --table->references == 0)
        table_free(table);
}

/*
 * Reads the file again if it has changed; called under the lock. A change that cannot be read is
 * tried once. Returns -1 with the reason while the file is missing, or when it is in error and
 * nothing good was read before.
 */
static int refresh(struct store_file *file, char *why, size_t why_size) {
    struct stat now;
    if (stat(file->path, &now) != 0) {
        snprintf(why, why_size, "%s: %s", file->path, strerror(errno));
        file->missing = true;
        return -1;
    }
    if (!file->missing && file->table != NULL && same_file(&now, &file->read_from))
        return 0;
    FILE *stream = fopen(file->path, "re");
    if (stream == NULL || fstat(fileno(stream), &now) != 0) {
        snprintf(why, why_size, "%s: %s", file->path, strerror(errno));
        if (stream != NULL)
            fclose(stream);
        file->missing = true;
        return -1;
    }
    struct table *table = parse_file(file->path, stream, why, why_size);
    fclose(stream);
    file->read_from = now;
    file->missing = false;
    if (table == NULL) {
        if (file->table == NULL)
            return -1;
        log_event(LOG_ERR, "policy-file-rejected", "problem", why, "kept", "the old policy",
                  (char *)NULL);
        return 0;
    }
    table->references = 1;
    table_release(file->table);
    file->table = table;
    return 0;
}

static struct table *take_table(struct store_file *file, char *why, size_t why_size) {
    struct table *table = NULL;
    pthread_mutex_lock(&file->lock);
    if (refresh(file, why, why_size) == 0) {
        table = file->table;
        table->references++;
    }
    pthread_mutex_unlock(&file->lock);
    return table;
}

static void give_table(struct store_file *file, struct table *table) {
    pthread_mutex_lock(&file->lock);
    table_release(table);
    pthread_mutex_unlock(&file->lock);
}

/* A hash owns one block: its fields and behind them their texts. */
static int copy_subject(const struct subject *subject, struct store_hash *hash) {
    size_t size = subject->n * sizeof(struct store_field);
    for (size_t i = 0; i < subject->n; i++)
        size += subject->fields[i].name_len + subject->fields[i].value_len + 2;
    hash->fields = malloc(size);
    if (hash->fields == NULL)
        return -1;
    char *at = (char *)(hash->fields + subject->n);
    for (size_t i = 0; i < subject->n; i++) {
        const struct store_field *from = &subject->fields[i];
        struct store_field *to = &hash->fields[i];
        *to = *from;
        to->name = memcpy(at, from->name, from->name_len + 1);
        at += from->name_len + 1;
        to->value = memcpy(at, from->value, from->value_len + 1);
        at += from->value_len + 1;
    }
    hash->n = subject->n;
    hash->answer = STORE_FOUND;
    return 0;
}

static int file_get(struct store *store, const char *const *subjects, size_t n,
                    struct store_hash *hashes, char *why, size_t why_size) {
    struct store_file *file = (struct store_file *)store;
    struct table *table = take_table(file, why, why_size);
    int rc = table == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct subject *subject;
        HASH_FIND_STR(table->subjects, subjects[i], subject);
        if (subject != NULL && copy_subject(subject, &hashes[i]) != 0) {
            snprintf(why, why_size, "no memory");
            rc = -1;
        }
    }
    for (size_t i = 0; rc != 0 && i < n; i++)
        store_hash_clear(&hashes[i]);
    if (table != NULL)
        give_table(file, table);
    return rc;
}

static int file_walk(struct store *store, const char *subject_name, store_take_field *take,
                     void *context, char *why, size_t why_size) {
    struct store_file *file = (struct store_file *)store;
    struct table *table = take_table(file, why, why_size);
    struct subject *subject;
    int rc = 0;
    if (table == NULL)
        return -1;
    HASH_FIND_STR(table->subjects, subject_name, subject);
    for (size_t i = 0; rc == 0 && subject != NULL && i < subject->n; i++)
        rc = take(context, &subject->fields[i]);
    give_table(file, table);
    if (rc != 0)
        snprintf(why, why_size, "no memory");
    return rc != 0 ? -1 : subject == NULL ? STORE_ABSENT : STORE_FOUND;
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
            file->changed(file->context, NULL);
        last = now;
    } while (poll(&stop, 1, 100) == 0);
    return NULL;
}

static int file_watch(struct store *store, store_changed *changed, void *context, char *why,
                      size_t why_size) {
    struct store_file *file = (struct store_file *)store;
    file->context = context;
    file->stop_fd = eventfd(0, EFD_CLOEXEC);
    file->changed = changed;
    if (file->stop_fd >= 0 && pthread_create(&file->watch, NULL, watch_file, file) == 0)
        return 0;
    if (file->stop_fd >= 0)
        close(file->stop_fd);
    file->changed = NULL;
    snprintf(why, why_size, "the thread that watches the policy file cannot be started");
    return -1;
}

static void file_unwatch(struct store *store) {
    struct store_file *file = (struct store_file *)store;
    uint64_t one = 1;
    if (file->changed == NULL)
        return;
    while (write(file->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(file->watch, NULL);
    close(file->stop_fd);
    file->changed = NULL;
}

static void file_free(struct store *store) {
    struct store_file *file = (struct store_file *)store;
    table_release(file->table);
    pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file);
}

static const struct store_ops file_ops = {file_get, file_walk, file_watch, file_unwatch, file_free};

int store_file_open(const struct store_settings *settings, const struct store_url *url,
                    struct store **out, char *why, size_t why_size) {
    struct store_file *file = calloc(1, sizeof *file);
    (void)settings;
    if (file == NULL || (file->path = strdup(url->path)) == NULL) {
        free(file);
        snprintf(why, why_size, "no memory");
        return -1;
    }
    file->store.ops = &file_ops;
    pthread_mutex_init(&file->lock, NULL);
    if (refresh(file, why, why_size) != 0) {
        file_free(&file->store);
        return -1;
    }
    *out = &file->store;
    return 0;
}
