/*
 * The face of writing to the store: each question goes to the kind that was opened. Owns the state
 * of a subject as a number.
 */
#include "gatepost/write/writer.h"

#include "gatepost/core/self_fact.h"
#include "implement.h"

#include <stdio.h>

const char *const history_names[HISTORIES] = {"history", SELF_HISTORY};

enum history history_of(const char *subject) {
    return self_is_subject(subject) ? HISTORY_SELF : HISTORY_POLICY;
}

void store_writer_free(struct store_writer *writer) {
    if (writer != NULL)
        writer->ops->free(writer);
}

int store_writer_begin(struct store_writer *writer, const char *subject, struct why *why) {
    return writer->ops->begin(writer, subject, why);
}

void store_writer_leave(struct store_writer *writer) {
    writer->ops->leave(writer);
}

enum store_written store_writer_write(struct store_writer *writer, struct store_edit *edits,
                                      size_t n, struct why *why) {
    return writer->ops->write(writer, edits, n, why);
}

size_t store_writer_batch(const struct store_writer *writer) {
    return writer->ops->batch;
}

int store_writer_scan(struct store_writer *writer, store_take_subject *take, void *context,
                      struct why *why) {
    return writer->ops->scan(writer, take, context, why);
}

int store_writer_history(struct store_writer *writer, int64_t since, store_take_history *take,
                         void *context, struct why *why) {
    return writer->ops->history(writer, since, take, context, why);
}

int store_writer_examine(struct store_writer *writer, store_take_complaint *take, void *context,
                         struct why *why) {
    return writer->ops->examine(writer, take, context, why);
}

void store_edit_refuse(struct store_edit *edit, const char *why) {
    if (!edit->refused)
        snprintf(edit->why, sizeof edit->why, "%s", why);
    edit->refused = true;
}

/* FNV-1a, and at the end the mixing of splitmix64: the sum must not show what is similar. */
uint64_t store_state_of(const char *field, size_t field_len, const char *value, size_t value_len) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < field_len; i++)
        hash = (hash ^ (unsigned char)field[i]) * 0x100000001b3u;
    hash = (hash ^ 0x100) * 0x100000001b3u; /* no octet: where the field ends */
    for (size_t i = 0; i < value_len; i++)
        hash = (hash ^ (unsigned char)value[i]) * 0x100000001b3u;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
    return hash ^ (hash >> 31);
}

uint64_t store_state(const struct store_field *fields, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += store_state_of(fields[i].name, fields[i].name_len, fields[i].value,
                              fields[i].value_len);
    return sum == 0 ? 1 : sum;
}
