/*
 * A finding of lint. Owns its form, for people and as JSON.
 */
#include "lint.h"

#include <stdarg.h>
#include <stdio.h>

#include "../print.h"
#include "gatepost/write/fact_check.h"

/* One line, or an element of `list` where there is one. */
static void tell(json_t *list, const char *kind, const char *subject, const char *field,
                 const char *message) {
    if (list != NULL) {
        json_t *told = json_object();
        json_object_set_new(told, "kind", json_text(kind));
        json_object_set_new(told, "subject", json_text(subject));
        json_object_set_new(told, "field", json_text(field));
        json_object_set_new(told, "problem", json_text(message));
        json_array_append_new(list, told);
        return;
    }
    if (subject != NULL) {
        ctl_puts(stdout, subject);
        putchar(field == NULL ? ':' : ' ');
    }
    if (field != NULL) {
        ctl_puts(stdout, field);
        putchar(':');
    }
    printf("%s%s: ", subject == NULL && field == NULL ? "" : " ", kind);
    ctl_puts(stdout, message);
    putchar('\n');
}

void lint_found(struct lint *lint, const char *kind, const char *subject, const char *field,
                const char *format, ...) {
    char message[WHY_SIZE + 400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    lint->n++;
    tell(lint->list, kind, subject, field, message);
}

void lint_noted(struct lint *lint, const char *kind, const char *subject, const char *field,
                const char *format, ...) {
    char message[WHY_SIZE + 400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    tell(lint->notes, kind, subject, field, message);
}
