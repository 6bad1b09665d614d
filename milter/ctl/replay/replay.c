/*
 * `replay`: what would another policy have said to yesterday's mail? Owns which policies are
 * compared and what counts as a change. The log is read by verdict_line.c and past.c, a verdict is
 * found by side_judge.c.
 */
#include "replay.h"

#include <stdlib.h>

#include "../print.h"
#include "log_files.h"
#include "side.h"

/* How long a policy holds that was read, and how long the store may take: milliseconds. */
#define FOR_ALL_TIME (INT64_MAX / 4)
#define PATIENCE 5000
#define POLICIES_KEPT 100000

/* A line is judged by `today`, and with `trying` by `then` too. */
struct replay {
    struct side today, then;
    bool trying;
    int64_t now;
    struct tally tally;
};

/* What there is to compare: the log and today's policy, or that and another one. */
static void compare(struct replay *r, const struct place *place, const struct outcome *today,
                    const struct outcome *then) {
    const struct outcome *logged = &place->past->outcome;
    const struct change_of since = {*logged, *today};
    const struct change_of change = r->trying ? (struct change_of){*today, *then} : since;
    if (!outcome_is_same(&change.from, &change.to))
        tally_change(&r->tally, place, &change);
    else
        r->tally.other_reason += change.from.reason != change.to.reason;
    if (r->trying && !outcome_is_same(&since.from, &since.to))
        tally_since(&r->tally, place, &since);
}

/* Returns 0, or -1 with the reason when the policy could not be read. */
static int replay_past(struct replay *r, const struct place *place, struct why *why) {
    struct outcome today, then;
    int unsaid = side_judge(&r->today, place->past, r->now, &today, why);
    if (unsaid == UNSAID_NOT && r->trying)
        unsaid = side_judge(&r->then, place->past, r->now, &then, why);
    if (unsaid < 0)
        return -1;
    if (unsaid == UNSAID_NOT)
        compare(r, place, &today, &then);
    else
        r->tally.unsaid[unsaid]++;
    return 0;
}

static int replay_line(struct replay *r, const struct log_files *files, struct verdict_line *line,
                       size_t len, struct why *why) {
    struct past past;
    const struct place place = {files->name, files->number, &past};
    enum line_kind kind = verdict_line_take(line, files->line, len);
    if (kind == LINE_OTHER)
        return 0;
    r->tally.verdicts++;
    enum unsaid unsaid = kind == LINE_DAMAGED ? UNSAID_DAMAGED : past_read(line, &past);
    if (unsaid == UNSAID_NOT)
        return replay_past(r, &place, why);
    r->tally.unsaid[unsaid]++;
    return 0;
}

static int replay_files(struct replay *r, struct log_files *files, struct why *why) {
    struct verdict_line line = {0};
    struct ctl_progress progress;
    ssize_t len;
    int rc = 0;
    ctl_progress_begin(&progress, "replay: lines", 0);
    while (rc == 0 && (len = log_files_next(files, why)) != LOG_FILES_END) {
        if (len == LOG_FILES_FAILED) {
            rc = -1;
        } else if (len == LOG_FILES_TOO_LONG) {
            r->tally.verdicts++; /* it may have been one */
            r->tally.unsaid[UNSAID_LONG]++;
        } else {
            rc = replay_line(r, files, &line, (size_t)len, why);
        }
        if (++r->tally.lines % 1024 == 0 && progress.terminal)
            ctl_progress_tell(&progress, r->tally.lines);
    }
    ctl_progress_end(&progress);
    verdict_line_clear(&line);
    return rc;
}

static int open_sides(struct ctl *ctl, struct replay *r) {
    int status = side_open(ctl, NULL, &r->today);
    if (status == CTL_DONE && ctl->policy != NULL)
        status = side_open(ctl, ctl->policy, &r->then);
    else if (status == CTL_DONE && r->trying)
        status = side_open_on(ctl, &r->today, &r->then);
    for (size_t i = 0; status == CTL_DONE && i < ctl->n_with; i++)
        status = side_change(ctl, &r->then, ctl->with[i]);
    if (status == CTL_DONE)
        status = side_begin(ctl, &r->today);
    if (status == CTL_DONE && r->trying)
        status = side_begin(ctl, &r->then);
    return status;
}

/* The exit status is that of diff(1): 0 the same, 1 another, 2 nobody knows. */
static int replay(const struct ctl *ctl, struct replay *r, struct log_files *files) {
    struct tally *tally = &r->tally;
    struct why why;
    if (replay_files(r, files, &why) != 0)
        return ctl_fail(ctl, "%s", why.text);
    if (tally->verdicts == 0)
        return ctl_fail(ctl, "there is no line with event=verdict among %lu", tally->lines);
    tally_sort(tally);
    replay_report(ctl, tally, !r->trying);
    if (tally->verdicts == tally_unsaid(tally))
        return CTL_FAILED;
    return tally->changed.count > 0 ? CTL_CHANGES : CTL_DONE;
}

int ctl_replay(struct ctl *ctl, int argc, char **argv) {
    struct replay r = {.trying = ctl->policy != NULL || ctl->n_with > 0, .now = ctl->now};
    struct log_files files = {.names = argv, .n = argc};
    struct config *config = ctl->config;
    /* of this process alone: each account's policy is read once */
    config->cache_ttl = FOR_ALL_TIME;
    config->cache_entries = POLICIES_KEPT;
    if (config->store_timeout < PATIENCE)
        config->store_timeout = PATIENCE;
    int status = open_sides(ctl, &r);
    if (status == CTL_DONE)
        status = replay(ctl, &r, &files);
    log_files_close(&files);
    side_close(&r.then);
    side_close(&r.today);
    tally_clear(&r.tally);
    return status;
}
