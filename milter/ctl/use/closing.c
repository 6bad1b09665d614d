/*
 * What of the unused may be closed. Owns when a record tells enough of an account; what would lock
 * it out is the guard's.
 */
#include "closing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../memory.h"
#include "gatepost/write/guard.h"

/* The account's own policy with these fields on top; to be freed. */
static struct policy *with_fields(const struct ctl_policies *policies,
                                  const struct use_field *fields, size_t n) {
    const struct store_hash *hash = &policies->hashes[policies->own];
    struct policy *after = policy_new();
    bool good = after != NULL;
    for (size_t i = 0; good && i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        bool replaced = false;
        for (size_t j = 0; j < n; j++)
            replaced |= strlen(fields[j].name) == f->name_len &&
                        strncasecmp(fields[j].name, f->name, f->name_len) == 0;
        good = replaced || policy_add(after, f->name, f->name_len, f->value, f->value_len) == 0;
    }
    for (size_t j = 0; good && j < n; j++)
        good = policy_add(after, fields[j].name, strlen(fields[j].name), fields[j].value,
                          strlen(fields[j].value)) == 0;
    if (!good)
        no_memory();
    return after;
}

bool use_locks_out(const struct use_search *s, const struct ctl_policies *policies,
                   const struct use_field *fields, size_t n) {
    struct policy_set set = policies->set;
    struct policy *after = with_fields(policies, fields, n);
    struct why why;
    set.policies[policies->own] = after;
    bool locked = guard_policy(s->ctl->config, &policies->set, &set, s->ctl->now, &why);
    policy_free(after);
    return locked;
}

/*
 * Does the record tell how the account has come in since `from`? Not when nobody came in, when it
 * is younger, or when what was used since then may have made room: then `lines`, the youngest
 * first, end after it.
 */
static bool is_known(const struct use_search *s, const struct ctl_use *use, int64_t from) {
    if (s->everybody.since > from || use->n == 0 || use->lines[0].last < from)
        return false;
    if (use->n >= USE_FIELDS_MAX && use->lines[use->n - 1].last >= from)
        return false;
    for (size_t i = 0; i < use->n; i++)
        if (use->lines[i].first <= from)
            return true;
    return false;
}

/* Each is tried on top of those before. */
void use_closable(const struct use_search *s, const struct ctl_policies *policies,
                  const struct ctl_use *use, int64_t from, json_t *rows) {
    bool known = is_known(s, use, from);
    struct use_field *off = xcalloc(json_array_size(rows), sizeof *off);
    size_t n = 0, i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        bool closes = known && json_array_size(json_object_get(row, "not_recorded")) == 0;
        if (closes) {
            const char *protocol = json_string_value(json_object_get(row, "protocol"));
            off[n++] = (struct use_field){xasprintf("protocol:%s", protocol), "off"};
            closes = !use_locks_out(s, policies, off, n);
            if (!closes)
                free((void *)off[--n].name);
        }
        json_object_set_new(row, "close", json_boolean(closes));
    }
    while (n > 0)
        free((void *)off[--n].name);
    free(off);
}
