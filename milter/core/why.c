/*
 * Reasons. Owns nothing but how they are written.
 */
#include "gatepost/core/why.h"

#include <stdarg.h>
#include <stdio.h>

int why_set(struct why *why, const char *format, ...) {
    va_list args;
    va_start(args, format);
    /* cppcheck-suppress ctuuninitvar; it is written here */
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return -1;
}
