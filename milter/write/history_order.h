/*
 * The order of a history whose entries are appended after the change, not with it. Pure.
 */
#ifndef GATEPOST_WRITE_HISTORY_ORDER_H
#define GATEPOST_WRITE_HISTORY_ORDER_H

#include "gatepost/write/writer.h"

/*
 * Entries as they were appended; of two writers at one subject the second may have been faster with
 * its entry. Puts those of a subject into the order of their changes.
 */
void history_order(struct history_entry *entries, size_t n);

#endif
