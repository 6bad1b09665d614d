/*
 * Canonical account names. Owns what makes two spellings of an address the same account; knows
 * neither MTAs nor policy. IDNA and Unicode case come in as functions, so that this stays pure.
 */
#include "gatepost/address.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void address_clear(struct address *address) {
    free(address->text);
    *address = (struct address){0};
}

static void lower_ascii(char *text) {
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static bool is_ascii(const char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* text through `convert` if it has something to convert, else in ASCII lower case; malloc'd */
static char *fold(const char *text, char *(*convert)(const char *)) {
    char *result = NULL;
    if (convert != NULL && !is_ascii(text))
        result = convert(text);
    if (result == NULL)
        result = strdup(text);
    if (result != NULL)
        lower_ascii(result);
    return result;
}

/* Where the extension begins, never at the first octet: "+x" is a name, not an extension. */
static void cut_extension(char *local, const char *delimiters) {
    size_t at = local[0] == '\0' ? 0 : 1 + strcspn(local + 1, delimiters);
    local[at] = '\0';
}

/* Joins the parts; takes both, which may be NULL for want of memory. domain "" means none. */
static int join(char *local, char *domain, struct address *out) {
    int rc = -1;
    if (local != NULL && domain != NULL) {
        size_t local_len = strlen(local), domain_len = strlen(domain);
        char *text = malloc(local_len + domain_len + 2);
        if (text != NULL) {
            memcpy(text, local, local_len + 1);
            *out = (struct address){.text = text};
            if (domain_len > 0) {
                text[local_len] = '@';
                memcpy(text + local_len + 1, domain, domain_len + 1);
                out->domain = text + local_len + 1;
            }
            rc = 0;
        }
    }
    free(local);
    free(domain);
    return rc;
}

/* `local` is writable and unquoted; `domain` may be NULL */
static int canonical(char *local, char *domain, const struct address_rules *rules,
                     struct address *out) {
    size_t dots = domain == NULL ? 0 : strlen(domain);
    while (dots > 0 && domain[dots - 1] == '.') /* "example.com." is example.com */
        domain[--dots] = '\0';
    cut_extension(local, rules->delimiters);
    const char *named = domain != NULL && domain[0] != '\0' ? domain : rules->default_domain;
    return join(fold(local, rules->lower_case), fold(named, rules->domain_to_ascii), out);
}

/* The path without its angle brackets and source route (RFC 5321 4.1.2 A-d-l); into `path` */
static char *strip_path(char *path) {
    size_t len = strlen(path);
    if (len >= 2 && path[0] == '<' && path[len - 1] == '>') {
        path[len - 1] = '\0';
        path++;
    }
    if (path[0] == '@') {
        bool literal = false; /* the colons of [IPv6:...] are none of the route's */
        for (char *p = path; *p != '\0'; p++) {
            literal = *p == '[' || (literal && *p != ']');
            if (*p == ':' && !literal)
                return p + 1;
        }
    }
    return path;
}

/* The last '@' outside quotes; NULL when there is none. `*quoted` tells whether to unquote. */
static char *find_at(char *path, bool *quoted) {
    char *at = NULL;
    bool inside = false;
    *quoted = false;
    for (char *p = path; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            *quoted = true;
            p++;
        } else if (*p == '"') {
            inside = !inside;
            *quoted = true;
        } else if (*p == '@' && !inside) {
            at = p;
        }
    }
    if (inside) { /* an unclosed quote quotes nothing */
        *quoted = false;
        return strrchr(path, '@');
    }
    return at;
}

static void unquote(char *local) {
    char *to = local;
    for (char *from = local; *from != '\0'; from++) {
        if (*from == '"')
            continue;
        if (*from == '\\' && from[1] != '\0')
            from++;
        *to++ = *from;
    }
    *to = '\0';
}

int address_from_sender(const char *sender, const struct address_rules *rules,
                        struct address *out) {
    char *copy = strdup(sender);
    if (copy == NULL)
        return -1;
    char *path = strip_path(copy);
    if (path[0] == '\0') {
        *out = (struct address){.text = copy};
        copy[0] = '\0';
        return 0;
    }
    bool quoted;
    char *at = find_at(path, &quoted);
    if (at != NULL)
        *at = '\0';
    if (quoted)
        unquote(path);
    int rc = canonical(path, at == NULL ? NULL : at + 1, rules, out);
    free(copy);
    return rc;
}

static int hex_digit(char c) {
    const char *digits = "0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

void xtext_decode(char *text) {
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        int high = *from == '+' ? hex_digit(from[1]) : -1;
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low >= 0 && high * 16 + low != 0) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

int address_from_login(const char *login, const struct address_rules *rules, struct address *out) {
    char *copy = strdup(login);
    if (copy == NULL)
        return -1;
    char *at = strrchr(copy, '@');
    if (at != NULL)
        *at = '\0';
    int rc = canonical(copy, at == NULL ? NULL : at + 1, rules, out);
    free(copy);
    return rc;
}
