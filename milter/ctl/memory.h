/*
 * Memory for gatepostctl, which ends when there is none: none of these returns NULL. Not for what
 * the filter runs too.
 */
#ifndef GATEPOST_CTL_MEMORY_H
#define GATEPOST_CTL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size); /* zeros; n may be 0 */
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Room for one more than `n` items of `size` octets in an array that has *room; `items` may be
 * NULL. Returns the array, which may have moved.
 */
void *xgrow(void *items, size_t n, size_t *room, size_t size);

/* JSON's memory too: from here on no value of it is NULL for want of memory. */
void memory_begin(void);

/* Says "no memory", with memory_tell_json() as JSON too, and ends with CTL_FAILED. */
void no_memory(void) __attribute__((noreturn));
void memory_tell_json(void);

#endif
