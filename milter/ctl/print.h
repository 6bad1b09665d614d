/*
 * What gatepostctl says: text that a terminal may show, JSON, and the progress of what takes long.
 */
#ifndef GATEPOST_CTL_PRINT_H
#define GATEPOST_CTL_PRINT_H

#include <stdio.h>

#include "ctl.h"
#include "gatepost/base/json_text.h"

/* Prints octets with everything escaped that a terminal would obey; see textbuf_put_visible(). */
void ctl_put(FILE *to, const char *text, size_t len);
void ctl_puts(FILE *to, const char *text);

/* The same, filled up with spaces to `width` columns (characters, one column each). */
void ctl_put_column(FILE *to, const char *text, int width);

/* A word as a shell takes it, quoted where it has to be; malloc'd. */
char *ctl_quote(const char *word);

/*
 * Colours, for a person: only if standard output is a terminal that has them, and the environment
 * does not have NO_COLOR. CTL_PLAIN ends what another one began.
 */
enum ctl_paint { CTL_PLAIN, CTL_TITLE, CTL_GOOD, CTL_ODD, CTL_BAD };
void ctl_paint(FILE *to, enum ctl_paint paint);

/* Is standard output read by a person, on a terminal, and not as JSON? */
bool ctl_is_for_people(const struct ctl *ctl);

/* What stands for an empty result, where a person reads it: a script gets nothing. */
void ctl_say_empty(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Says on standard error why something is refused or has failed, what was put in escaped; with
 * --json also {"error": ..., "exit": ...} on standard output. Both return the exit status.
 */
int ctl_refuse(const struct ctl *ctl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int ctl_fail(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As ctl_fail(), of what the store failed at: names it. Its URL has no password. */
int ctl_fail_store(const struct ctl *ctl, const char *why);

/* A warning or remark on standard error, whatever comes after it. */
void ctl_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a JSON value on a line of its own and drops it; CTL_DONE. */
int ctl_print_json(json_t *value);

/*
 * Progress on standard error: a bar when that is a terminal, else a line a second; nothing for what
 * takes less than a second.
 */
struct ctl_progress {
    const char *what; /* "import" */
    size_t total;     /* 0: not known */
    int64_t began, told;
    bool shown, terminal;
};

void ctl_progress_begin(struct ctl_progress *progress, const char *what, size_t total);
void ctl_progress_tell(struct ctl_progress *progress, size_t done);
void ctl_progress_end(struct ctl_progress *progress);

/* ---- changes: unset and empty are different ---- */

/* Prints "SUBJECT FIELD: OLD -> NEW". */
void ctl_put_change(const char *subject, const struct store_change *change);

/* {"field": ..., "old": ..., "new": ...}; a new reference. */
json_t *ctl_change_json(const struct store_change *change);

#endif
