/*
 * Canonical account names. Owns what makes two spellings of an address the same account; knows
 * neither MTAs nor policy. IDNA and Unicode case come in as functions, so that this stays pure.
 */
#include "gatepost/core/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "characters.h"
#include "gatepost/core/netblock.h"
#include "local_part.h"

/* RFC 1035 2.3.4 */
#define LABEL_MAX 63
#define DOMAIN_MAX 253

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
static char *fold(const char *text, address_conversion *convert) {
    char *result = NULL;
    int converted = convert == NULL || is_ascii(text) ? 0 : convert(text, &result);
    if (converted < 0)
        return NULL;
    if (converted == 0)
        result = strdup(text);
    if (result != NULL)
        lower_ascii(result);
    return result;
}

/* Joins the parts; takes both, which may be NULL when there was no memory. domain "" means none. */
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
static int canonical(char *local, const char *domain, const struct address_rules *rules,
                     struct address *out) {
    local_part_cut_extension(local, rules->delimiters);
    const char *named = domain != NULL && domain[0] != '\0' ? domain : rules->default_domain;
    char *folded = fold(named, rules->domain_to_ascii);
    size_t dots = folded == NULL ? 0 : strlen(folded);
    while (dots > 0 && folded[dots - 1] == '.') /* "example.com." is example.com */
        folded[--dots] = '\0';
    return join(fold(local, rules->lower_case), folded, out);
}

char *address_strip_path(char *path) {
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

/* The last '@' outside quotes; NULL when there is none. `*quoted` says whether to unquote. */
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

static void unquote(char *text) {
    char *to = text;
    for (char *from = text; *from != '\0'; from++) {
        if (*from == '"')
            continue;
        if (*from == '\\' && from[1] != '\0')
            from++;
        *to++ = *from;
    }
    *to = '\0';
}

/* Behind the octets that have no meaning of their own in any syntax of an address. */
static const char *skip_plain(const char *at, const char *also) {
    while ((unsigned char)*at >= 0x80 || (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') ||
           (*at >= 'a' && *at <= 'z') || (*at != '\0' && strchr(also, *at) != NULL))
        at++;
    return at;
}

const char *address_skip_quoted(const char *at) {
    for (at++; *at != '\0' && *at != '"'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return at + (*at == '"');
}

static bool is_mailbox(const char *path) {
    const char *at = path + (path[0] == '<');
    at = *at == '"' ? address_skip_quoted(at) : skip_plain(at, "!#$%&'*+-/=?^_`{|}~.");
    if (*at != '@')
        return false;
    bool literal = *++at == '[';
    const char *domain = at + literal;
    at = skip_plain(domain, literal ? ".:-" : ".-_");
    if (at == domain || (literal && *at++ != ']'))
        return false;
    return strcmp(at, path[0] == '<' ? ">" : "") == 0;
}

bool address_is_path(const char *path) {
    return path[0] == '\0' || strcmp(path, "<>") == 0 || is_mailbox(path);
}

/* Takes white space and comments out where they are not quoted. */
static void tidy(char *path) {
    char *to = path;
    unsigned depth = 0; /* of comments */
    for (const char *from = path, *end; *from != '\0'; from = end) {
        bool left_out = depth > 0 || strchr("( \t\r\n", *from) != NULL;
        end = from + (*from == '\\' && from[1] != '\0' ? 2 : 1);
        if (*from == '"' && depth == 0)
            end = address_skip_quoted(from);
        depth += *from == '(';
        depth -= *from == ')' && depth > 0;
        if (!left_out) {
            memmove(to, from, (size_t)(end - from));
            to += end - from;
        }
    }
    *to = '\0';
}

/* The domain in what is no Reverse-path, terminated in place; "" when there is none. */
static char *domain_of(char *path) {
    bool quoted;
    char *at = find_at(path, &quoted), *domain = at;
    if (domain == NULL)
        domain = strrchr(path, '%');
    if (domain != NULL)
        domain++;
    else if (strchr(path, '!') != NULL)
        domain = path + strspn(path, "<");
    else
        return path + strlen(path);
    unquote(domain);
    domain[strcspn(domain, "<>!%,;:")] = '\0';
    return domain;
}

char *address_reread(const char *given, const char *understood) {
    bool whole = strchr(understood, '@') != NULL || address_is_path(understood);
    char *path = strdup(whole ? understood : given), *sender = NULL;
    if (path == NULL)
        return NULL;
    if (whole) {
        bool quoted;
        char *at = find_at(path, &quoted);
        if (at != NULL)
            unquote(at + 1);
        return path;
    }
    tidy(path);
    const char *domain = domain_of(path);
    if (asprintf(&sender, "%s%s%s", understood, domain[0] == '\0' ? "" : "@", domain) < 0)
        sender = NULL;
    free(path);
    return sender;
}

int address_from_sender(const char *sender, const struct address_rules *rules,
                        struct address *out) {
    char *copy = strdup(sender);
    if (copy == NULL)
        return -1;
    char *path = address_strip_path(copy);
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
    path += local_part_skip_tag(path) - path;
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

/* Drops white space at the ends, and makes all other one space each. Is it a name to be seen? */
static bool squeeze(char *text) {
    char *to = text;
    bool seen = true, space = false;
    unsigned before = 0;
    size_t len, next_len;
    for (const char *from = text; *from != '\0'; from += len) {
        unsigned character = character_at(from, &len);
        if (character_is_space(character)) {
            space = to > text;
            continue;
        }
        seen &= character_is_joiner(character)
                    ? !space && character_joins(before, character_at(from + len, &next_len))
                    : !character_is_unseen(character);
        if (space)
            *to++ = ' ';
        space = false;
        memmove(to, from, len);
        to += len;
        before = character;
    }
    *to = '\0';
    return seen;
}

/* Labels of letters, digits, '-' and '_', none that begins or ends with a '-' (RFC 1123 2.1). */
static bool has_labels(const char *domain) {
    if (strlen(domain) > DOMAIN_MAX)
        return false;
    for (const char *label = domain;; label++) {
        const char *end = skip_plain(label, "-_");
        size_t len = (size_t)(end - label);
        if (len == 0 || len > LABEL_MAX || label[0] == '-' || end[-1] == '-')
            return false;
        if (*end != '.')
            return *end == '\0';
        label = end;
    }
}

/* Can a domain be called so, once it is in A-labels? */
static bool is_domain(const char *domain) {
    size_t len = strlen(domain);
    struct ip_address ip;
    if (domain[0] == '[')
        return domain[len - 1] == ']' && ip_parse(domain + 1, len - 2, &ip) == 0;
    return is_ascii(domain) && has_labels(domain);
}

/* Of a login, or with `tagged` of what may have the tag of a signed sender. */
static int from_name(const char *name, bool tagged, const struct address_rules *rules,
                     struct address *out) {
    char *copy = strdup(name);
    if (copy == NULL)
        return -1;
    bool misnamed = !squeeze(copy);
    char *at = strrchr(copy, '@');
    if (at != NULL) {
        *at++ = '\0';
        at += *at == ' ';
    }
    char *local = copy + (tagged ? local_part_skip_tag(copy) - copy : 0);
    local_part_cut_extension(local, rules->delimiters);
    squeeze(local);
    misnamed |= local[0] == '\0';
    /* "alice@example.com@" is not the account of that name, without its domain */
    misnamed |= at != NULL && at[0] == '\0' && strchr(local, '@') != NULL;
    int rc = canonical(local, at, rules, out);
    if (rc == 0) {
        bool none = out->domain == NULL; /* fine where none was given, or could be */
        out->misnamed = misnamed || (none ? at != NULL && at[0] != '\0' : !is_domain(out->domain));
    }
    free(copy);
    return rc;
}

int address_from_login(const char *login, const struct address_rules *rules, struct address *out) {
    return from_name(login, false, rules, out);
}

int address_from_reading(const char *reading, const struct address_rules *rules,
                         struct address *out) {
    return from_name(reading, true, rules, out);
}
