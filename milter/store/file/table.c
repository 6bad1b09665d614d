/*
 * The policy file. Owns that a file is good as a whole and the look-up of a subject in what was
 * read; the syntax of a line is policy_line.c's, when to read the file store_file.c's business.
 */
#include "table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* by default uthash ends the process when memory runs out */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gatepost/base/line.h"
#include "gatepost/core/policy_line.h"

struct subject {
    char *name; /* the key */
    struct store_field *fields;
    unsigned long *lines; /* of the fields */
    size_t n, octets;     /* fields, and octets of their names and values */
    _Atomic(void *) made; /* NULL until somebody asks for it */
    UT_hash_handle hh;
};

struct policy_table {
    struct subject *subjects;
    _Atomic(const struct store_maker *) maker; /* of what is kept; NULL before */
};

void policy_table_free(struct policy_table *table) {
    if (table == NULL)
        return;
    struct subject *subject, *next;
    HASH_ITER(hh, table->subjects, subject, next) {
        HASH_DEL(table->subjects, subject);
        if (subject->made != NULL)
            table->maker->release(subject->made);
        for (size_t i = 0; i < subject->n; i++) {
            free((void *)subject->fields[i].name);
            free((void *)subject->fields[i].value);
        }
        free(subject->fields);
        free(subject->lines);
        free(subject->name);
        free(subject);
    }
    free(table);
}

/* The subject of that name, made if need be; NULL when there is no memory. */
static struct subject *table_subject(struct policy_table *table, const char *name) {
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

static int add_field(struct subject *subject, const char *name, const char *value,
                     unsigned long line) {
    if ((subject->n & (subject->n - 1)) == 0) {
        size_t room = subject->n == 0 ? 1 : subject->n * 2;
        struct store_field *fields = realloc(subject->fields, room * sizeof *fields);
        if (fields == NULL)
            return -1;
        subject->fields = fields;
        unsigned long *lines = realloc(subject->lines, room * sizeof *lines);
        if (lines == NULL)
            return -1;
        subject->lines = lines;
    }
    char *name_copy = strdup(name), *value_copy = strdup(value);
    if (name_copy == NULL || value_copy == NULL) {
        free(name_copy);
        free(value_copy);
        return -1;
    }
    subject->lines[subject->n] = line;
    subject->octets += strlen(name_copy) + strlen(value_copy);
    subject->fields[subject->n++] =
        (struct store_field){name_copy, value_copy, strlen(name_copy), strlen(value_copy)};
    /* cppcheck-suppress memleak; the field owns both */
    return 0;
}

static int order_by_name(const void *a, const void *b, void *fields_of) {
    const struct store_field *fields = fields_of;
    const size_t *x = a, *y = b;
    int by_name = strcmp(fields[*x].name, fields[*y].name);
    return by_name != 0 ? by_name : (*x > *y) - (*x < *y);
}

/* The place of a field that the subject has twice (the later one), n when there is none, or -1. */
static ssize_t find_duplicate(const struct subject *subject) {
    size_t *order = malloc((subject->n + 1) * sizeof *order);
    ssize_t found = (ssize_t)subject->n;
    if (order == NULL)
        return -1;
    for (size_t i = 0; i < subject->n; i++)
        order[i] = i;
    qsort_r(order, subject->n, sizeof *order, order_by_name, subject->fields);
    for (size_t i = 1; i < subject->n; i++)
        if (strcmp(subject->fields[order[i]].name, subject->fields[order[i - 1]].name) == 0)
            found = (ssize_t)order[i];
    free(order);
    return found;
}

/* No field may stand twice: 0, or -1 with the reason. */
static int check_duplicates(const struct policy_table *table, const char *path, struct why *why) {
    for (const struct subject *subject = table->subjects; subject != NULL;
         subject = subject->hh.next) {
        ssize_t at = find_duplicate(subject);
        if (at < 0)
            why_set(why, "%s: no memory", path);
        else if ((size_t)at < subject->n)
            why_set(why, "%s:%lu: %.100s %.80s: given a second time", path, subject->lines[at],
                    subject->name, subject->fields[at].name);
        if (at < 0 || (size_t)at < subject->n)
            return -1;
    }
    return 0;
}

/* One line with its newline; 0, or -1 with the reason. */
static int take_line(struct policy_table *table, char *line, size_t len, unsigned long number,
                     struct why *why) {
    struct policy_line fact;
    int rc = policy_line_parse(line, len, &fact, why);
    if (rc <= 0)
        return rc;
    struct subject *subject = table_subject(table, fact.subject);
    if (subject == NULL || add_field(subject, fact.field, fact.value, number) != 0)
        return why_set(why, "no memory");
    return 0;
}

struct policy_table *policy_table_read(const char *path, FILE *stream, struct why *why) {
    struct policy_table *table = calloc(1, sizeof *table);
    struct why reason;
    char *line = NULL;
    size_t size = 0;
    unsigned long number = 0;
    bool good = table != NULL;
    if (!good)
        why_set(why, "%s: no memory", path);
    while (good) {
        ssize_t len = line_read(stream, &line, &size);
        if (len < 0 && len != LINE_TOO_LONG)
            break;
        number++;
        good = len != LINE_TOO_LONG ? take_line(table, line, (size_t)len, number, &reason) == 0
                                    : why_set(&reason, "the line is longer than 1 MiB") == 0;
        if (!good)
            why_set(why, "%s:%lu: %s", path, number, reason.text);
    }
    if (good && !feof(stream)) {
        why_set(why, "%s: %s", path, strerror(errno));
        good = false;
    }
    free(line);
    good = good && check_duplicates(table, path, why) == 0;
    if (good)
        return table;
    policy_table_free(table);
    return NULL;
}

static bool is_too_large(const struct subject *subject) {
    return store_is_too_large(subject->n, subject->octets);
}

const struct store_field *policy_table_subject(const struct policy_table *file, const char *name,
                                               size_t *n) {
    struct subject *subject;
    HASH_FIND_STR(file->subjects, name, subject);
    *n = subject == NULL ? 0 : subject->n;
    return subject == NULL ? NULL : subject->fields;
}

bool policy_table_is_too_large(const struct policy_table *file, const char *name) {
    struct subject *subject;
    HASH_FIND_STR(file->subjects, name, subject);
    return subject != NULL && is_too_large(subject);
}

void *policy_table_make(struct policy_table *file, const char *name,
                        const struct store_maker *maker) {
    struct subject *subject;
    HASH_FIND_STR(file->subjects, name, subject);
    if (subject == NULL) /* strangers are many, and cheap */
        return maker->make(name, &(struct store_hash){.answer = STORE_ABSENT});
    void *made = atomic_load(&subject->made);
    if (made == NULL) {
        const struct store_hash large = {.answer = STORE_TOO_LARGE};
        const struct store_hash found = {
            .answer = STORE_FOUND, .fields = subject->fields, .n = subject->n};
        void *fresh = maker->make(name, is_too_large(subject) ? &large : &found);
        if (fresh == NULL)
            return NULL;
        atomic_store(&file->maker, maker);
        if (atomic_compare_exchange_strong(&subject->made, &made, fresh))
            made = fresh;
        else
            maker->release(fresh); /* another thread was faster */
    }
    maker->acquire(made);
    return made;
}
