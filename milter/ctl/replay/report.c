/*
 * What a replay tells, as text of 80 columns and as JSON. Owns nothing but the words.
 */
#include <stdio.h>
#include <string.h>

#include "../print.h"
#include "gatepost/core/textbuf.h"
#include "replay.h"

/* Rows that are listed in the text; JSON has them all. */
#define SHOWN 20

/* Widths of columns. */
#define ACCOUNT 28
#define CHANGE 40

static size_t kept(const struct examples *examples) {
    return examples->count < EXAMPLES ? examples->count : EXAMPLES;
}

/* ---- text ---- */

/* "accept", "reject spf", "accept (would reject spf)" */
static void add_outcome(struct textbuf *to, const struct outcome *outcome) {
    bool accepted = outcome->kind == VERDICT_ACCEPT, monitored = outcome->monitor && !accepted;
    textbuf_printf(to, "%s%s", monitored ? "accept (would " : "", verdict_name(outcome->kind));
    if (!accepted)
        textbuf_printf(to, " %s%s", reason_name(outcome->reason), monitored ? ")" : "");
}

static const char *change_text(const struct change_of *change, char memory[static 200]) {
    struct textbuf text;
    textbuf_init(&text, memory, 200);
    add_outcome(&text, &change->from);
    textbuf_puts(&text, " -> ");
    add_outcome(&text, &change->to);
    return memory;
}

/* At connect there is no account. */
static void put_account(const char *account, int width) {
    ctl_put_column(stdout, account[0] == '\0' ? "(at connect)" : account, width);
}

static void put_rows(const struct tally *tally) {
    char memory[200];
    size_t shown = tally->n_rows < SHOWN ? tally->n_rows : SHOWN;
    puts("\nVERDICTS  ACCOUNT                       CHANGE");
    for (size_t i = 0; i < shown; i++) {
        const struct tally_row *row = &tally->rows[i];
        printf("%8lu  ", row->count);
        const char *change = change_text(&row->change, memory);
        if (strlen(row->account) <= ACCOUNT && strlen(change) <= CHANGE) {
            put_account(row->account, ACCOUNT);
            printf("  %s\n", change);
        } else { /* on a line of its own */
            put_account(row->account, 0);
            printf("\n          %s\n", change);
        }
    }
    if (shown < tally->n_rows)
        printf("          and %zu more%s (--json lists them)\n", tally->n_rows - shown,
               tally->left_out > 0 ? " that were counted" : "");
}

static void put_examples(const struct examples *examples) {
    char memory[200];
    for (size_t i = 0; i < kept(examples); i++) {
        const struct example *e = &examples->items[i];
        if (e->file != NULL)
            ctl_puts(stdout, e->file);
        printf("%s%lu: ", e->file == NULL ? "line " : ":", e->line);
        put_account(e->account, 0);
        if (e->service != NULL) {
            fputs(", ", stdout);
            ctl_puts(stdout, e->service);
        }
        printf(", from %s\n    %s\n", e->client == NULL ? "an unknown address" : e->client,
               change_text(&e->change, memory));
    }
}

static const char *plural(unsigned long n) {
    return n == 1 ? "" : "s";
}

static void put_summary(const struct tally *tally) {
    unsigned long told = tally->verdicts - tally_unsaid(tally);
    bool more = tally->left_out > 0;
    if (tally->changed.count == 0)
        printf("%lu verdict%s: none would change\n", told, plural(told));
    else
        printf("%lu of %lu verdict%s would change, of %s%zu account%s\n", tally->changed.count,
               told, plural(told), more ? "more than " : "", tally->n_accounts,
               plural(tally->n_accounts));
}

static void put_unsaid(const struct tally *tally) {
    printf("\n%lu more cannot be told:\n", tally_unsaid(tally));
    for (size_t i = 0; i < UNSAIDS; i++)
        if (tally->unsaid[i] > 0)
            printf("%8lu  %s\n", tally->unsaid[i], unsaid_text((enum unsaid)i));
}

static void print_text(const struct tally *tally, bool against_log) {
    unsigned long since = against_log ? 0 : tally->since.count;
    put_summary(tally);
    if (tally->changed.count > 0) {
        put_rows(tally);
        puts("\nThe first lines:");
        put_examples(&tally->changed);
    }
    if (tally->other_reason > 0)
        printf("\n%lu would stay, for another reason\n", tally->other_reason);
    if (tally_unsaid(tally) > 0)
        put_unsaid(tally);
    if (since > 0) {
        printf("\n%lu verdict%s already not as in the log: policy or configuration have "
               "changed\nsince. The first lines:\n",
               since, since == 1 ? " is" : "s are");
        put_examples(&tally->since);
    }
}

/* ---- JSON ---- */

static json_t *outcome_json(const struct outcome *outcome) {
    bool monitored = outcome->monitor && outcome->kind != VERDICT_ACCEPT;
    json_t *told = json_object();
    json_object_set_new(told, "verdict",
                        json_text(verdict_name(monitored ? VERDICT_ACCEPT : outcome->kind)));
    json_object_set_new(told, "reason", json_text(reason_name(outcome->reason)));
    json_object_set_new(told, "would", json_text(monitored ? verdict_name(outcome->kind) : NULL));
    return told;
}

static json_t *change_json(const struct change_of *change, const char *account) {
    json_t *told = json_object();
    json_object_set_new(told, "account", json_text(account[0] == '\0' ? NULL : account));
    json_object_set_new(told, "from", outcome_json(&change->from));
    json_object_set_new(told, "to", outcome_json(&change->to));
    return told;
}

static json_t *number_json(unsigned long n) {
    return json_integer((json_int_t)n);
}

static json_t *examples_json(const struct examples *examples) {
    json_t *list = json_array();
    for (size_t i = 0; i < kept(examples); i++) {
        const struct example *e = &examples->items[i];
        json_t *told = change_json(&e->change, e->account);
        json_object_set_new(told, "file", json_text(e->file));
        json_object_set_new(told, "line", number_json(e->line));
        json_object_set_new(told, "client", json_text(e->client));
        json_object_set_new(told, "service", json_text(e->service));
        json_array_append_new(list, told);
    }
    return list;
}

static json_t *rows_json(const struct tally *tally) {
    json_t *list = json_array();
    for (size_t i = 0; i < tally->n_rows; i++) {
        json_t *told = change_json(&tally->rows[i].change, tally->rows[i].account);
        json_object_set_new(told, "verdicts", number_json(tally->rows[i].count));
        json_array_append_new(list, told);
    }
    return list;
}

static void print_json(const struct tally *tally, bool against_log) {
    json_t *told = json_object(), *unsaid = json_object();
    for (size_t i = 0; i < UNSAIDS; i++)
        if (tally->unsaid[i] > 0)
            json_object_set_new(unsaid, unsaid_name((enum unsaid)i), number_json(tally->unsaid[i]));
    json_object_set_new(told, "lines", number_json(tally->lines));
    json_object_set_new(told, "verdicts", number_json(tally->verdicts));
    json_object_set_new(told, "told", number_json(tally->verdicts - tally_unsaid(tally)));
    json_object_set_new(told, "would_change", number_json(tally->changed.count));
    json_object_set_new(told, "accounts", json_integer((json_int_t)tally->n_accounts));
    json_object_set_new(told, "changes", rows_json(tally));
    json_object_set_new(told, "changes_left_out", number_json(tally->left_out));
    json_object_set_new(told, "examples", examples_json(&tally->changed));
    json_object_set_new(told, "other_reason", number_json(tally->other_reason));
    json_object_set_new(told, "cannot_tell", unsaid);
    json_object_set_new(told, "changed_since",
                        against_log ? json_null() : number_json(tally->since.count));
    json_object_set_new(told, "changed_since_examples",
                        against_log ? json_null() : examples_json(&tally->since));
    ctl_print_json(told);
}

void replay_report(const struct ctl *ctl, const struct tally *tally, bool against_log) {
    if (ctl->json)
        print_json(tally, against_log);
    else
        print_text(tally, against_log);
}
