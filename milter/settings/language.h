/*
 * Which language a reader prefers: Accept-Language, RFC 9110 12.5.4, by lookup (RFC 4647 3.4).
 * Pure; any thread.
 */
#ifndef GATEPOST_SETTINGS_LANGUAGE_H
#define GATEPOST_SETTINGS_LANGUAGE_H

#include <stddef.h>

/*
 * The index of the offered language that is preferred; of those preferred alike the one that is
 * named first. `offered` are primary subtags in lower case ("de"), which answer to "de-AT" too.
 * 0, the default, for NULL, and where no offered language is wanted: a page in it is better than
 * none. What is no language range is skipped.
 */
size_t language_choose(const char *accept_language, const char *const *offered, size_t n);

#endif
