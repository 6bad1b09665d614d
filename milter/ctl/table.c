/*
 * Rows for people. Owns how columns are made; what stands in them is the commands' business.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/core/textbuf.h"
#include "memory.h"

/* Octets of a character in its escaped form, at most. */
#define ESCAPED_MAX 6

struct ctl_cell {
    size_t at; /* in the table's text */
    int width;
    enum ctl_paint paint;
};

static char *make_room(struct ctl_table *table, size_t len) {
    if (table->text_room - table->len < len) {
        size_t room = table->text_room * 2 + len;
        char *text = xmalloc(room);
        if (table->len > 0)
            memcpy(text, table->text, table->len);
        free(table->text);
        table->text = text;
        table->text_room = room;
    }
    return table->text + table->len;
}

static void add(struct ctl_table *table, const char *text, size_t len, enum ctl_paint paint) {
    struct textbuf buf;
    size_t size = len * ESCAPED_MAX + 1;
    table->cells = xgrow(table->cells, table->n, &table->room, sizeof *table->cells);
    struct ctl_cell *cell = &table->cells[table->n++];
    *cell = (struct ctl_cell){.at = table->len, .paint = paint};
    char *out = make_room(table, size);
    textbuf_init(&buf, out, size);
    textbuf_put_visible(&buf, text, len);
    for (const char *p = out; *p != '\0'; p++)
        cell->width += (*p & 0xc0) != 0x80;
    table->len += buf.len + 1;
}

void ctl_table_add(struct ctl_table *table, const char *text) {
    add(table, text, strlen(text), CTL_PLAIN);
}

void ctl_table_add_octets(struct ctl_table *table, const char *text, size_t len) {
    add(table, text, len, CTL_PLAIN);
}

void ctl_table_add_painted(struct ctl_table *table, const char *text, enum ctl_paint paint) {
    add(table, text, strlen(text), paint);
}

void ctl_table_end_row(struct ctl_table *table) {
    while (table->n % table->columns != 0)
        ctl_table_add(table, "");
}

static void put_row(const struct ctl_table *table, const struct ctl_cell *row, const int *widths) {
    size_t last = table->columns;
    int blanks = table->indent;
    while (last > 0 && row[last - 1].width == 0)
        last--;
    for (size_t i = 0; i < last; i++) {
        printf("%*s", blanks, "");
        ctl_paint(stdout, row[i].paint);
        fputs(table->text + row[i].at, stdout);
        ctl_paint(stdout, CTL_PLAIN);
        blanks = (row[i].width < widths[i] ? widths[i] - row[i].width : 0) + 2;
    }
    putchar('\n');
}

void ctl_table_print(struct ctl_table *table) {
    int widths[CTL_TABLE_COLUMNS] = {0};
    for (size_t i = 0; i < table->n; i++) {
        int *width = &widths[i % table->columns];
        if (table->cells[i].width > *width && table->cells[i].width <= CTL_CELL_MAX)
            *width = table->cells[i].width;
    }
    for (size_t i = 0; i < table->n; i += table->columns)
        put_row(table, &table->cells[i], widths);
    free(table->cells);
    free(table->text);
    *table = (struct ctl_table){.columns = table->columns, .indent = table->indent};
}
