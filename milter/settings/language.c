/*
 * Accept-Language: owns its grammar. Ranges that name a language or one of its regions speak for
 * it;
 * '*' speaks for those that none names, so that "de;q=0, *" is everything but German.
 */
#include "language.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define WHOLE 1000 /* quality 1, in thousandths */

/* An element of the list, its white space removed. */
struct element {
    const char *text;
    size_t len;
};

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static struct element trimmed(const char *text, size_t len) {
    while (len > 0 && is_space(*text)) {
        text++;
        len--;
    }
    while (len > 0 && is_space(text[len - 1])) {
        len--;
    }
    return (struct element){text, len};
}

/* Cuts `rest` before the first `separator`, which goes too; false when nothing is left. */
static bool next_part(struct element *rest, char separator, struct element *out) {
    if (rest->text == NULL) {
        return false;
    }
    const char *end = memchr(rest->text, separator, rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->text);
    *out = trimmed(rest->text, len);
    if (end == NULL) {
        rest->text = NULL;
    } else {
        rest->text += len + 1;
        rest->len -= len + 1;
    }
    return true;
}

/* A qvalue in thousandths, or -1: "0", "1", up to three decimals, not more than 1. */
static int read_quality(struct element value) {
    if (value.len < 1 || value.len > 5 || (value.text[0] != '0' && value.text[0] != '1')) {
        return -1;
    }
    int quality = (value.text[0] - '0') * WHOLE;
    if (value.len > 1 && value.text[1] != '.') {
        return -1;
    }
    int unit = WHOLE / 10;
    for (size_t i = 2; i < value.len; i++, unit /= 10) {
        if (value.text[i] < '0' || value.text[i] > '9') {
            return -1;
        }
        quality += (value.text[i] - '0') * unit;
    }
    return quality > WHOLE ? -1 : quality;
}

/* The range of an element, and its quality; false when it is none. */
static bool read_range(struct element element, struct element *range, int *quality) {
    struct element part;
    *quality = WHOLE;
    if (!next_part(&element, ';', range) || range->len == 0) {
        return false;
    }
    while (next_part(&element, ';', &part)) {
        if (part.len < 2 || (part.text[0] != 'q' && part.text[0] != 'Q') || part.text[1] != '=') {
            return false;
        }
        *quality = read_quality(trimmed(part.text + 2, part.len - 2));
        if (*quality < 0) {
            return false;
        }
    }
    return true;
}

static bool is_any(struct element range) {
    return range.len == 1 && range.text[0] == '*';
}

static bool names(struct element range, const char *language) {
    size_t len = strlen(language);
    return range.len >= len && strncasecmp(range.text, language, len) == 0 &&
           (range.len == len || range.text[len] == '-');
}

/* What a list says of one language. */
struct wish {
    int quality;       /* 0: not wanted */
    const char *where; /* the range that has given it */
};

static struct wish wish_for(const char *list, const char *language) {
    struct element rest = {list, strlen(list)}, element, range;
    struct wish any = {0, NULL}, named = {0, NULL};
    bool refused = false;
    int quality;
    while (next_part(&rest, ',', &element)) {
        if (!read_range(element, &range, &quality)) {
            continue;
        }
        if (is_any(range)) {
            any = (struct wish){quality, range.text};
        } else if (names(range, language)) {
            refused = refused || (quality == 0 && range.len == strlen(language));
            if (named.where == NULL || quality > named.quality) {
                named = (struct wish){quality, range.text};
            }
        }
    }
    if (refused) {
        return (struct wish){0, NULL};
    }
    return named.where != NULL ? named : any;
}

size_t language_choose(const char *accept_language, const char *const *offered, size_t n) {
    size_t chosen = 0;
    struct wish best = {0, NULL};
    for (size_t i = 0; accept_language != NULL && i < n; i++) {
        struct wish wish = wish_for(accept_language, offered[i]);
        if (wish.quality > best.quality ||
            (wish.quality > 0 && wish.quality == best.quality && wish.where < best.where)) {
            chosen = i;
            best = wish;
        }
    }
    return chosen;
}
