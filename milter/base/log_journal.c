/*
 * The journal of systemd. The only file that logs by libsystemd; owns the fields that every line
 * has. libsystemd says nothing of a journal that is not there, so that this is looked at first:
 * a line that nobody takes must be counted.
 */
#include "log_journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* Where libsystemd sends to. */
#define SOCKET "/run/systemd/journal/socket"

/* Fields of a line and our own. */
#define FIELDS_MAX 40

static void add(struct iovec *fields, int *n, const char *text, size_t len) {
    if (*n < FIELDS_MAX)
        fields[(*n)++] = (struct iovec){(void *)text, len};
}

enum log_sink_result log_journal_put(const struct log_line *line) {
    static const char identifier[] = "SYSLOG_IDENTIFIER=gatepost", facility[] = "SYSLOG_FACILITY=2";
    char message[LOG_LINE_MAX + 16], priority[20];
    struct iovec fields[FIELDS_MAX];
    int n = 0;
    int len = snprintf(message, sizeof message, "MESSAGE=%.*s", (int)line->len - 1, line->text);
    add(fields, &n, message, (size_t)len);
    len = snprintf(priority, sizeof priority, "PRIORITY=%d", line->priority);
    add(fields, &n, priority, (size_t)len);
    add(fields, &n, identifier, sizeof identifier - 1);
    add(fields, &n, facility, sizeof facility - 1); /* LOG_MAIL */
    for (size_t at = 0; at < line->fields_len; at += strlen(line->fields + at) + 1)
        add(fields, &n, line->fields + at, strlen(line->fields + at));
    if (access(SOCKET, F_OK) != 0)
        return LOG_SINK_FULL;
    int rc = sd_journal_sendv(fields, n);
    return rc == 0                            ? LOG_SINK_WRITTEN
           : rc == -EINVAL || rc == -EMSGSIZE ? LOG_SINK_NEVER
                                              : LOG_SINK_FULL;
}

bool log_has_journal(void) {
    return true;
}

int log_try_journal(struct why *why) {
    return access(SOCKET, F_OK) == 0
               ? 0
               : why_set(why, "there is no journal on this host: %s: %s", SOCKET, strerror(errno));
}
#else
enum log_sink_result log_journal_put(const struct log_line *line) {
    (void)line;
    return LOG_SINK_NEVER;
}

bool log_has_journal(void) {
    return false;
}

int log_try_journal(struct why *why) {
    return why_set(why, "built without libsystemd");
}
#endif
