/*
 * The history as it is read. Owns the pages until it is told, and the order of two streams.
 */
#include "history_reading.h"

#include <stdlib.h>

/* The texts of the entries are those of the pages. */
struct history_reading {
    const struct history_source *source;
    struct history_entry *entries;
    size_t n, room;
    size_t begin; /* of the stream that is being read */
    redisReply **pages;
    size_t n_pages;
};

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

/* Takes one page, in every case, and the entries in it. Returns 0, or -1 when there is no memory.
 */
static int keep(struct history_reading *reading, struct redis_page *page, redisReply *reply) {
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
    if (reading->source->late && reading->n > reading->begin)
        history_order(reading->entries + reading->begin, reading->n - reading->begin);
}

static int read_stream(struct history_reading *reading, enum history which, int64_t since,
                       struct why *why) {
    const struct history_source *source = reading->source;
    struct redis_command c = {0};
    struct redis_page page = redis_history_begin(since);
    int rc = 0;
    reading->begin = reading->n;
    while (rc == 0 && page.more) {
        redisReply *reply = source->ask(source->writer, which, &page, &c, why);
        rc = reply == NULL ? -1 : 0;
        if (rc == 0 && keep(reading, &page, reply) != 0)
            rc = why_set(why, "no memory");
    }
    redis_command_clear(&c);
    order(reading);
    return rc;
}

/* Two streams, each in order, told as one: of entries of one moment the first stream's first. */
static int tell(const struct history_reading *reading, store_take_history *take, void *context) {
    size_t a = 0, b = reading->begin;
    int rc = 0;
    while (rc == 0 && (a < reading->begin || b < reading->n)) {
        bool first = b == reading->n ||
                     (a < reading->begin && reading->entries[a].time <= reading->entries[b].time);
        rc = take(context, &reading->entries[first ? a++ : b++]);
    }
    return rc;
}

static void clear(struct history_reading *reading) {
    for (size_t i = 0; i < reading->n_pages; i++)
        freeReplyObject(reading->pages[i]);
    free(reading->pages);
    free(reading->entries);
    *reading = (struct history_reading){0};
}

int history_read(const struct history_source *source, int64_t since, store_take_history *take,
                 void *context, struct why *why) {
    struct history_reading reading = {.source = source};
    int rc = read_stream(&reading, HISTORY_POLICY, since, why);
    if (rc == 0 && source->self_facts)
        rc = read_stream(&reading, HISTORY_SELF, since, why);
    if (rc == 0 && tell(&reading, take, context) != 0)
        rc = why_set(why, "no memory");
    clear(&reading);
    return rc;
}
