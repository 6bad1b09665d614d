/*
 * What a replay has found: how many verdicts, which would change, of whom, and where they stand.
 */
#ifndef GATEPOST_CTL_REPLAY_TALLY_H
#define GATEPOST_CTL_REPLAY_TALLY_H

#include "past.h"

/* Lines that are shown as examples. */
#define EXAMPLES 5

/* Accounts that are counted one by one: strangers can fill a log with any number of them. */
#define TALLY_ROWS_MAX 100000

struct change_of {
    struct outcome from, to;
};

/* One account and one change of its verdicts. */
struct tally_row {
    char *account;
    struct change_of change;
    unsigned long count;
};

/* A line with what is worth showing of it; texts owned. */
struct example {
    char *file; /* NULL: standard input */
    unsigned long line;
    char *account, *client, *service;
    struct change_of change;
};

struct examples {
    struct example items[EXAMPLES];
    unsigned long count; /* of all, not only of those that are kept */
};

struct tally {
    unsigned long lines, verdicts; /* read; of these, verdicts, and what may have been one */
    unsigned long unsaid[UNSAIDS]; /* verdicts that cannot be told, by the reason */
    unsigned long other_reason;    /* the verdict stays, its reason does not */
    struct examples changed;       /* would change */
    struct examples since;         /* the unchanged policy judges otherwise than the log has it */
    struct tally_row *rows;        /* of what would change */
    size_t n_rows, n_accounts;     /* the second, and the order, by tally_sort() */
    unsigned long left_out;        /* changed, but not in the rows: there are too many accounts */
    /* private */
    size_t room;
    struct tally_index *index;
};

/* Where a verdict stands. */
struct place {
    const char *file;
    unsigned long line;
    const struct past *past;
};

/* Notes a verdict that would change, and one that has changed since. */
void tally_change(struct tally *tally, const struct place *place, const struct change_of *change);
void tally_since(struct tally *tally, const struct place *place, const struct change_of *change);

/* Verdicts that cannot be told, all together. */
unsigned long tally_unsaid(const struct tally *tally);

/* Nothing more is noted: the rows of the most frequent come first. */
void tally_sort(struct tally *tally);

void tally_clear(struct tally *tally);

#endif
