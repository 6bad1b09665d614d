/*
 * The counting of a replay. Owns how much of it is kept.
 */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#define uthash_fatal(message) no_memory()
#include <uthash.h>

/* Finds a row by account and change. */
struct tally_index {
    size_t row;
    UT_hash_handle hh;
    size_t key_len;
    char key[];
};

/* Whom a verdict is about: the account; at connect nobody has said. */
static const char *whom(const struct past *past) {
    if (past->account != NULL)
        return past->account;
    return past->stage == STAGE_CONNECT ? "" : "<>";
}

/* The key of a row: the change in six octets, and the account. */
static struct tally_index *new_index(const char *account, const struct change_of *change) {
    const char head[] = {(char)change->from.kind,    (char)change->from.reason,
                         (char)change->from.monitor, (char)change->to.kind,
                         (char)change->to.reason,    (char)change->to.monitor};
    size_t len = strlen(account);
    struct tally_index *index = xmalloc(sizeof *index + sizeof head + len);
    memcpy(index->key, head, sizeof head);
    memcpy(index->key + sizeof head, account, len);
    index->key_len = sizeof head + len;
    return index;
}

static void count_row(struct tally *tally, const char *account, const struct change_of *change) {
    struct tally_index *index = new_index(account, change), *found;
    HASH_FIND(hh, tally->index, index->key, index->key_len, found);
    if (found != NULL || tally->n_rows == TALLY_ROWS_MAX) {
        free(index);
        if (found != NULL)
            tally->rows[found->row].count++;
        else
            tally->left_out++;
        return;
    }
    tally->rows = xgrow(tally->rows, tally->n_rows, &tally->room, sizeof *tally->rows);
    index->row = tally->n_rows++;
    HASH_ADD_KEYPTR(hh, tally->index, index->key, index->key_len, index);
    tally->rows[index->row] =
        (struct tally_row){.account = xstrdup(account), .change = *change, .count = 1};
}

static void keep_example(struct examples *examples, const struct place *place,
                         const struct change_of *change) {
    char client[IP_TEXT_SIZE];
    if (examples->count++ >= EXAMPLES)
        return;
    const struct past *past = place->past;
    ip_format(&past->client, client);
    examples->items[examples->count - 1] = (struct example){
        .file = place->file == NULL ? NULL : xstrdup(place->file),
        .line = place->line,
        .account = xstrdup(whom(past)),
        .client = client[0] == '\0' ? NULL : xstrdup(client),
        .service = past->service == NULL ? NULL : xstrdup(past->service),
        .change = *change,
    };
}

void tally_change(struct tally *tally, const struct place *place, const struct change_of *change) {
    keep_example(&tally->changed, place, change);
    count_row(tally, whom(place->past), change);
}

void tally_since(struct tally *tally, const struct place *place, const struct change_of *change) {
    keep_example(&tally->since, place, change);
}

unsigned long tally_unsaid(const struct tally *tally) {
    unsigned long n = 0;
    for (size_t i = 0; i < UNSAIDS; i++)
        n += tally->unsaid[i];
    return n;
}

static int compare_outcomes(const struct outcome *x, const struct outcome *y) {
    if (x->kind != y->kind)
        return (int)x->kind - (int)y->kind;
    return x->reason != y->reason ? (int)x->reason - (int)y->reason
                                  : (int)x->monitor - (int)y->monitor;
}

static int compare_accounts(const void *a, const void *b) {
    const struct tally_row *x = a, *y = b;
    int order = strcmp(x->account, y->account);
    if (order == 0)
        order = compare_outcomes(&x->change.to, &y->change.to);
    return order != 0 ? order : compare_outcomes(&x->change.from, &y->change.from);
}

static int compare_rows(const void *a, const void *b) {
    const struct tally_row *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return compare_accounts(a, b);
}

static void index_clear(struct tally *tally) {
    struct tally_index *index, *next;
    HASH_ITER(hh, tally->index, index, next) {
        HASH_DEL(tally->index, index);
        free(index);
    }
}

void tally_sort(struct tally *tally) {
    index_clear(tally); /* rows are no longer where it says */
    if (tally->n_rows > 1)
        qsort(tally->rows, tally->n_rows, sizeof *tally->rows, compare_accounts);
    for (size_t i = 0; i < tally->n_rows; i++)
        tally->n_accounts +=
            i == 0 || strcmp(tally->rows[i - 1].account, tally->rows[i].account) != 0;
    if (tally->n_rows > 1)
        qsort(tally->rows, tally->n_rows, sizeof *tally->rows, compare_rows);
}

static void examples_clear(struct examples *examples) {
    for (size_t i = 0; i < EXAMPLES && i < examples->count; i++) {
        free(examples->items[i].file);
        free(examples->items[i].account);
        free(examples->items[i].client);
        free(examples->items[i].service);
    }
}

void tally_clear(struct tally *tally) {
    index_clear(tally);
    for (size_t i = 0; i < tally->n_rows; i++)
        free(tally->rows[i].account);
    free(tally->rows);
    examples_clear(&tally->changed);
    examples_clear(&tally->since);
    *tally = (struct tally){0};
}
