/*
 * The history of a policy file: FILE.history beside it, one JSON object a line.
 *
 * When it has grown beyond FILE_HISTORY_MAX octets it becomes FILE.history.1, in the place of an
 * older one, and a new one begins.
 */
#ifndef GATEPOST_WRITE_FILE_HISTORY_H
#define GATEPOST_WRITE_FILE_HISTORY_H

#include <sys/stat.h>

#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"

#define FILE_HISTORY_MAX (4 * 1024 * 1024)

/*
 * Appends the entries of `n` edits to the history of `path`, of many the last HISTORY_KEPT; a new
 * file gets owner and mode of `like`. Returns 0, or -1 with the reason.
 */
int file_history_append(const char *path, const struct stat *like, const char *actor,
                        const struct store_edit *edits, size_t n, struct why *why);

/* As store_writer_history(); lines that are no entry are passed over. */
int file_history_walk(const char *path, int64_t since, store_take_history *take, void *context,
                      struct why *why);

#endif
