/*
 * The count of messages in progress. Owns that and nothing else: what a stop does about them is the
 * filter's.
 */
#include "gatepost/session/under_way.h"

#include <stdatomic.h>

static atomic_long messages;

void under_way_count(int change) {
    atomic_fetch_add(&messages, change);
}

long under_way_messages(void) {
    return atomic_load(&messages);
}
