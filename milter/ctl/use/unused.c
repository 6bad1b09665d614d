/*
 * `unused`: protocols that are on and by which nobody came in. Owns how they are shown.
 */
#include <string.h>

#include "../table.h"
#include "closing.h"

static const char *text_of(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static void add_row(struct ctl_table *table, const json_t *row) {
    const char *last = text_of(row, "last");
    const json_t *unrecorded = json_object_get(row, "not_recorded");
    char services[400] = "";
    size_t len = 0;
    for (size_t i = 0; i < json_array_size(unrecorded) && len < sizeof services; i++)
        len += (size_t)snprintf(services + len, sizeof services - len, "%s%s",
                                i == 0 ? "not recorded: " : ", ",
                                json_string_value(json_array_get(unrecorded, i)));
    ctl_table_add(table, text_of(row, "account"));
    ctl_table_add(table, text_of(row, "protocol"));
    ctl_table_add(table, last == NULL ? "never" : last);
    ctl_table_add(table, services);
}

static void print_table(const json_t *found) {
    static const char *const titles[] = {"ACCOUNT", "PROTOCOL", "LAST USED", ""};
    struct ctl_table table = {.columns = 4};
    for (size_t i = 0; json_array_size(found) > 0 && i < table.columns; i++)
        ctl_table_add_painted(&table, titles[i], CTL_TITLE);
    for (size_t i = 0; i < json_array_size(found); i++)
        add_row(&table, json_array_get(found, i));
    ctl_table_print(&table);
}

static int print(const struct ctl *ctl, json_t *found) {
    const json_t *row;
    size_t i;
    if (ctl->json)
        return ctl_print_json(json_incref(found));
    if (!ctl->commands)
        print_table(found);
    json_array_foreach(found, i, row) {
        if (ctl->commands && json_is_true(json_object_get(row, "close"))) {
            fputs("gatepostctl protocol off ", stdout);
            use_put_word(text_of(row, "account"));
            putchar(' ');
            use_put_word(text_of(row, "protocol"));
            putchar('\n');
        }
    }
    return CTL_DONE;
}

static void visit(struct use_search *s, const char *account, const struct ctl_policies *policies,
                  const struct ctl_use *use) {
    int64_t from = s->ctl->now - s->period;
    json_t *found = use_unused(s, account, &policies->set, use, from);
    use_closable(s, policies, use, from, found);
    json_array_extend(s->found, found);
    json_decref(found);
}

int ctl_unused(struct ctl *ctl, int argc, char **argv) {
    struct use_search s = {.ctl = ctl, .visit = visit, .found = json_array()};
    int status = use_search(&s, argc > 0 ? argv[0] : "*", "90d");
    if (status == CTL_DONE)
        status = print(ctl, s.found);
    if (status == CTL_DONE && s.searched && !ctl->commands && json_array_size(s.found) == 0)
        ctl_say_empty(ctl, "no protocol is on that is not used");
    json_decref(s.found);
    return status;
}
