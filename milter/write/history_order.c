/*
 * The order of a cluster's history. Owns how late an entry may come: `at` is by the clock of the
 * node that had the subject, and another node may have it, with another clock, some time later.
 */
#include "history_order.h"

#include <string.h>

/* Milliseconds: somewhat more than a writer has patience. */
#define LATE_MAX 10000

static bool is_before(const struct history_entry *a, const struct history_entry *b) {
    return a->at != 0 && a->at < b->at && a->subject.len == b->subject.len &&
           memcmp(a->subject.text, b->subject.text, a->subject.len) == 0;
}

/* Where entry `i` belongs among those before it, which are in order. */
static size_t place_of(const struct history_entry *entries, size_t i) {
    size_t place = i;
    for (size_t k = i; k > 0 && entries[k - 1].time >= entries[i].time - LATE_MAX; k--)
        if (is_before(&entries[i], &entries[k - 1]))
            place = k - 1;
    return place;
}

void history_order(struct history_entry *entries, size_t n) {
    for (size_t i = 1; i < n; i++) {
        size_t place = place_of(entries, i);
        if (place == i)
            continue;
        struct history_entry late = entries[i];
        late.time = entries[place].time; /* it was made no later than what it goes before */
        memmove(&entries[place + 1], &entries[place], (i - place) * sizeof late);
        entries[place] = late;
    }
}
