/*
 * Header fields that claim to be ours. Owns the reading of names in them, however they are spelt;
 * what becomes of such a field is not its business.
 */
#include "gatepost/core/claim.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/textbuf.h"

/* Octets of a name as it is read: 255 characters of the longest form, and more than any name. */
#define NAME_MAX 4000

enum kind { KIND_PLAIN, KIND_SPACE, KIND_INVISIBLE };

struct range {
    uint32_t first, last;
    enum kind kind;
};

/* White_Space and Default_Ignorable_Code_Point of Unicode; the octets of Latin-1 are no UTF-8. */
static const struct range unseen[] = {
    {0x85, 0x85, KIND_SPACE},           {0xa0, 0xa0, KIND_SPACE},
    {0xad, 0xad, KIND_INVISIBLE},       {0x34f, 0x34f, KIND_INVISIBLE},
    {0x61c, 0x61c, KIND_INVISIBLE},     {0x115f, 0x1160, KIND_INVISIBLE},
    {0x1680, 0x1680, KIND_SPACE},       {0x17b4, 0x17b5, KIND_INVISIBLE},
    {0x180b, 0x180f, KIND_INVISIBLE},   {0x2000, 0x200a, KIND_SPACE},
    {0x200b, 0x200f, KIND_INVISIBLE},   {0x2028, 0x2029, KIND_SPACE},
    {0x202a, 0x202e, KIND_INVISIBLE},   {0x202f, 0x202f, KIND_SPACE},
    {0x205f, 0x205f, KIND_SPACE},       {0x2060, 0x206f, KIND_INVISIBLE},
    {0x3000, 0x3000, KIND_SPACE},       {0x3164, 0x3164, KIND_INVISIBLE},
    {0xfe00, 0xfe0f, KIND_INVISIBLE},   {0xfeff, 0xfeff, KIND_INVISIBLE},
    {0xffa0, 0xffa0, KIND_INVISIBLE},   {0xfff0, 0xfff8, KIND_INVISIBLE},
    {0x1bca0, 0x1bca3, KIND_INVISIBLE}, {0x1d173, 0x1d17a, KIND_INVISIBLE},
    {0xe0000, 0xe0fff, KIND_INVISIBLE},
};

static uint32_t code_point(const char *text, size_t len) {
    static const unsigned char bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)text[0] & bits[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    return code;
}

/* The character at `p` and its length in octets; an octet that is no text is invisible. */
static enum kind look(const char *p, size_t *len) {
    unsigned char c = (unsigned char)*p;
    *len = 1;
    if (c < 0x80)
        return c <= 0x20 || c == 0x7f ? KIND_SPACE : KIND_PLAIN;
    size_t room = strnlen(p, 4), sequence = utf8_sequence(p, room);
    if (sequence == 0)
        return KIND_INVISIBLE;
    *len = sequence;
    uint32_t code = code_point(p, sequence);
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen && unseen[i].first <= code; i++)
        if (code <= unseen[i].last)
            return unseen[i].kind;
    return code < 0xa0 ? KIND_SPACE : KIND_PLAIN; /* C1 controls */
}

/* After the comment that begins at `p` (RFC 5322 3.2.2), or NULL when it does not end. */
static const char *skip_comment(const char *p) {
    unsigned depth = 0;
    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p + 1;
    }
    return NULL;
}

/* After the quoted-string that begins at `p` (RFC 5322 3.2.4), or NULL when it does not end. */
static const char *skip_quoted(const char *p) {
    const char *end = address_skip_quoted(p);
    return end > p + 1 && end[-1] == '"' ? end : NULL;
}

/* `text` in the one form. Returns 0 and a malloc'd text, or -1 when there is no memory. */
static int fold(const struct address_rules *rules, const char *text, char **out) {
    int rc = 0;
    *out = NULL;
    for (const char *c = text; *c != '\0' && rc == 0; c++)
        rc = (unsigned char)*c >= 0x80;
    if (rc == 1)
        rc = rules->domain_to_ascii == NULL ? 0 : rules->domain_to_ascii(text, out);
    else if (rc == 0 && (*out = strdup(text)) == NULL)
        rc = -1;
    if (rc == 0 && *out == NULL)
        rc = rules->lower_case == NULL ? 0 : rules->lower_case(text, out);
    if (rc == 0 && *out == NULL && (*out = strdup(text)) == NULL)
        rc = -1;
    if (rc < 0)
        return -1;
    for (char *c = *out; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    for (size_t len = strlen(*out); len > 0 && (*out)[len - 1] == '.';)
        (*out)[--len] = '\0';
    return 0;
}

/* A name while it is read. */
struct name {
    struct claim_reader *reader;
    char text[NAME_MAX + 1];
    size_t len, plain; /* plain: without the dots at its end */
    size_t first;      /* octets of the first word; 0 while it has not ended */
    size_t seen;       /* octets at the last end of a word */
    bool gap;          /* there was a space or a comment after the first word */
    bool number;       /* all that follows it is a number of its own */
    bool ascii, too_long;
    bool first_is_own, later_is_own;
};

/* Is an ASCII name ours as it stands? */
static bool is_own_ascii(const struct name *name) {
    for (int i = 0; i < 2; i++) {
        const char *own = name->reader->own[i];
        if (strlen(own) == name->plain && strncasecmp(own, name->text, name->plain) == 0)
            return true;
    }
    return false;
}

/* 1 if what was read so far is ours, 0 if not, -1 when there is no memory. */
static int is_own(struct name *name) {
    char *folded;
    if (name->too_long || name->len == 0)
        return 0;
    if (name->ascii)
        return is_own_ascii(name);
    if (name->reader->conversions++ >= CLAIM_CONVERSIONS)
        return 1;
    name->text[name->len] = '\0';
    if (fold(name->reader->rules, name->text, &folded) != 0)
        return -1;
    int own = 0;
    for (int i = 0; i < 2; i++)
        own |= strcmp(name->reader->own[i], folded) == 0;
    free(folded);
    return own;
}

static void put(struct name *name, const char *character, size_t len) {
    if (name->first > 0)
        name->number &= name->gap && *character >= '0' && *character <= '9';
    name->ascii &= (unsigned char)*character < 0x80;
    name->too_long |= name->len + len > NAME_MAX;
    if (name->too_long)
        return;
    memcpy(name->text + name->len, character, len);
    name->len += len;
    if (*character != '.')
        name->plain = name->len;
}

/*
 * A word may end here. Words after the first are looked at only when that costs little: a name that
 * has to be converted is looked at whole once more, at its end. Returns 0, or -1 for no memory.
 */
static int end_word(struct name *name) {
    if (name->len == name->seen)
        return 0;
    name->seen = name->len;
    if (name->first > 0) {
        name->later_is_own |= name->ascii && !name->too_long && is_own_ascii(name);
        return 0;
    }
    int own = is_own(name);
    name->first = name->len;
    name->gap = false;
    name->first_is_own = own > 0;
    return own < 0 ? -1 : 0;
}

static int end_name(struct name *name) {
    if (end_word(name) != 0)
        return -1;
    if (name->first_is_own || name->first == name->len || name->number)
        return name->first_is_own; /* it can be read */
    if (name->later_is_own)
        return 1;
    return name->ascii ? 0 : is_own(name);
}

/* Characters that are part of no name (RFC 2045 5.1, tspecials). */
static bool is_special(char c) {
    return c != '\0' && strchr("()<>@,;:\\\"/[]?=", c) != NULL;
}

/* Is the name at the beginning of `value`, up to the first ';', ours? As the header has it. */
static int read_name(struct claim_reader *reader, const char *value) {
    struct name name; /* not all of it needs a value */
    bool comments = true, quotes = true;
    const char *quoted = value; /* up to here */
    size_t len;
    name.reader = reader;
    name.len = name.plain = name.first = name.seen = 0;
    name.ascii = name.number = true;
    name.gap = name.too_long = name.first_is_own = name.later_is_own = false;
    for (const char *p = value; *p != '\0'; p += len) {
        bool inside = p < quoted;
        enum kind kind = look(p, &len);
        const char *end = NULL;
        if (kind == KIND_INVISIBLE || *p == '\\')
            continue; /* what a backslash quotes stands for itself anyway */
        if (!inside && *p == '(' && comments)
            comments = (end = skip_comment(p)) != NULL;
        else if (!inside && *p == '"' && quotes && (quotes = (end = skip_quoted(p)) != NULL))
            quoted = end;
        if ((kind == KIND_SPACE || is_special(*p)) && end_word(&name) != 0)
            return -1;
        if (*p == ';' && !inside)
            break;
        if (*p == '=' && p[1] == '?')
            return 1; /* an encoded-word */
        bool comment = *p == '(' && end != NULL;
        if (comment)
            len = (size_t)(end - p);
        else if (kind == KIND_PLAIN && *p != '"' && (name.len > 0 || !is_special(*p)))
            put(&name, p, len);
        name.gap |= comment || kind == KIND_SPACE;
    }
    return end_name(&name);
}

int claim_in_authres(struct claim_reader *reader, const char *value) {
    return read_name(reader, value);
}

/* The end of a key or a value at `p` in which nothing is quoted. */
static const char *skip_word(const char *p) {
    size_t len;
    while (*p != '\0' && strchr("();=\"", *p) == NULL && look(p, &len) != KIND_SPACE)
        p += len;
    return p;
}

/* Keys that say who the receiver is; one more is taken for ours: each is read to the next ';'. */
#define RECEIVERS_MAX 4

int claim_in_received_spf(struct claim_reader *reader, const char *value) {
    static const char key[] = "receiver";
    unsigned receivers = 0;
    bool comments = true, quotes = true, is_key = false;
    for (const char *p = value; *p != '\0';) {
        const char *end = NULL;
        size_t len;
        if (*p == '(' && comments)
            comments = (end = skip_comment(p)) != NULL;
        else if (*p == '"' && quotes)
            quotes = (end = skip_quoted(p)) != NULL;
        if (end != NULL) {
            is_key &= *p == '(';
            p = end;
        } else if (*p == '=' && is_key) {
            int own = receivers++ < RECEIVERS_MAX ? read_name(reader, p + 1) : 1;
            if (own != 0)
                return own;
            is_key = false;
            p++;
        } else if (look(p, &len) != KIND_PLAIN || is_special(*p)) {
            is_key &= !is_special(*p) || *p == '(';
            p += len;
        } else {
            end = skip_word(p);
            is_key = (size_t)(end - p) == strlen(key) && strncasecmp(p, key, strlen(key)) == 0;
            p = end;
        }
    }
    return 0;
}

/* Our own name, read as one that a field claims. */
static int read_own(const char *text, const struct address_rules *rules, char **out) {
    char *seen = malloc(strlen(text) + 1), *to = seen;
    size_t len;
    if (seen == NULL)
        return -1;
    for (const char *p = text; *p != '\0'; p += len) {
        if (look(p, &len) != KIND_PLAIN)
            continue;
        memcpy(to, p, len);
        to += len;
    }
    *to = '\0';
    int rc = fold(rules, seen, out);
    free(seen);
    return rc;
}

int claim_reader_init(struct claim_reader *reader, const char *name,
                      const struct address_rules *rules) {
    *reader = (struct claim_reader){.rules = rules};
    if (fold(rules, name, &reader->own[0]) == 0 && read_own(name, rules, &reader->own[1]) == 0)
        return 0;
    claim_reader_clear(reader);
    return -1;
}

void claim_reader_clear(struct claim_reader *reader) {
    free(reader->own[0]);
    free(reader->own[1]);
    *reader = (struct claim_reader){.own = {NULL, NULL}};
}
