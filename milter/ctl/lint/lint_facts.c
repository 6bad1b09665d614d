/*
 * What `lint` finds within one subject. Owns the kinds of findings about facts and addresses; what
 * is malformed is fact_check.c's and policy.c's to say.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/timestamp.h"
#include "lint.h"

static const char *const kinds[FACT_KINDS] = {
    [FACT_UNKNOWN_FIELD] = "unknown-field", [FACT_UNKNOWN_PROTOCOL] = "unknown-protocol",
    [FACT_MALFORMED] = "malformed",         [FACT_SPELLING] = "spelling",
    [FACT_NO_EFFECT] = "unreachable",       [FACT_HOST_BITS] = "host-bits",
};

/* Each fact may be good on its own while another spelling of its field says something else. */
static void lint_contradictions(struct lint *lint, const char *subject,
                                const struct policy *policy) {
    for (size_t i = 0; i < policy->n_faults; i++)
        if (policy->faults[i].kind == FAULT_CONTRADICTION)
            lint_found(lint, kinds[FACT_MALFORMED], subject, policy->faults[i].field, "%s",
                       policy->faults[i].why);
}

/* Is it the value that cannot be read? Of an entry that is a note, and wrong only in its until=. */
static bool is_value_wrong(const struct store_field *f, const struct why *why) {
    struct policy_field_key key;
    const struct policy_field *field = policy_field_find(f->name, f->name_len, &key);
    if (field == NULL || field->kind == FIELD_HAS_ENTRIES)
        return strncmp(why->text, "until=", strlen("until=")) == 0;
    return true;
}

void lint_facts(struct lint *lint, const char *subject, const struct store_hash *hash) {
    struct why why;
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        const struct store_text name = {f->name, f->name_len}, value = {f->value, f->value_len};
        enum fact_kind kind = ctl_check(lint->ctl, subject, &name, &value, &why);
        if (kind == FACT_HOST_BITS || (kind == FACT_MALFORMED && is_value_wrong(f, &why)))
            lint_found_value(lint, kinds[kind], subject, f->name, &value, why.text);
        else if (kind != FACT_GOOD)
            lint_found(lint, kinds[kind], subject, f->name, "%s", why.text);
    }
    if (fact_is_network(subject))
        return;
    struct policy *policy = ctl_decode(subject, hash);
    if (policy != NULL)
        lint_contradictions(lint, subject, policy);
    policy_free(policy);
}

/* ---- addresses ---- */

/* Blocks of one subject among each other. */
static void lint_blocks(struct lint *lint, const char *subject, const struct block_index *blocks) {
    for (size_t i = 0; i < blocks->n; i++) {
        const struct block_entry *entry = &blocks->entries[i];
        size_t first = block_index_first_same(blocks, i);
        if (first != i) {
            lint_found(lint, "duplicate", subject, entry->name, "the same as %.100s",
                       blocks->entries[first].name);
            continue;
        }
        const struct block_entry *around =
            block_index_around(blocks, &entry->block, entry->until, false);
        if (around != NULL)
            lint_found(lint, "unreachable", subject, entry->name,
                       "without effect: it lies inside %.100s", around->name);
    }
}

static void lint_inherited(struct lint *lint, const char *subject, const struct block_index *blocks,
                           const char *other, const struct block_index *inherited) {
    for (size_t i = 0; i < blocks->n; i++) {
        const struct block_entry *entry = &blocks->entries[i];
        const struct block_entry *around =
            block_index_around(inherited, &entry->block, entry->until, true);
        if (around != NULL)
            lint_found(lint, "unreachable", subject, entry->name,
                       "without effect: %.300s has %.100s", other, around->name);
    }
}

void lint_addresses(struct lint *lint, const char *subject, const struct policy *policy,
                    const struct lint_heritage *heritage, struct block_index *blocks) {
    for (size_t i = 0; i < policy->n_ips; i++) {
        const struct ip_entry *entry = &policy->ips[i];
        char ended[TIMESTAMP_SIZE];
        if (entry->malformed)
            continue;
        if (!policy_ip_counts(entry, lint->ctl->now))
            lint_found(lint, "expired", subject, entry->field, "expired on %s",
                       timestamp_format(entry->until, ended));
        else
            block_index_add(blocks, &entry->block, entry->until, entry->field);
    }
    block_index_build(blocks);
    lint_blocks(lint, subject, blocks);
    for (size_t i = 0; i < heritage->n; i++)
        lint_inherited(lint, subject, blocks, heritage->from[i].subject, heritage->from[i].blocks);
}

void lint_members(struct lint *lint, const char *subject, const struct store_hash *hash) {
    struct block_index blocks = {0};
    for (size_t i = 0; i < hash->n; i++) {
        struct netblock block;
        struct why why;
        if (netblock_parse(hash->fields[i].name, hash->fields[i].name_len, &block, &why) == 0)
            block_index_add(&blocks, &block, 0, hash->fields[i].name);
    }
    block_index_build(&blocks);
    lint_blocks(lint, subject, &blocks);
    block_index_clear(&blocks);
}
