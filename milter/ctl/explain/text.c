/*
 * An explanation as text. Owns its arrangement; its contents come from the explanation.
 */
#include <stdio.h>
#include <string.h>

#include "../print.h"
#include "explain.h"

static const char *text_of(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* A line of what was asked, or of the verdict. */
static void put_line(const json_t *told, const char *name) {
    const json_t *value = json_object_get(told, name);
    const char *text = json_string_value(value);
    if (value == NULL || (text == NULL && json_is_null(value)))
        return;
    ctl_put_column(stdout, name, 10);
    putchar(' ');
    ctl_puts(stdout, text != NULL ? text : json_is_true(value) ? "yes" : "no");
    putchar('\n');
}

/* KEY FIELD, or whose word it is: of the configuration, built in. */
static void put_fact(const json_t *fact) {
    const char *key = text_of(fact, "key"), *field = text_of(fact, "field");
    const char *name = text_of(fact, "name"), *from = text_of(fact, "from");
    fputs("      ", stdout);
    ctl_put_column(stdout, text_of(fact, "value"), 14);
    putchar(' ');
    if (key != NULL) {
        ctl_puts(stdout, key);
        fputs(field == NULL ? "" : " ", stdout);
        ctl_puts(stdout, field == NULL ? "" : field);
    } else {
        ctl_puts(stdout, name);
        printf(" (%s)", from);
    }
    const char *problem = text_of(fact, "problem");
    if (problem != NULL) {
        fputs(": ", stdout);
        ctl_puts(stdout, problem);
    }
    putchar('\n');
}

static void put_step(size_t number, const json_t *step) {
    const json_t *facts = json_object_get(step, "facts"), *lines = json_object_get(step, "lines");
    const char *because = text_of(step, "because"), *says = text_of(step, "explanation");
    printf("%3zu  ", number);
    ctl_put_column(stdout, text_of(step, "step"), 12);
    putchar(' ');
    ctl_puts(stdout, text_of(step, "answer"));
    if (because != NULL) {
        fputs(": ", stdout);
        ctl_puts(stdout, because);
    }
    putchar('\n');
    for (size_t i = 0; i < json_array_size(facts); i++)
        put_fact(json_array_get(facts, i));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        fputs("      ", stdout);
        ctl_puts(stdout, json_string_value(json_array_get(lines, i)));
        putchar('\n');
    }
    if (says != NULL) {
        fputs("      the domain says: ", stdout);
        ctl_puts(stdout, says);
        putchar('\n');
    }
}

void explanation_print(const json_t *told) {
    static const char *const asked[] = {"door",  "client", "helo",    "sender",
                                        "login", "tls",    "listener"};
    static const char *const answers[] = {"stage", "service", "account", "verdict", "reason",
                                          "key",   "field",   "would",   "reply"};
    const json_t *steps = json_object_get(told, "steps");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        put_line(told, asked[i]);
    putchar('\n');
    for (size_t i = 0; i < json_array_size(steps); i++)
        put_step(i + 1, json_array_get(steps, i));
    putchar('\n');
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        put_line(told, answers[i]);
    printf("decided by step %d%s\n", (int)json_integer_value(json_object_get(told, "decided_by")),
           text_of(told, "key") == NULL ? ", by the configuration" : "");
}
