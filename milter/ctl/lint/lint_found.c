/*
 * A finding of lint. Owns its form, for people and as JSON.
 */
#include "lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../print.h"
#include "gatepost/write/fact_check.h"

/* Octets of a value that are shown to people. */
#define VALUE_SHOWN 60

struct finding {
    const char *kind, *subject, *field, *message;
    const struct store_text *value; /* what is wrong, or the command needs; NULL */
    char *command;                  /* that mends it; NULL */
};

/* Of host bits it is the name that is wrong. */
static bool is_value_wrong(const struct finding *f) {
    return strcmp(f->kind, "malformed") == 0;
}

static void tell_json(json_t *list, const struct finding *f) {
    json_t *told = json_object();
    json_object_set_new(told, "kind", json_text(f->kind));
    json_object_set_new(told, "subject", json_text(f->subject));
    json_object_set_new(told, "field", json_text(f->field));
    json_object_set_new(told, "problem", json_text(f->message));
    if (f->value != NULL && is_value_wrong(f))
        json_object_set_new(told, "value", json_octets(f->value->text, f->value->len));
    if (f->command != NULL)
        json_object_set_new(told, "command", json_text(f->command));
    json_array_append_new(list, told);
}

static void put_value(const struct store_text *value) {
    putchar('"');
    ctl_put(stdout, value->text, value->len < VALUE_SHOWN ? value->len : VALUE_SHOWN);
    fputs(value->len > VALUE_SHOWN ? "...\": " : "\": ", stdout);
}

/* One line; on a terminal the command stands below it, where it can be taken whole. */
static void tell_text(const struct finding *f, bool is_note, bool for_people) {
    if (f->subject != NULL) {
        ctl_puts(stdout, f->subject);
        putchar(f->field == NULL ? ':' : ' ');
    }
    if (f->field != NULL) {
        ctl_puts(stdout, f->field);
        putchar(':');
    }
    fputs(f->subject == NULL && f->field == NULL ? "" : " ", stdout);
    ctl_paint(stdout, is_note ? CTL_PLAIN : CTL_ODD);
    fputs(f->kind, stdout);
    ctl_paint(stdout, CTL_PLAIN);
    fputs(": ", stdout);
    if (f->value != NULL && is_value_wrong(f))
        put_value(f->value);
    ctl_puts(stdout, f->message);
    if (f->command != NULL) {
        fputs(for_people ? "\n    " : "; to mend it: ", stdout);
        ctl_puts(stdout, f->command);
    }
    putchar('\n');
}

/* `list`: of findings, or NULL when they are printed. */
static void tell(const struct lint *lint, json_t *list, const char *kind, const char *subject,
                 const char *field, const struct store_text *value, const char *message,
                 bool is_note) {
    struct finding f = {kind,    subject, field,
                        message, value,   is_note ? NULL : lint_mend(kind, subject, field, value)};
    if (list != NULL)
        tell_json(list, &f);
    else
        tell_text(&f, is_note, ctl_is_for_people(lint->ctl));
    free(f.command);
}

void lint_found(struct lint *lint, const char *kind, const char *subject, const char *field,
                const char *format, ...) {
    char message[WHY_SIZE + 400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    lint->n++;
    tell(lint, lint->list, kind, subject, field, NULL, message, false);
}

void lint_found_value(struct lint *lint, const char *kind, const char *subject, const char *field,
                      const struct store_text *value, const char *message) {
    lint->n++;
    tell(lint, lint->list, kind, subject, field, value, message, false);
}

void lint_noted(struct lint *lint, const char *kind, const char *subject, const char *field,
                const char *format, ...) {
    char message[WHY_SIZE + 400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    tell(lint, lint->notes, kind, subject, field, NULL, message, true);
}
