/*
 * The end of memory is the end of gatepostctl. Owns how it ends then; locks and files that are
 * open go with the process, and no write is half done.
 */
#include "memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ctl.h"

static bool json;

void memory_begin(void) {
    json_set_alloc_funcs(xmalloc, free);
}

void memory_tell_json(void) {
    json = true;
}

void no_memory(void) {
    fputs("gatepostctl: no memory\n", stderr);
    if (json)
        printf("{\"error\": \"no memory\", \"exit\": %d}\n", CTL_FAILED);
    fflush(stdout);
    _Exit(CTL_FAILED);
}

static void *checked(void *memory) {
    if (memory == NULL)
        no_memory();
    return memory;
}

void *xmalloc(size_t size) {
    return checked(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t n, size_t size) {
    return checked(calloc(n > 0 ? n : 1, size));
}

char *xstrdup(const char *text) {
    return checked(strdup(text));
}

char *xstrndup(const char *text, size_t len) {
    return checked(strndup(text, len));
}

char *xasprintf(const char *format, ...) {
    char *text;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return checked(len < 0 ? NULL : text);
}

void *xgrow(void *items, size_t n, size_t *room, size_t size) {
    if (n < *room)
        return items;
    size_t wanted = *room == 0 ? 16 : *room * 2;
    if (wanted > SIZE_MAX / size)
        no_memory();
    items = checked(realloc(items, wanted * size));
    *room = wanted;
    return items;
}
