/*
 * The user's page: owns its pages, one for each language, made of index.html and a catalogue. In
 * index.html, {{NAME}} stands for the catalogue's text of that name, and {{lang}} for the language.
 */
#include "page.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "language.h"
#include "page_files.h"

/* The first is for those who want none of them. */
static const char *const languages[] = {"en", "de", "fr"};
enum { N_LANGUAGES = sizeof languages / sizeof *languages };

struct page {
    char *pages[N_LANGUAGES];
};

static const struct page_source *source_named(const char *name) {
    for (const struct page_source *source = page_files; source->name != NULL; source++) {
        if (strcmp(source->name, name) == 0) {
            return source;
        }
    }
    return NULL;
}

/* ---- making ---- */

/* Writes the text as HTML, also within an attribute's quotes. */
static void write_escaped(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (strchr("&<>\"'", *text) != NULL) {
            fprintf(out, "&#%d;", *text);
        } else {
            fputc(*text, out);
        }
    }
}

/* The text for a place; NULL when the catalogue has none. */
static const char *text_for(const json_t *catalogue, const char *language, const char *name,
                            size_t len) {
    return len == 4 && memcmp(name, "lang", 4) == 0
               ? language
               : json_string_value(json_object_getn(catalogue, name, len));
}

static int fill_places(FILE *out, const char *template, const json_t *catalogue,
                       const char *language, struct why *why) {
    const char *rest = template, *open;
    while ((open = strstr(rest, "{{")) != NULL) {
        const char *name = open + 2, *close = strstr(name, "}}");
        if (close == NULL) {
            return why_set(why, "index.html: a place without its end");
        }
        const char *text = text_for(catalogue, language, name, (size_t)(close - name));
        if (text == NULL) {
            return why_set(why, "%s.json: no text for \"%.*s\"", language, (int)(close - name),
                           name);
        }
        fwrite(rest, 1, (size_t)(open - rest), out);
        write_escaped(out, text);
        rest = close + 2;
    }
    fputs(rest, out);
    return 0;
}

static json_t *read_catalogue(const char *language, struct why *why) {
    char name[16];
    snprintf(name, sizeof name, "%s.json", language);
    const struct page_source *source = source_named(name);
    if (source == NULL) {
        why_set(why, "%s: there is no such catalogue", name);
        return NULL;
    }
    json_error_t error;
    json_t *catalogue = json_loadb(source->text, source->len, JSON_REJECT_DUPLICATES, &error);
    if (catalogue == NULL) {
        why_set(why, "%s: line %d: %s", name, error.line, error.text);
    }
    return catalogue;
}

/* Makes the page of one language; returns 0 and a malloc'd text, or -1. */
static int make_page(const char *language, char **out, struct why *why) {
    const struct page_source *template = source_named("index.html");
    if (template == NULL) {
        return why_set(why, "index.html: there is no such file");
    }
    json_t *catalogue = read_catalogue(language, why);
    if (catalogue == NULL) {
        return -1;
    }
    size_t len;
    int made = -1;
    FILE *stream = open_memstream(out, &len);
    if (stream == NULL) {
        why_set(why, "no memory for the page");
    } else {
        made = fill_places(stream, template->text, catalogue, language, why);
        if (fclose(stream) != 0 && made == 0) {
            made = why_set(why, "no memory for the page");
        }
    }
    json_decref(catalogue);
    return made;
}

int page_open(struct page **out, struct why *why) {
    struct page *page = calloc(1, sizeof *page);
    if (page == NULL) {
        return why_set(why, "no memory for the page");
    }
    for (size_t i = 0; i < N_LANGUAGES; i++) {
        if (make_page(languages[i], &page->pages[i], why) != 0) {
            page_free(page);
            return -1;
        }
    }
    *out = page;
    return 0;
}

void page_free(struct page *page) {
    for (size_t i = 0; page != NULL && i < N_LANGUAGES; i++) {
        free(page->pages[i]);
    }
    free(page);
}

/* ---- finding ---- */

static const char *type_of(const char *name) {
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
    };
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending != NULL && i < sizeof types / sizeof *types; i++) {
        if (strcmp(ending, types[i].ending) == 0) {
            return types[i].type;
        }
    }
    return NULL; /* index.html itself is nobody's */
}

int page_find(const struct page *page, const char *path, const char *accept_language,
              struct page_file *out) {
    if (path[0] != '/') {
        return 0;
    }
    if (path[1] == '\0') {
        size_t i = language_choose(accept_language, languages, N_LANGUAGES);
        *out = (struct page_file){page->pages[i], strlen(page->pages[i]),
                                  "text/html; charset=utf-8", languages[i]};
        return 1;
    }
    const struct page_source *source = source_named(path + 1);
    const char *type = source == NULL ? NULL : type_of(source->name);
    if (type == NULL) {
        return 0;
    }
    *out = (struct page_file){source->text, source->len, type, NULL};
    return 1;
}
