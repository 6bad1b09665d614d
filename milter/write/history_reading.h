/*
 * The history as it is read from Redis: whole, since its order is known only at the end.
 */
#ifndef GATEPOST_WRITE_HISTORY_READING_H
#define GATEPOST_WRITE_HISTORY_READING_H

#include "implement.h"
#include "redis_history.h"

/* How it is read. */
struct history_source {
    struct store_writer *writer; /* for `ask` */
    bool self_facts;             /* that stream, too */
    bool late; /* of two writers at one subject the second may have been faster with its entry */
    /*
     * Asks for a page of a stream by redis_history_ask(). The command is the caller's, who clears
     * it. Returns the reply, which is then the caller's, or NULL with the reason.
     */
    redisReply *(*ask)(struct store_writer *writer, enum history which, struct redis_page *page,
                       struct redis_command *command, struct why *why);
};

/*
 * Reads all since that time (seconds since the epoch) and tells it, of both streams by time.
 * Returns 0, or -1 with the reason.
 */
int history_read(const struct history_source *source, int64_t since, store_take_history *take,
                 void *context, struct why *why);

#endif
