/*
 * The input of `import`. Owns which lines belong together and what is said about bad ones;
 * fact_check.c decides what may be written.
 */
#include "import_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#define uthash_fatal(message) no_memory()
#include <uthash.h>

#include "../print.h"
#include "gatepost/base/line.h"
#include "gatepost/core/policy_line.h"

struct input_fact {
    char *field, *value;
    unsigned long line;
};

struct input_subject {
    char *name;
    struct input_fact *facts;
    size_t n, room;
    unsigned long line;
    size_t number; /* in the order of the input */
    bool refused;
    UT_hash_handle hh;
};

struct reading {
    struct input_problems *problems;
    struct input_subject *by_name;
};

void input_problem(struct input_problems *problems, unsigned long line, const char *subject,
                   const char *field, bool refused, const char *why) {
    fprintf(stderr, "%s:%lu: ", problems->path, line);
    if (!refused)
        fputs("warning: ", stderr);
    if (subject != NULL) {
        ctl_puts(stderr, subject);
        if (field != NULL) {
            fputc(' ', stderr);
            ctl_puts(stderr, field);
        }
        fputs(": ", stderr);
    }
    ctl_puts(stderr, why);
    fputc('\n', stderr);
    if (problems->list == NULL)
        return;
    json_t *told = json_object();
    json_object_set_new(told, "line", json_integer((json_int_t)line));
    json_object_set_new(told, "subject", json_text(subject));
    json_object_set_new(told, "field", json_text(field));
    json_object_set_new(told, "problem", json_text(why));
    json_object_set_new(told, "refused", json_boolean(refused));
    json_array_append_new(problems->list, told);
}

/*
 * What does not work is a mistake, and refused: unless it has octets that only an escaped line can
 * have. Those were exported, and come back.
 */
static bool is_refused(const struct reading *r, enum fact_kind kind, bool escaped, bool odd) {
    if (fact_works(kind))
        return false;
    return kind == FACT_UNCHECKED || !(r->problems->ctl->force || (escaped && odd));
}

/* Octets that only an escaped line can have in a word. */
static bool is_odd(const char *word) {
    return strchr(word, ' ') != NULL || !fact_is_plain(word, strlen(word));
}

static struct input_subject *make_subject(struct reading *r, const char *name, bool escaped,
                                          unsigned long line) {
    struct input_subject *subject = xcalloc(1, sizeof *subject);
    struct why why;
    subject->name = xstrdup(name);
    subject->line = line;
    subject->number = HASH_COUNT(r->by_name);
    HASH_ADD_KEYPTR(hh, r->by_name, subject->name, strlen(subject->name), subject);
    enum fact_kind kind = ctl_check_subject(r->problems->ctl, name, &why);
    subject->refused = is_refused(r, kind, escaped, is_odd(name));
    if (kind != FACT_GOOD)
        input_problem(r->problems, line, name, NULL, subject->refused, why.text);
    return subject;
}

static void add_fact(struct input_subject *subject, const struct policy_line *fact,
                     unsigned long line) {
    subject->facts = xgrow(subject->facts, subject->n, &subject->room, sizeof *subject->facts);
    subject->facts[subject->n++] =
        (struct input_fact){xstrdup(fact->field), xstrdup(fact->value), line};
}

static void check_fact(struct reading *r, struct input_subject *subject,
                       const struct policy_line *fact, unsigned long line) {
    struct why why;
    const struct store_text field = {fact->field, strlen(fact->field)};
    const struct store_text value = {fact->value, strlen(fact->value)};
    enum fact_kind kind = ctl_check(r->problems->ctl, subject->name, &field, &value, &why);
    bool odd = is_odd(fact->field) || !fact_is_plain(value.text, value.len);
    bool refused = is_refused(r, kind, fact->escaped, odd);
    if (kind != FACT_GOOD)
        input_problem(r->problems, line, subject->name, fact->field, refused, why.text);
    subject->refused |= refused;
}

static void take_line(struct reading *r, char *line, size_t len, unsigned long number) {
    struct policy_line fact;
    struct input_subject *subject = NULL;
    struct why why;
    int kind = policy_line_parse(line, len, &fact, &why);
    if (kind == 0)
        return;
    if (fact.subject != NULL)
        HASH_FIND_STR(r->by_name, fact.subject, subject);
    if (kind < 0) {
        input_problem(r->problems, number, NULL, NULL, true, why.text);
        r->problems->lines++;
        if (subject == NULL && fact.subject != NULL && policy_subject_fault(fact.subject) == NULL)
            subject = make_subject(r, fact.subject, false, number);
        if (subject != NULL) /* a fact of it is missing */
            subject->refused = true;
        return;
    }
    if (subject == NULL)
        subject = make_subject(r, fact.subject, fact.escaped, number);
    check_fact(r, subject, &fact, number);
    add_fact(subject, &fact, number);
}

/* ---- the whole ---- */

static int by_field(const void *a, const void *b) {
    const struct input_fact *x = a, *y = b;
    int order = strcmp(x->field, y->field);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static void find_repeated(struct reading *r, struct input_subject *subject) {
    char why[100];
    if (subject->n > 1)
        qsort(subject->facts, subject->n, sizeof *subject->facts, by_field);
    for (size_t i = 1; i < subject->n; i++) {
        const struct input_fact *fact = &subject->facts[i], *before = &subject->facts[i - 1];
        if (strcmp(fact->field, before->field) != 0)
            continue;
        snprintf(why, sizeof why, "given a second time, after line %lu", before->line);
        input_problem(r->problems, fact->line, subject->name, fact->field, true, why);
        subject->refused = true;
    }
}

/* What accounts inherit comes first, so that the guard sees it as it will be. */
static int rank(const char *subject) {
    return 2 * (int)ctl_inheritance_rank(subject) - (strncmp(subject, "network:", 8) == 0);
}

static int by_rank(const struct input_subject *a, const struct input_subject *b) {
    int x = rank(a->name), y = rank(b->name);
    return x != y ? x - y : (a->number > b->number) - (a->number < b->number);
}

static void hand_over(struct reading *r, struct input *out) {
    HASH_SORT(r->by_name, by_rank);
    out->subjects = xcalloc(HASH_COUNT(r->by_name), sizeof *out->subjects);
    for (struct input_subject *s = r->by_name; s != NULL; s = s->hh.next) {
        struct input_facts *facts = &out->subjects[out->n++];
        find_repeated(r, s);
        *facts = (struct input_facts){.subject = s->name,
                                      .wanted = xcalloc(s->n, sizeof *facts->wanted),
                                      .n = s->n,
                                      .line = s->line,
                                      .refused = s->refused};
        for (size_t i = 0; i < s->n; i++)
            facts->wanted[i] = (struct wanted_fact){s->facts[i].field, s->facts[i].value};
    }
}

void input_clear(struct input *input) {
    struct input_subject *by_name = input->owner, *subject, *next;
    for (size_t i = 0; i < input->n; i++)
        free(input->subjects[i].wanted);
    free(input->subjects);
    HASH_ITER(hh, by_name, subject, next) {
        HASH_DEL(by_name, subject);
        for (size_t i = 0; i < subject->n; i++) {
            free(subject->facts[i].field);
            free(subject->facts[i].value);
        }
        free(subject->facts);
        free(subject->name);
        free(subject);
    }
    *input = (struct input){0};
}

int input_read(FILE *stream, struct input_problems *problems, struct input *out, struct why *why) {
    struct reading r = {.problems = problems};
    struct ctl_progress progress;
    char *line = NULL;
    size_t size = 0;
    unsigned long number = 0;
    ssize_t len;
    *out = (struct input){0};
    ctl_progress_begin(&progress, "lines read", 0);
    while ((len = line_read(stream, &line, &size)) >= 0) {
        take_line(&r, line, (size_t)len, ++number);
        ctl_progress_tell(&progress, number);
    }
    ctl_progress_end(&progress);
    bool good = len != LINE_TOO_LONG && feof(stream);
    if (len == LINE_TOO_LONG)
        why_set(why, "%s:%lu: the line is longer than 1 MiB", problems->path, number + 1);
    else if (!good)
        why_set(why, "%s: %s", problems->path, ferror(stream) ? strerror(errno) : "no memory");
    free(line);
    if (good)
        hand_over(&r, out);
    out->owner = r.by_name;
    if (!good)
        input_clear(out);
    return good ? 0 : -1;
}
