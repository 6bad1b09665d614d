/*
 * The policy file: facts as text, one `SUBJECT FIELD VALUE` a line.
 *
 * A file is read whole or not at all. What has been read never changes and may be asked by any
 * number of threads; what is made of it is kept with it.
 */
#ifndef GATEPOST_STORE_FILE_TABLE_H
#define GATEPOST_STORE_FILE_TABLE_H

#include <stdio.h>

#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

struct policy_table;

/*
 * Reads `stream`; `path` is for messages. Returns the facts, owned by the caller, or NULL with
 * "PATH:LINE: reason" in `why`.
 */
struct policy_table *policy_table_read(const char *path, FILE *stream, struct why *why);
void policy_table_free(struct policy_table *file);

/* The fields of a subject, `*n` of them, owned by the file; NULL when it is not there. */
const struct store_field *policy_table_subject(const struct policy_table *file, const char *subject,
                                               size_t *n);

/* As STORE_TOO_LARGE. */
bool policy_table_is_too_large(const struct policy_table *file, const char *subject);

/*
 * What the maker makes of a subject, or of one that is absent, with a reference of the caller's;
 * NULL when there is no memory. Made once of each subject, and kept as long as the file: always
 * with the same maker.
 */
void *policy_table_make(struct policy_table *file, const char *subject,
                        const struct store_maker *maker);

#endif
