/*
 * The lines of several logs. Owns the open file, and that a line of any length costs no memory.
 */
#include "log_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/line.h"

/* By gzip or xz, as logs are when they are rotated: their first octet begins no line of text. */
static bool is_compressed(FILE *file) {
    int first = getc(file);
    if (first != EOF)
        ungetc(first, file);
    return first == 0x1f || first == 0xfd;
}

/* 1 when there is a file, 0 when there is none left, -1 with the reason. */
static int open_next(struct log_files *files, struct why *why) {
    int n = files->n == 0 ? 1 : files->n;
    if (files->next == n)
        return 0;
    files->name = files->n == 0 ? "-" : files->names[files->next];
    files->next++;
    files->number = 0;
    if (strcmp(files->name, "-") == 0) {
        files->name = NULL;
        files->file = stdin;
    } else {
        files->file = fopen(files->name, "re");
    }
    const char *shown = files->name == NULL ? "standard input" : files->name;
    if (files->file == NULL)
        return why_set(why, "%s: %s", shown, strerror(errno));
    if (is_compressed(files->file))
        return why_set(why, "%s is compressed: zcat %s | gatepostctl replay", shown,
                       files->name == NULL ? "FILE" : files->name);
    return 1;
}

static void close_file(struct log_files *files) {
    if (files->file != NULL && files->file != stdin)
        fclose(files->file);
    files->file = NULL;
}

static void skip_line(FILE *file) {
    int c;
    do {
        c = getc_unlocked(file); /* of one thread */
    } while (c != EOF && c != '\n');
}

ssize_t log_files_next(struct log_files *files, struct why *why) {
    for (;;) {
        if (files->file == NULL) {
            int rc = open_next(files, why);
            if (rc <= 0)
                return rc == 0 ? LOG_FILES_END : LOG_FILES_FAILED;
        }
        ssize_t len = line_read(files->file, &files->line, &files->room);
        files->number++;
        if (len >= 0)
            return len;
        if (len == LINE_TOO_LONG) {
            skip_line(files->file);
            return LOG_FILES_TOO_LONG;
        }
        if (!feof(files->file)) {
            why_set(why, "%s: %s", files->name == NULL ? "standard input" : files->name,
                    strerror(errno));
            return LOG_FILES_FAILED;
        }
        close_file(files);
    }
}

void log_files_close(struct log_files *files) {
    close_file(files);
    free(files->line);
    files->line = NULL;
}
