/*
 * The history as it is read from Redis: whole, since its order is known only at the end.
 */
#ifndef GATEPOST_WRITE_HISTORY_READING_H
#define GATEPOST_WRITE_HISTORY_READING_H

#include "redis_history.h"

/* All zero at first; the texts of the entries are those of the pages. */
struct history_reading {
    bool late; /* of two writers at one subject the second may have been faster with its entry */
    struct history_entry *entries;
    size_t n, room;
    size_t begin; /* of the stream that is being read */
    redisReply **pages;
    size_t n_pages;
};

/*
 * Takes one page, in every case, and the entries in it. Returns 0, or -1 when there is no memory.
 */
int history_reading_keep(struct history_reading *reading, struct redis_page *page,
                         redisReply *reply);

/* What is kept from now on is of another stream. */
void history_reading_next(struct history_reading *reading);

/* Tells what has been kept, of both streams by time. Returns 0, or -1 when one was not taken. */
int history_reading_tell(struct history_reading *reading, store_take_history *take, void *context);

void history_reading_clear(struct history_reading *reading);

#endif
