/*
 * The files of page/ as the build has put them into the program: see embed.sh.
 */
#ifndef GATEPOST_SETTINGS_PAGE_FILES_H
#define GATEPOST_SETTINGS_PAGE_FILES_H

#include <stddef.h>

struct page_source {
    const char *name; /* "page.css"; NULL ends the table */
    const char *text; /* with a NUL behind it, which `len` does not count */
    size_t len;
};

extern const struct page_source page_files[];

#endif
