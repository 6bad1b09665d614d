/*
 * The values of self facts: what a user has set for his own account, with the time that it holds.
 *
 *     protocol:pop3    off until=2027-01-31T00:00:00Z
 *     source           authorized
 *     ip:192.0.2.0/24  from=2027-01-31T00:00:00Z the office
 *
 * A field with words has one first; then come until= and from=, in any order, then a note. Pure.
 */
#ifndef GATEPOST_CORE_SELF_FACT_H
#define GATEPOST_CORE_SELF_FACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the subject of an account's self facts begins: "self:alice@example.com". */
#define SELF_SUBJECT "self:"

bool self_is_subject(const char *subject);

/* The name among them that is no account's: the history of self facts. */
#define SELF_HISTORY "self:history"

/* When a fact holds, in seconds since the epoch: from `from` on, before `until`; 0: no limit. */
struct fact_time {
    int64_t from, until;
};

bool fact_time_holds(const struct fact_time *time, int64_t now);

/* A value taken apart; its texts are parts of it. */
struct self_value {
    const char *word; /* of a field with words */
    size_t word_len;
    struct fact_time time;
    const char *note;
    size_t note_len;
};

/* Returns 0, or -1 when a time cannot be read, or is there twice. */
int self_value_parse(const char *value, size_t len, bool has_word, struct self_value *out);

/* The value that says this (word NULL: none), malloc'd; NULL when there is no memory. */
char *self_value_make(const char *word, const struct fact_time *time, const char *note,
                      size_t note_len);

#endif
