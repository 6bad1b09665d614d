/*
 * The history as it is read. Owns the pages until it is told, and the order of two streams.
 */
#include "history_reading.h"

#include <stdlib.h>

static int keep_entry(void *context, const struct history_entry *entry) {
    struct history_reading *reading = context;
    if (reading->n == reading->room) {
        size_t room = reading->room == 0 ? 1000 : reading->room * 2;
        struct history_entry *grown = realloc(reading->entries, room * sizeof *grown);
        if (grown == NULL)
            return -1;
        reading->entries = grown;
        reading->room = room;
    }
    reading->entries[reading->n++] = *entry;
    return 0;
}

int history_reading_keep(struct history_reading *reading, struct redis_page *page,
                         redisReply *reply) {
    redisReply **grown = realloc(reading->pages, (reading->n_pages + 1) * sizeof(redisReply *));
    if (grown == NULL) {
        freeReplyObject(reply);
        return -1;
    }
    reading->pages = grown;
    reading->pages[reading->n_pages++] = reply;
    return redis_history_take(page, reply, keep_entry, reading);
}

static void order(struct history_reading *reading) {
    if (reading->late && reading->n > reading->begin)
        history_order(reading->entries + reading->begin, reading->n - reading->begin);
}

void history_reading_next(struct history_reading *reading) {
    order(reading);
    reading->begin = reading->n;
}

/* Two streams, each in order, told as one: of entries of one moment the first stream's first. */
int history_reading_tell(struct history_reading *reading, store_take_history *take, void *context) {
    size_t a = 0, b = reading->begin;
    int rc = 0;
    order(reading);
    while (rc == 0 && (a < reading->begin || b < reading->n)) {
        bool first = b == reading->n ||
                     (a < reading->begin && reading->entries[a].time <= reading->entries[b].time);
        rc = take(context, &reading->entries[first ? a++ : b++]);
    }
    return rc;
}

void history_reading_clear(struct history_reading *reading) {
    for (size_t i = 0; i < reading->n_pages; i++)
        freeReplyObject(reading->pages[i]);
    free(reading->pages);
    free(reading->entries);
    *reading = (struct history_reading){0};
}
