/*
 * The policy file. Owns its syntax and the look-up of a subject in what was read; when to read it
 * is store_file.c's business.
 */
#include "gatepost/policy_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* uthash ends the process for want of memory unless told otherwise */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct subject {
    char *name; /* the key */
    struct store_field *fields;
    unsigned long *lines; /* of the fields */
    size_t n;
    UT_hash_handle hh;
};

struct policy_file {
    struct subject *subjects;
};

void policy_file_free(struct policy_file *table) {
    if (table == NULL)
        return;
    struct subject *subject, *next;
    HASH_ITER(hh, table->subjects, subject, next) {
        HASH_DEL(table->subjects, subject);
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
static struct subject *table_subject(struct policy_file *table, const char *name) {
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
static int check_duplicates(const struct policy_file *table, const char *path, char *why,
                            size_t why_size) {
    for (const struct subject *subject = table->subjects; subject != NULL;
         subject = subject->hh.next) {
        ssize_t at = find_duplicate(subject);
        if (at < 0)
            snprintf(why, why_size, "%s: no memory", path);
        else if ((size_t)at < subject->n)
            snprintf(why, why_size, "%s:%lu: %.100s %.80s: given a second time", path,
                     subject->lines[at], subject->name, subject->fields[at].name);
        if (at < 0 || (size_t)at < subject->n)
            return -1;
    }
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
static int parse_line(struct policy_file *table, char *line, unsigned long number, char *why,
                      size_t why_size) {
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
    if (add_field(subject, field, value, number) != 0) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    return 0;
}

struct policy_file *policy_file_read(const char *path, FILE *stream, char *why, size_t why_size) {
    struct policy_file *table = calloc(1, sizeof *table);
    char *line = NULL, reason[300];
    size_t size = 0;
    unsigned long number = 0;
    bool good = table != NULL;
    if (!good)
        snprintf(why, why_size, "%s: no memory", path);
    while (good) {
        ssize_t len = getline(&line, &size, stream);
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
            good = parse_line(table, line, number, reason, sizeof reason) == 0;
        if (!good)
            snprintf(why, why_size, "%s:%lu: %s", path, number, reason);
    }
    if (good && ferror(stream)) {
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
        good = false;
    }
    free(line);
    good = good && check_duplicates(table, path, why, why_size) == 0;
    if (good)
        return table;
    policy_file_free(table);
    return NULL;
}

const struct store_field *policy_file_subject(const struct policy_file *file, const char *name,
                                              size_t *n) {
    struct subject *subject;
    HASH_FIND_STR(file->subjects, name, subject);
    *n = subject == NULL ? 0 : subject->n;
    return subject == NULL ? NULL : subject->fields;
}
