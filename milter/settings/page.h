/*
 * The user's page: a few files that are part of the program, see page/. The text of the page comes
 * from a catalogue for each language, and each language is made once, at the start.
 *
 * What is here is the same for everybody and holds no secret. After page_open() nothing changes:
 * any number of threads may ask.
 */
#ifndef GATEPOST_SETTINGS_PAGE_H
#define GATEPOST_SETTINGS_PAGE_H

#include <stddef.h>

#include "gatepost/core/why.h"

struct page;

/* A file as it is sent; its texts last until page_free(). */
struct page_file {
    const char *body;
    size_t len;
    const char *type;     /* Content-Type */
    const char *language; /* Content-Language, chosen by Accept-Language; NULL: there is one only */
};

/* Returns 0 and the page, to be freed by the caller, or -1 with the reason. */
int page_open(struct page **out, struct why *why);
void page_free(struct page *page);

/*
 * The file at that path of the page: "/", "/page.css", ... `accept_language` is the value of the
 * field, fields that come twice joined by commas; NULL for none. Returns 1, or 0 where there is no
 * such file.
 */
int page_find(const struct page *page, const char *path, const char *accept_language,
              struct page_file *out);

#endif
