/*
 * The input of `import`: lines of policy, put together by subject and checked.
 */
#ifndef GATEPOST_CTL_WRITE_IMPORT_READ_H
#define GATEPOST_CTL_WRITE_IMPORT_READ_H

#include <stdio.h>

#include "gatepost/base/json_text.h"
#include "gatepost/core/why.h"
#include "write.h"

struct input_subject;

/* What is wrong with the input, reported as it is found. */
struct input_problems {
    const struct ctl *ctl;
    const char *path; /* for messages */
    json_t *list;     /* NULL when they are only printed */
    size_t lines;     /* that are no fact of any subject */
};

/* One problem; `refused` false for a warning. `why` is escaped here. */
void input_problem(struct input_problems *problems, unsigned long line, const char *subject,
                   const char *field, bool refused, const char *why);

/* A subject and all that the input says of it. */
struct input_facts {
    const char *subject;
    struct wanted_fact *wanted;
    size_t n;
    unsigned long line; /* its first */
    bool refused;       /* a problem has been reported: nothing of it may be written */
};

struct input {
    struct input_facts *subjects; /* everybody, domains, networks, accounts; as given otherwise */
    size_t n;
    void *owner;
};

/* Reads all of `stream`. Returns 0, or -1 with the reason. */
int input_read(FILE *stream, struct input_problems *problems, struct input *out, struct why *why);
void input_clear(struct input *input);

#endif
