/*
 * Octets of strangers as JSON strings, by jansson.
 */
#ifndef GATEPOST_BASE_JSON_TEXT_H
#define GATEPOST_BASE_JSON_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/*
 * A JSON string of `len` octets; an octet that is no UTF-8 becomes U+00HH, since JSON knows no
 * octets. NULL gives null. Returns a new reference, or NULL when there is no memory.
 */
json_t *json_octets(const char *text, size_t len);
json_t *json_text(const char *text);

/*
 * json_dumpf(), but what utf8_is_deceptive() is written as \uHHHH, so that a terminal or a pager
 * may show it. Returns 0, or -1 when it could not be written.
 */
int json_put(const json_t *value, FILE *to, size_t flags);

/*
 * As json_dumps(), but of malloc(3) whatever jansson allocates with; to be freed by free(3). NULL
 * when there is no memory, or no value.
 */
char *json_dump_malloc(const json_t *value, size_t flags);

/*
 * From now on what jansson frees is wiped, since passwords come as JSON. Before anything is made by
 * it.
 */
void json_wipe_freed(void);

#endif
