/*
 * The lines of several logs, one after another, each with its number.
 */
#ifndef GATEPOST_CTL_REPLAY_LOG_FILES_H
#define GATEPOST_CTL_REPLAY_LOG_FILES_H

#include <stdio.h>

#include "gatepost/core/why.h"

/* Begins with the names, "-" being standard input, and with none of them: that alone. */
struct log_files {
    char *const *names;
    int n;
    /* the line that was read last */
    const char *name; /* of its file; NULL: standard input */
    unsigned long number;
    char *line;
    /* private */
    FILE *file;
    int next;
    size_t room;
};

enum { LOG_FILES_END = -1, LOG_FILES_FAILED = -2, LOG_FILES_TOO_LONG = -3 };

/*
 * Reads the next line into `line`; returns its length, NULs included, or one of the above:
 * TOO_LONG for one that is longer than LINE_LONGEST, which is skipped; FAILED with the reason.
 */
ssize_t log_files_next(struct log_files *files, struct why *why);

void log_files_close(struct log_files *files);

#endif
