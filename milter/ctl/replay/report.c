/*
 * What a replay tells, as text of 80 columns and as JSON. Owns nothing but the words.
 */
#include <stdio.h>
#include <string.h>

#include "../print.h"
#include "replay.h"

/* Rows that are listed in the text; JSON has them all. */
#define SHOWN 20

static size_t kept(const struct examples *examples) {
    return examples->count < EXAMPLES ? examples->count : EXAMPLES;
}

/* ---- text ---- */

/* "accept", "reject spf", "accept (would reject spf)" */
static void put_outcome(const struct outcome *outcome) {
    bool accepted = outcome->kind == VERDICT_ACCEPT, monitored = outcome->monitor && !accepted;
    printf("%s%s", monitored ? "accept (would " : "", verdict_name(outcome->kind));
    if (!accepted)
        printf(" %s%s", reason_name(outcome->reason), monitored ? ")" : "");
}

static void put_change(const struct change_of *change) {
    put_outcome(&change->from);
    fputs(" -> ", stdout);
    put_outcome(&change->to);
    putchar('\n');
}

/* At connect there is no account. */
static void put_account(const char *account, int width) {
    ctl_put_column(stdout, account[0] == '\0' ? "(at connect)" : account, width);
}

static void put_rows(const struct tally *tally) {
    size_t shown = tally->n_rows < SHOWN ? tally->n_rows : SHOWN;
    puts("\nVERDICTS  ACCOUNT                       CHANGE");
    for (size_t i = 0; i < shown; i++) {
        const struct tally_row *row = &tally->rows[i];
        printf("%8lu  ", row->count);
        put_account(row->account, 28);
        fputs("  ", stdout);
        put_change(&row->change);
    }
    if (shown < tally->n_rows)
        printf("          and %zu more%s (--json lists them)\n", tally->n_rows - shown,
               tally->left_out > 0 ? " that were counted" : "");
}

static void put_examples(const struct examples *examples) {
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
        printf(", from %s\n    ", e->client == NULL ? "an unknown address" : e->client);
        put_change(&e->change);
    }
}

static const char *verdicts(unsigned long n) {
    return n == 1 ? "verdict" : "verdicts";
}

static void print_text(const struct tally *tally, bool against_log) {
    unsigned long unsaid = tally_unsaid(tally), told = tally->verdicts - unsaid;
    if (tally->changed.count == 0)
        printf("%lu %s: none would change\n", told, verdicts(told));
    else
        printf("%lu of %lu %s would change\n", tally->changed.count, told, verdicts(told));
    if (tally->changed.count > 0) {
        put_rows(tally);
        puts("\nThe first:");
        put_examples(&tally->changed);
    }
    if (tally->other_reason > 0)
        printf("\n%lu would stay, for another reason\n", tally->other_reason);
    if (unsaid > 0)
        printf("\n%lu more cannot be told:\n", unsaid);
    for (size_t i = 0; i < UNSAIDS; i++)
        if (tally->unsaid[i] > 0)
            printf("%8lu  %s\n", tally->unsaid[i], unsaid_text((enum unsaid)i));
    if (!against_log && tally->since.count > 0) {
        printf("\nThe policy has changed since: %lu %s already other than in the log, as\n",
               tally->since.count, tally->since.count == 1 ? "is" : "are");
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
