/*
 * `lint --since`: what was changed past gatepostctl. Owns the comparison of the history with
 * itself - what one entry left and the next one found - and with what is there now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#define uthash_fatal(message) no_memory()
#include <uthash.h>

#include "../print.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/passwords.h"
#include "lint.h"

/* A field as gatepostctl left it; value NULL: unset. */
struct left_field {
    char *name, *value;
    size_t value_len;
    int64_t time;
    UT_hash_handle hh;
};

struct left_subject {
    char *name;
    struct left_field *fields;
    bool has_state;
    uint64_t state;
    int64_t time;
    UT_hash_handle hh;
};

struct past {
    struct lint *lint;
    struct left_subject *subjects;
};

static void field_free(struct left_field *field) {
    free(field->name);
    free(field->value);
    free(field);
}

static void past_free(struct past *past) {
    struct left_subject *subject, *next;
    HASH_ITER(hh, past->subjects, subject, next) {
        struct left_field *field, *next_field;
        /* cppcheck-suppress uninitvar; it comes from calloc() */
        HASH_ITER(hh, subject->fields, field, next_field) {
            HASH_DEL(subject->fields, field);
            field_free(field);
        }
        HASH_DEL(past->subjects, subject);
        free(subject->name);
        free(subject);
    }
}

static struct left_subject *find_subject(struct past *past, const struct store_text *name) {
    struct left_subject *subject;
    HASH_FIND(hh, past->subjects, name->text, name->len, subject);
    if (subject != NULL)
        return subject;
    subject = xcalloc(1, sizeof *subject);
    subject->name = xstrndup(name->text, name->len);
    HASH_ADD_KEYPTR(hh, past->subjects, subject->name, name->len, subject);
    return subject;
}

static struct left_field *make_field(struct left_subject *subject, const struct store_text *name) {
    struct left_field *field = xcalloc(1, sizeof *field);
    field->name = xstrndup(name->text, name->len);
    HASH_ADD_KEYPTR(hh, subject->fields, field->name, name->len, field);
    return field;
}

static bool is_value(const struct left_field *field, const char *value, size_t len) {
    if (field->value == NULL || value == NULL)
        return field->value == NULL && value == NULL;
    return field->value_len == len && memcmp(field->value, value, len) == 0;
}

static void tell_change(struct lint *lint, const char *subject, const struct left_field *field,
                        const char *value, size_t len) {
    char time[TIMESTAMP_SIZE];
    lint_found(lint, "edited", subject, field->name,
               "changed past gatepostctl: it left %s%.100s%s at %s, then there was %s%.*s%s",
               field->value ? "\"" : "", field->value ? field->value : "it unset",
               field->value ? "\"" : "", timestamp_format(field->time / 1000, time),
               value ? "\"" : "", value ? (int)(len < 100 ? len : 100) : 7,
               value ? value : "nothing", value ? "\"" : "");
}

/* One entry: what it found must be what the one before it left. */
static int take(void *context, const struct history_entry *entry) {
    struct past *past = context;
    if (entry->subject.text == NULL || entry->field.text == NULL)
        return 0;
    /* they are no policy: their entries tell what was done, not what a field had and has */
    if (password_is_subject(entry->subject.text, entry->subject.len))
        return 0;
    struct left_subject *subject = find_subject(past, &entry->subject);
    if (entry->state.text != NULL) {
        subject->state = strtoull(entry->state.text, NULL, 16);
        subject->has_state = true;
        subject->time = entry->time;
    }
    if (entry->field.len == 0)
        return 0;
    struct left_field *field;
    HASH_FIND(hh, subject->fields, entry->field.text, entry->field.len, field);
    if (field != NULL && !is_value(field, entry->old.text, entry->old.len))
        tell_change(past->lint, subject->name, field, entry->old.text, entry->old.len);
    if (field == NULL)
        field = make_field(subject, &entry->field);
    free(field->value);
    field->value = NULL;
    field->value_len = entry->new_value.len;
    field->time = entry->time;
    if (entry->new_value.text == NULL)
        return 0;
    field->value = xmalloc(entry->new_value.len + 1);
    memcpy(field->value, entry->new_value.text, entry->new_value.len);
    field->value[entry->new_value.len] = '\0';
    return 0;
}

/* What is there now against what was left last. */
static void compare(struct lint *lint, struct left_subject *subject,
                    const struct store_hash *hash) {
    uint64_t state = hash->n == 0 ? 0 : store_state(hash->fields, hash->n);
    bool told = false;
    if (hash->answer == STORE_TOO_LARGE) /* not read */
        return;
    if (subject->has_state && subject->state == state && hash->answer != STORE_WRONG_TYPE)
        return;
    for (struct left_field *field = subject->fields; field != NULL; field = field->hh.next) {
        const struct store_field *now = ctl_find_field(hash, field->name, strlen(field->name));
        if (is_value(field, now ? now->value : NULL, now ? now->value_len : 0))
            continue;
        tell_change(lint, subject->name, field, now ? now->value : NULL, now ? now->value_len : 0);
        told = true;
    }
    if (told || !subject->has_state)
        return;
    char time[TIMESTAMP_SIZE];
    lint_found(lint, "edited", subject->name, NULL,
               "changed past gatepostctl since %s: fields that it did not touch then were added, "
               "changed or removed",
               timestamp_format(subject->time / 1000, time));
}

static int order(const struct left_subject *a, const struct left_subject *b) {
    return strcmp(a->name, b->name);
}

int lint_since(struct lint *lint, int64_t since) {
    struct past past = {.lint = lint};
    struct why why;
    int status = CTL_DONE;
    if (store_writer_history(lint->ctl->writer, since, take, &past, &why) != 0)
        status = ctl_fail_store(lint->ctl, why.text);
    HASH_SORT(past.subjects, order);
    for (struct left_subject *s = past.subjects; status == CTL_DONE && s != NULL; s = s->hh.next) {
        struct store_hash hash;
        if (ctl_read_hash(lint->ctl, s->name, &hash, &why) != 0) {
            status = ctl_fail_store(lint->ctl, why.text);
            break;
        }
        compare(lint, s, &hash);
        store_hash_clear(&hash);
    }
    past_free(&past);
    return status;
}
