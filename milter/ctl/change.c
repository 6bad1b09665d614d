/*
 * How a change is told. Owns the difference between unset and empty on paper.
 */
#include "change.h"

#include "print.h"

static void put_value(const struct store_text *value) {
    if (value->text == NULL)
        fputs("unset", stdout);
    else if (value->len == 0)
        fputs("\"\"", stdout);
    else
        ctl_put(stdout, value->text, value->len);
}

void ctl_put_change(const char *subject, const struct store_change *change) {
    ctl_puts(stdout, subject);
    putchar(' ');
    ctl_put(stdout, change->field.text, change->field.len);
    fputs(": ", stdout);
    put_value(&change->old);
    fputs(" -> ", stdout);
    put_value(&change->new_value);
    putchar('\n');
}

json_t *ctl_change_json(const struct store_change *change) {
    json_t *told = json_object();
    json_object_set_new(told, "field", json_octets(change->field.text, change->field.len));
    json_object_set_new(told, "old", json_octets(change->old.text, change->old.len));
    json_object_set_new(told, "new", json_octets(change->new_value.text, change->new_value.len));
    return told;
}
