/*
 * Files that the configuration names. What is no regular file could keep its reader waiting for
 * ever, such as a FIFO that nobody writes to: it is refused.
 */
#ifndef GATEPOST_BASE_REGULAR_FILE_H
#define GATEPOST_BASE_REGULAR_FILE_H

#include <stdio.h>
#include <sys/stat.h>

#include "gatepost/core/why.h"

/*
 * Opens the file to read it, without waiting. Returns a stream to be closed, and the state of the
 * file in *state unless that is NULL; or NULL with "PATH: REASON" in `why`. Any thread.
 */
FILE *regular_file_open(const char *path, struct stat *state, struct why *why);

#endif
