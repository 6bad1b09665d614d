/*
 * The policy file: facts as text, one `SUBJECT FIELD VALUE` a line.
 *
 * A file is read whole or not at all. What has been read never changes and may be asked by any
 * number of threads.
 */
#ifndef GATEPOST_POLICY_FILE_H
#define GATEPOST_POLICY_FILE_H

#include <stdio.h>

#include "gatepost/store.h"

struct policy_file;

/*
 * Reads `stream`; `path` is for messages. Returns the facts, owned by the caller, or NULL with
 * "PATH:LINE: reason" in `why`.
 */
struct policy_file *policy_file_read(const char *path, FILE *stream, char *why, size_t why_size);
void policy_file_free(struct policy_file *file);

/* The fields of a subject, `*n` of them, owned by the file; NULL when it is not there. */
const struct store_field *policy_file_subject(const struct policy_file *file, const char *subject,
                                              size_t *n);

#endif
