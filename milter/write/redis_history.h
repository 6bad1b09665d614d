/*
 * The history as a stream in Redis, read page by page.
 */
#ifndef GATEPOST_WRITE_REDIS_HISTORY_H
#define GATEPOST_WRITE_REDIS_HISTORY_H

#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"
#include "redis_client.h"

/*
 * Whether a key of another type stands in the place of the stream: a transaction would not undo the
 * changes when their entries cannot be added. Returns 0, or -1 with the reason, also when the
 * server cannot be asked.
 */
int redis_history_check(struct redis_client *talk, const char *stream, struct why *why);

/* Where the next page begins. */
struct redis_page {
    char from[64];
    bool more; /* there may be another page */
};

/* The first one; `since` in milliseconds. */
struct redis_page redis_history_begin(int64_t since);

/* Puts together the command that asks for the page. */
void redis_history_ask(const struct redis_page *page, struct redis_command *command,
                       const char *stream);

/*
 * Tells the entries of the answer, whose texts last as long as it does, and moves on to the next
 * page. Returns 0, or -1 when an entry was not taken.
 */
int redis_history_take(struct redis_page *page, const redisReply *reply, store_take_history *take,
                       void *context);

/*
 * Entries as they were appended; of two writers at one subject the second may have been faster with
 * its entry. Puts those of a subject into the order of their changes.
 */
void history_order(struct history_entry *entries, size_t n);

#endif
