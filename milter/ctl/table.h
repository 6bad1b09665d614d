/*
 * Rows for people: columns as wide as what stands in them, without blanks at the end of a line.
 */
#ifndef GATEPOST_CTL_TABLE_H
#define GATEPOST_CTL_TABLE_H

#include <stddef.h>

#include "print.h"

#define CTL_TABLE_COLUMNS 6

/* A cell wider than this does not move the columns of other rows. */
#define CTL_CELL_MAX 40

struct ctl_cell;

/* Begins as {.columns = N}, N at most CTL_TABLE_COLUMNS; `indent` blanks stand before each row. */
struct ctl_table {
    size_t columns;
    int indent;
    struct ctl_cell *cells;
    size_t n, room;
    char *text; /* of all cells, each with its NUL */
    size_t len, text_room;
};

/* Adds the next cell of a row, escaped as ctl_put() does it. */
void ctl_table_add(struct ctl_table *table, const char *text);
void ctl_table_add_octets(struct ctl_table *table, const char *text, size_t len);
void ctl_table_add_painted(struct ctl_table *table, const char *text, enum ctl_paint paint);

/* Fills up the row that was begun. */
void ctl_table_end_row(struct ctl_table *table);

/* Prints all rows to standard output; the table is empty then. */
void ctl_table_print(struct ctl_table *table);

#endif
