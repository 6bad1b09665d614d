/*
 * SPF macros. Owns their grammar and their expansion; knows neither DNS nor records.
 */
#include "macro.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char delimiters[] = ".-+,/_=";

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int fail(size_t *at, size_t place, struct why *why, const char *reason) {
    *at = place;
    return why_set(why, "%s", reason);
}

/* One macro-expand, taken apart. */
struct macro {
    char letter;        /* '%' '_' '-' for the three escapes, else a lower-case letter */
    bool url;           /* the letter was a capital: URL-escaped */
    bool reverse;       /* transformer r */
    size_t parts;       /* right-hand parts to keep; 0: all */
    const char *splits; /* delimiters, n_splits of them; none: the dot */
    size_t n_splits;
    size_t length; /* of the whole, "%" included */
};

/* Reads the macro-expand at `text`, of which `len` octets are left; -1 when it is none. */
static int read_macro(const char *text, size_t len, struct macro *out) {
    *out = (struct macro){.length = 2};
    if (len < 2)
        return -1;
    if (text[1] == '%' || text[1] == '_' || text[1] == '-') {
        out->letter = text[1];
        return 0;
    }
    if (text[1] != '{' || len < 4 || text[2] == '\0' ||
        strchr("slodiphcrtv", lower(text[2])) == NULL)
        return -1;
    out->letter = lower(text[2]);
    out->url = text[2] != out->letter;
    size_t i = 3;
    bool digits = false;
    for (; i < len && is_digit(text[i]); i++) {
        digits = true;
        out->parts = out->parts > 100000 ? out->parts : out->parts * 10 + (size_t)(text[i] - '0');
    }
    if (digits && out->parts == 0)
        return -1;
    if (i < len && lower(text[i]) == 'r') {
        out->reverse = true;
        i++;
    }
    out->splits = text + i;
    while (i < len && text[i] != '\0' && strchr(delimiters, text[i]) != NULL)
        i++;
    out->n_splits = (size_t)(text + i - out->splits);
    out->length = i + 1;
    return i < len && text[i] == '}' ? 0 : -1;
}

int spf_macro_check(const char *text, size_t len, bool explanation, size_t *at, struct why *why) {
    for (size_t i = 0; i < len;) {
        struct macro macro;
        unsigned char c = (unsigned char)text[i];
        if (c == '%') {
            if (read_macro(text + i, len - i, &macro) != 0)
                return fail(at, i, why, "no such macro");
            if (!explanation && macro.letter != '\0' && strchr("crt", macro.letter) != NULL)
                return fail(at, i, why, "a macro that only explanations may use");
            i += macro.length;
            continue;
        }
        if (c < 0x20 || c > 0x7e || (c == ' ' && !explanation))
            return fail(at, i, why, "a character that is not allowed");
        i++;
    }
    return 0;
}

/* Where the last macro-expand that reaches the end begins; len when none does. */
static size_t last_macro(const char *text, size_t len) {
    size_t begin = len;
    for (size_t i = 0; i < len;) {
        struct macro macro;
        if (text[i] == '%' && read_macro(text + i, len - i, &macro) == 0) {
            begin = i + macro.length == len ? i : len;
            i += macro.length;
        } else {
            i++;
        }
    }
    return begin;
}

/* RFC 7208 7.1: a top label has a letter or an inner hyphen, so that no address is a domain. */
static bool is_top_label(const char *label, size_t len) {
    bool letter = false, hyphen = false;
    for (size_t i = 0; i < len; i++) {
        bool alphanumeric = is_alpha(label[i]) || is_digit(label[i]);
        if (!alphanumeric && label[i] != '-')
            return false;
        letter |= is_alpha(label[i]);
        hyphen |= label[i] == '-';
    }
    return len > 0 && label[0] != '-' && label[len - 1] != '-' && (letter || hyphen);
}

int spf_domain_spec_check(const char *text, size_t len, size_t *at, struct why *why) {
    if (len == 0)
        return fail(at, 0, why, "the domain is missing");
    if (spf_macro_check(text, len, false, at, why) != 0)
        return -1;
    if (last_macro(text, len) < len)
        return 0;
    size_t end = text[len - 1] == '.' ? len - 1 : len;
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '.')
        begin--;
    if (begin == 0 || !is_top_label(text + begin, end - begin))
        return fail(at, begin, why, "the domain does not end in a top label");
    return 0;
}

bool spf_macro_wants_name(const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        struct macro macro;
        if (text[i] != '%' || read_macro(text + i, len - i, &macro) != 0) {
            i++;
            continue;
        }
        if (macro.letter == 'p')
            return true;
        i += macro.length;
    }
    return false;
}

/* More than an address has. */
#define ALL_PARTS 32

unsigned spf_macro_address_parts(const char *text) {
    size_t len = strlen(text);
    unsigned most = 0;
    for (size_t i = 0; i < len;) {
        struct macro macro;
        if (text[i] != '%' || read_macro(text + i, len - i, &macro) != 0) {
            i++;
            continue;
        }
        i += macro.length;
        if (macro.letter != 'i')
            continue;
        bool parted = macro.n_splits == 0 || memchr(macro.splits, '.', macro.n_splits) != NULL;
        bool all = macro.parts == 0 || macro.parts > ALL_PARTS || !parted;
        unsigned parts = all ? ALL_PARTS : (unsigned)macro.parts;
        most = parts > most ? parts : most;
    }
    return most;
}

/* %{i}: dotted quad, or every nibble of an IPv6 address with dots between (RFC 7208 7.3). */
static void put_address(struct textbuf *buf, const struct ip_address *ip) {
    char text[IP_TEXT_SIZE];
    if (ip->family != IP_V6) {
        textbuf_puts(buf, ip_format(ip, text));
        return;
    }
    for (int i = 0; i < 16; i++)
        textbuf_printf(buf, "%s%X.%X", i == 0 ? "" : ".", ip->bytes[i] >> 4, ip->bytes[i] & 15);
}

static void put_value(struct textbuf *buf, char letter, const struct spf_macro_values *values) {
    char text[IP_TEXT_SIZE];
    switch (letter) {
    case 's':
        textbuf_puts(buf, values->local);
        textbuf_puts(buf, "@");
        textbuf_puts(buf, values->sender_domain);
        break;
    case 'l':
        textbuf_puts(buf, values->local);
        break;
    case 'o':
        textbuf_puts(buf, values->sender_domain);
        break;
    case 'd':
        textbuf_puts(buf, values->domain);
        break;
    case 'h':
        textbuf_puts(buf, values->helo);
        break;
    case 'i':
        put_address(buf, &values->client);
        break;
    case 'p':
        textbuf_puts(buf, values->name);
        break;
    case 'v':
        textbuf_puts(buf, values->client.family == IP_V6 ? "ip6" : "in-addr");
        break;
    case 'c':
        textbuf_puts(buf, ip_format(&values->client, text));
        break;
    case 'r':
        textbuf_puts(buf, values->receiver);
        break;
    case 't':
        textbuf_printf(buf, "%" PRId64, values->now);
        break;
    }
}

/* A value of octets, URL-escaped if asked for (RFC 3986 2.3 unreserved stays). */
static void put_part(struct textbuf *buf, const char *part, size_t len, bool url) {
    for (size_t i = 0; i < len && !buf->cut; i++) {
        bool plain = is_alpha(part[i]) || is_digit(part[i]) || strchr("-._~", part[i]) != NULL;
        if (url && !plain)
            textbuf_printf(buf, "%%%02X", (unsigned char)part[i]);
        else
            textbuf_put(buf, part + i, 1);
    }
}

/* Parts of a value beyond these are joined with the last: no value that fits has as many. */
#define PARTS_MAX 600

static void put_transformed(struct textbuf *buf, const struct macro *macro, const char *value) {
    const char *parts[PARTS_MAX];
    size_t lengths[PARTS_MAX], n = 0;
    const char *splits = macro->n_splits > 0 ? macro->splits : ".";
    size_t n_splits = macro->n_splits > 0 ? macro->n_splits : 1;
    parts[0] = value;
    for (const char *p = value;; p++) {
        if (*p != '\0' && (memchr(splits, *p, n_splits) == NULL || n == PARTS_MAX - 1))
            continue;
        lengths[n] = (size_t)(p - parts[n]);
        n++;
        if (*p == '\0')
            break;
        parts[n] = p + 1;
    }
    size_t kept = macro->parts == 0 || macro->parts > n ? n : macro->parts;
    for (size_t i = 0; i < kept && !buf->cut; i++) {
        /* of the order asked for, the last `kept`; reversed it is the first ones backwards */
        size_t at = macro->reverse ? kept - 1 - i : n - kept + i;
        if (i > 0)
            textbuf_puts(buf, ".");
        put_part(buf, parts[at], lengths[at], macro->url);
    }
}

void spf_macro_expand(struct textbuf *buf, const char *text,
                      const struct spf_macro_values *values) {
    size_t len = strlen(text);
    /* what does not fit any more is not worked out: a stranger chose how much of it there is */
    for (size_t i = 0; i < len && !buf->cut;) {
        struct macro macro;
        char memory[1200];
        struct textbuf value;
        if (text[i] != '%' || read_macro(text + i, len - i, &macro) != 0) {
            textbuf_put(buf, text + i, 1);
            i++;
            continue;
        }
        i += macro.length;
        if (macro.letter == '%') {
            textbuf_puts(buf, "%");
        } else if (macro.letter == '_') {
            textbuf_puts(buf, " ");
        } else if (macro.letter == '-') {
            textbuf_puts(buf, "%20");
        } else {
            textbuf_init(&value, memory, sizeof memory);
            put_value(&value, macro.letter, values);
            put_transformed(buf, &macro, memory);
        }
    }
}

/* Labels of 1 to 63 octets between the dots. */
static bool has_good_labels(const char *domain) {
    size_t label = 0;
    for (; *domain != '\0'; domain++) {
        if (*domain == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (++label > 63) {
            return false;
        }
    }
    return label > 0;
}

int spf_domain_expand(const char *text, const struct spf_macro_values *values,
                      char out[SPF_DOMAIN_MAX + 1]) {
    char memory[8192];
    struct textbuf buf;
    textbuf_init(&buf, memory, sizeof memory);
    spf_macro_expand(&buf, text, values);
    char *domain = memory;
    if (buf.len > 0 && memory[buf.len - 1] == '.')
        memory[--buf.len] = '\0';
    while (strlen(domain) > SPF_DOMAIN_MAX) {
        char *dot = strchr(domain, '.');
        if (dot == NULL)
            return -1;
        domain = dot + 1;
    }
    if (buf.cut || !has_good_labels(domain))
        return -1;
    memcpy(out, domain, strlen(domain) + 1);
    return 0;
}
