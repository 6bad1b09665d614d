/*
 * `status` for people. Owns the line that sums it up and the grouping; the members are the
 * filter's, so that a new one is shown without a change here.
 */
#include "show.h"

#include <string.h>

#include "../table.h"

static json_int_t count_of(const json_t *status, const char *name) {
    return json_integer_value(json_object_get(status, name));
}

static void put_title(const char *text) {
    putchar('\n');
    ctl_paint(stdout, CTL_TITLE);
    ctl_puts(stdout, text);
    ctl_paint(stdout, CTL_PLAIN);
    putchar('\n');
}

/* ---- the first line ---- */

static void put_age(json_int_t seconds) {
    static const struct {
        json_int_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    printf("%" JSON_INTEGER_FORMAT " %s", seconds / units[i].seconds, units[i].name);
}

static void put_summary(const json_t *status, const char *problem) {
    json_int_t malformed = count_of(status, "malformed");
    if (problem == NULL && !json_is_true(json_object_get(json_object_get(status, "store"), "up")))
        problem = "the store does not answer";
    ctl_paint(stdout, problem == NULL ? CTL_GOOD : CTL_BAD);
    fputs(problem == NULL ? "healthy" : "not healthy", stdout);
    ctl_paint(stdout, CTL_PLAIN);
    fputs(": ", stdout);
    if (problem == NULL) {
        fputs("the store answers; running for ", stdout);
        put_age(count_of(status, "uptime_seconds"));
    } else {
        ctl_puts(stdout, problem);
    }
    putchar('\n');
    if (malformed > 0)
        printf("malformed values were met %" JSON_INTEGER_FORMAT
               " times: gatepostctl lint names them\n",
               malformed);
}

/* ---- groups ---- */

static void add_value(struct ctl_table *table, const char *name, const json_t *value) {
    char number[40];
    ctl_table_add(table, name);
    if (json_is_string(value)) {
        ctl_table_add(table, json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        ctl_table_add(table, number);
    } else {
        ctl_table_add_painted(table, json_is_true(value) ? "yes" : "no",
                              json_is_true(value) ? CTL_PLAIN : CTL_BAD);
    }
}

static bool are_counters(json_t *group) {
    const char *name;
    json_t *value;
    json_object_foreach(group, name, value) {
        if (!json_is_integer(value))
            return false;
    }
    return true;
}

/* Counters of one kind stand in one line. */
static void put_counters(json_t *group) {
    const char *name;
    json_t *value;
    bool first = true;
    json_object_foreach(group, name, value) {
        fputs(first ? "  " : ", ", stdout);
        ctl_puts(stdout, name);
        printf(" %" JSON_INTEGER_FORMAT, json_integer_value(value));
        first = false;
    }
    putchar('\n');
}

/* The members of an object that are no objects or lists. */
static void put_group(const char *title, json_t *group) {
    struct ctl_table table = {.columns = 2, .indent = 2};
    const char *name;
    json_t *value;
    put_title(title);
    if (are_counters(group)) {
        put_counters(group);
        return;
    }
    json_object_foreach(group, name, value) {
        if (!json_is_object(value) && !json_is_array(value))
            add_value(&table, name, value);
    }
    ctl_table_print(&table);
}

/* The last errors: when, and the line of the log. */
static void put_errors(const json_t *errors) {
    if (json_array_size(errors) == 0)
        return;
    put_title("last errors");
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        const char *time = json_string_value(json_object_get(error, "time"));
        const char *line = json_string_value(json_object_get(error, "line"));
        fputs("  ", stdout);
        ctl_puts(stdout, time == NULL ? "" : time);
        putchar(' ');
        ctl_puts(stdout, line == NULL ? "" : line);
        putchar('\n');
    }
}

void status_show(json_t *status, const char *problem) {
    const char *name;
    json_t *value;
    put_summary(status, problem);
    put_group("filter", status);
    json_object_foreach(status, name, value) {
        if (json_is_object(value))
            put_group(name, value);
    }
    put_errors(json_object_get(status, "last_errors"));
}
