/*
 * From what is there and what is wanted to what must change. Owns when two spellings are one
 * field; neither checks nor writes.
 */
#include "gatepost/write/plan.h"

#include <stdlib.h>
#include <string.h>

/* by default uthash ends the process when memory runs out */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gatepost/write/fact_name.h"

void plan_clear(struct change_plan *plan) {
    free(plan->changes);
    *plan = (struct change_plan){0};
}

static int add(struct change_plan *plan, struct store_text field, struct store_text old,
               struct store_text new_value) {
    if (plan->n == plan->room) {
        size_t room = plan->room == 0 ? 8 : plan->room * 2;
        struct store_change *grown = realloc(plan->changes, room * sizeof *grown);
        if (grown == NULL)
            return -1;
        plan->changes = grown;
        plan->room = room;
    }
    plan->changes[plan->n++] = (struct store_change){field, old, new_value};
    return 0;
}

static bool equal(const char *a, size_t a_len, const char *b, size_t b_len) {
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* Fields by name, so that much against much is not compared one by one. */
struct entry {
    const struct store_field *there;
    const struct wanted_fact *wanted;
    UT_hash_handle hh;
};

struct lookup_table {
    struct entry *entries, *by_name;
    size_t n;
};

static void table_free(struct lookup_table *table) {
    HASH_CLEAR(hh, table->by_name);
    free(table->entries);
}

static struct entry *table_find(const struct lookup_table *table, const char *name, size_t len) {
    struct entry *found;
    HASH_FIND(hh, table->by_name, name, len, found);
    return found;
}

static int table_add(struct lookup_table *table, const char *name, size_t len,
                     const struct store_field *there, const struct wanted_fact *wanted) {
    struct entry *entry = &table->entries[table->n++];
    *entry = (struct entry){.there = there, .wanted = wanted};
    HASH_ADD_KEYPTR(hh, table->by_name, name, len, entry);
    return entry->hh.tbl == NULL ? -1 : 0;
}

/* Few wanted fields are compared with all that are there: another spelling may be among them. */
static const struct wanted_fact *wanted_as(bool network, const struct store_field *field,
                                           const struct wanted_fact *wanted, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (fact_is_same(network, field->name, field->name_len, wanted[i].field,
                         strlen(wanted[i].field)))
            return &wanted[i];
    return NULL;
}

/* Many entries are compared by name only; of settings there are never many. */
#define FEW 16

static int plan_there(struct change_plan *plan, bool network, const struct store_field *field,
                      const struct wanted_fact *wanted, size_t n,
                      const struct lookup_table *by_wanted, bool only) {
    const struct store_text name = {field->name, field->name_len}, absent = {NULL, 0};
    const struct store_text old = {field->value, field->value_len};
    const struct entry *found = table_find(by_wanted, field->name, field->name_len);
    const struct wanted_fact *want = found != NULL ? found->wanted : NULL;
    bool few = n <= FEW || !fact_is_entry(network, field->name, field->name_len);
    bool respelt = want == NULL && few && wanted_as(network, field, wanted, n) != NULL;
    if (want == NULL)
        return respelt || only ? add(plan, name, old, absent) : 0;
    if (want->value == NULL)
        return add(plan, name, old, absent);
    struct store_text new_value = {want->value, strlen(want->value)};
    if (equal(old.text, old.len, new_value.text, new_value.len))
        return 0;
    return add(plan, name, old, new_value);
}

static uint64_t state_after(const struct store_hash *now, const struct change_plan *plan) {
    uint64_t state = 0;
    size_t left = now->n;
    for (size_t i = 0; i < now->n; i++)
        state += store_state_of(now->fields[i].name, now->fields[i].name_len, now->fields[i].value,
                                now->fields[i].value_len);
    for (size_t i = 0; i < plan->n; i++) {
        const struct store_change *c = &plan->changes[i];
        if (c->old.text != NULL)
            state -= store_state_of(c->field.text, c->field.len, c->old.text, c->old.len);
        if (c->new_value.text != NULL)
            state +=
                store_state_of(c->field.text, c->field.len, c->new_value.text, c->new_value.len);
        left += (size_t)(c->new_value.text != NULL) - (size_t)(c->old.text != NULL);
    }
    return left == 0 ? 0 : state == 0 ? 1 : state;
}

int plan_changes(bool network, const struct store_hash *now, const struct wanted_fact *wanted,
                 size_t n, bool only, struct change_plan *out) {
    struct lookup_table there = {0}, by_wanted = {0};
    *out = (struct change_plan){0};
    there.entries = calloc(now->n + 1, sizeof *there.entries);
    by_wanted.entries = calloc(n + 1, sizeof *by_wanted.entries);
    int rc = there.entries == NULL || by_wanted.entries == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < now->n; i++)
        rc = table_add(&there, now->fields[i].name, now->fields[i].name_len, &now->fields[i], NULL);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (table_find(&by_wanted, wanted[i].field, strlen(wanted[i].field)) == NULL)
            rc = table_add(&by_wanted, wanted[i].field, strlen(wanted[i].field), NULL, &wanted[i]);
    for (size_t i = 0; rc == 0 && i < now->n; i++)
        rc = plan_there(out, network, &now->fields[i], wanted, n, &by_wanted, only);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct store_text field = {wanted[i].field, strlen(wanted[i].field)};
        if (wanted[i].value != NULL && table_find(&there, field.text, field.len) == NULL &&
            table_find(&by_wanted, field.text, field.len)->wanted == &wanted[i])
            rc = add(out, field, (struct store_text){NULL, 0},
                     (struct store_text){wanted[i].value, strlen(wanted[i].value)});
    }
    table_free(&there);
    table_free(&by_wanted);
    if (rc == 0)
        out->state = state_after(now, out);
    else
        plan_clear(out);
    return rc;
}

struct policy *plan_policy(const char *subject, const struct store_hash *now,
                           const struct change_plan *plan, bool *gone) {
    struct lookup_table changed = {0};
    struct policy *policy = policy_new_of(subject);
    size_t fields = 0;
    changed.entries = calloc(plan->n + 1, sizeof *changed.entries);
    int rc = policy == NULL || changed.entries == NULL ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < plan->n; i++) {
        const struct store_change *c = &plan->changes[i];
        rc = table_add(&changed, c->field.text, c->field.len, NULL, NULL);
        if (rc == 0 && c->new_value.text != NULL) {
            rc = policy_add(policy, c->field.text, c->field.len, c->new_value.text,
                            c->new_value.len);
            fields++;
        }
    }
    for (size_t i = 0; rc == 0 && i < now->n; i++) {
        const struct store_field *f = &now->fields[i];
        if (table_find(&changed, f->name, f->name_len) != NULL)
            continue;
        rc = policy_add(policy, f->name, f->name_len, f->value, f->value_len);
        fields++;
    }
    table_free(&changed);
    *gone = rc == 0 && fields == 0;
    if (rc == 0 && fields > 0)
        return policy;
    policy_free(policy);
    return NULL;
}
