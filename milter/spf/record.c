/*
 * SPF records. Owns the grammar of RFC 7208 section 12; evaluating a record is spf.c's business.
 */
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "macro.h"

bool spf_record_is(const char *text, size_t len) {
    return len >= 6 && strncasecmp(text, "v=spf1", 6) == 0 && (len == 6 || text[6] == ' ');
}

void spf_record_clear(struct spf_record *record) {
    for (size_t i = 0; i < record->n; i++) {
        free(record->terms[i].domain_spec);
        free(record->terms[i].text);
    }
    free(record->terms);
    free(record->redirect);
    free(record->exp);
    *record = (struct spf_record){0};
}

/* A record being parsed, and where an error goes. */
struct parsing {
    struct spf_record *record;
    const char *text;
    struct why *why;
    bool done; /* after `all`: checked, but without effect */
};

enum { PARSED = 0, REFUSED = -1, NO_MEMORY = -2 };

static int refuse(const struct parsing *p, const char *at, const char *reason) {
    why_set(p->why, "octet %zu: %s", (size_t)(at - p->text) + 1, reason);
    return REFUSED;
}

static int check_domain(const struct parsing *p, const char *spec, size_t len) {
    struct why reason;
    size_t at = 0;
    if (spf_domain_spec_check(spec, len, &at, &reason) != 0)
        return refuse(p, spec + at, reason.text);
    return PARSED;
}

/* A prefix length without leading zeros, up to `max`; -1 for anything else. */
static int prefix_length(const char *digits, size_t len, int max) {
    int value = 0;
    if (len == 0 || len > 3 || (len > 1 && digits[0] == '0'))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return -1;
        value = value * 10 + (digits[i] - '0');
    }
    return value <= max ? value : -1;
}

static bool all_digits(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/*
 * Cuts a dual-cidr-length off the end of an argument. A slash may also stand inside a macro-string,
 * so only digits after the last one or two make it a prefix length.
 */
static int cut_cidr(const struct parsing *p, const char *argument, size_t *len,
                    struct spf_term *term) {
    term->cidr4 = 32;
    term->cidr6 = 128;
    const char *slash = memrchr(argument, '/', *len);
    if (slash == NULL || !all_digits(slash + 1, (size_t)(argument + *len - slash - 1)))
        return PARSED;
    size_t digits = (size_t)(argument + *len - slash - 1);
    if (slash > argument && slash[-1] == '/') {
        int cidr6 = prefix_length(slash + 1, digits, 128);
        if (cidr6 < 0)
            return refuse(p, slash, "the prefix length must be a number from 0 to 128");
        term->cidr6 = (uint8_t)cidr6;
        *len = (size_t)(slash - 1 - argument);
        slash = memrchr(argument, '/', *len);
        if (slash == NULL || !all_digits(slash + 1, (size_t)(argument + *len - slash - 1)))
            return PARSED;
        digits = (size_t)(argument + *len - slash - 1);
    }
    int cidr4 = prefix_length(slash + 1, digits, 32);
    if (cidr4 < 0)
        return refuse(p, slash, "the prefix length must be a number from 0 to 32");
    term->cidr4 = (uint8_t)cidr4;
    *len = (size_t)(slash - argument);
    return PARSED;
}

/* [":" domain-spec] [dual-cidr-length] of a and mx; `argument` begins after the name */
static int parse_host(const struct parsing *p, const char *argument, size_t len,
                      struct spf_term *term) {
    int rc = cut_cidr(p, argument, &len, term);
    if (rc != PARSED || len == 0)
        return rc;
    if (argument[0] != ':')
        return refuse(p, argument, "':' or '/' is expected here");
    rc = check_domain(p, argument + 1, len - 1);
    if (rc == PARSED && (term->domain_spec = strndup(argument + 1, len - 1)) == NULL)
        return NO_MEMORY;
    return rc;
}

/* ":" domain-spec, which ptr may leave out */
static int parse_domain(const struct parsing *p, const char *argument, size_t len, bool optional,
                        struct spf_term *term) {
    if (len == 0 && optional)
        return PARSED;
    if (len == 0 || argument[0] != ':')
        return refuse(p, argument, "':' and a domain are expected here");
    int rc = check_domain(p, argument + 1, len - 1);
    if (rc == PARSED && (term->domain_spec = strndup(argument + 1, len - 1)) == NULL)
        return NO_MEMORY;
    return rc;
}

static int parse_ip(const struct parsing *p, const char *argument, size_t len,
                    enum ip_family family, struct spf_term *term) {
    struct why why;
    uint8_t v6 = family == IP_V6;
    if (len < 2 || argument[0] != ':')
        return refuse(p, argument, "':' and an address are expected here");
    argument++;
    len--;
    /* netblock.h would take more: "IPv6:", and folds v4-mapped, which ip6 must not be */
    bool dots_only = memchr(argument, ':', len) == NULL;
    if (v6 == dots_only || strncasecmp(argument, "IPv6:", len < 5 ? len : 5) == 0 ||
        netblock_parse(argument, len, &term->block, &why) != 0)
        return refuse(p, argument,
                      v6 ? "no IPv6 address or CIDR block" : "no IPv4 address or CIDR block");
    return PARSED;
}

static int parse_arguments(struct parsing *p, struct spf_term *term, const char *argument,
                           size_t len) {
    switch (term->mechanism) {
    case MECHANISM_ALL:
        return len == 0 ? PARSED : refuse(p, argument, "`all` takes no argument");
    case MECHANISM_INCLUDE:
    case MECHANISM_EXISTS:
        return parse_domain(p, argument, len, false, term);
    case MECHANISM_PTR:
        return parse_domain(p, argument, len, true, term);
    case MECHANISM_A:
    case MECHANISM_MX:
        return parse_host(p, argument, len, term);
    case MECHANISM_IP4:
        return parse_ip(p, argument, len, IP_V4, term);
    case MECHANISM_IP6:
        return parse_ip(p, argument, len, IP_V6, term);
    }
    return REFUSED;
}

static void term_clear(struct spf_term *term) {
    free(term->domain_spec);
    free(term->text);
}

/* Keeps a term; takes what it owns in every case. */
static int add_term(struct parsing *p, struct spf_term *term) {
    struct spf_record *record = p->record;
    if (p->done) {
        term_clear(term);
        return PARSED;
    }
    struct spf_term *grown = record->terms;
    if ((record->n & (record->n - 1)) == 0)
        grown = realloc(record->terms, (record->n == 0 ? 1 : record->n * 2) * sizeof *grown);
    if (grown == NULL) {
        term_clear(term);
        return NO_MEMORY;
    }
    record->terms = grown;
    record->terms[record->n++] = *term;
    p->done = record->has_all = term->mechanism == MECHANISM_ALL;
    return PARSED;
}

static int parse_mechanism(struct parsing *p, const char *word, size_t len) {
    static const char *const names[] = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"};
    static const char qualifiers[] = "+-~?";
    static const enum spf_result matches[] = {RESULT_PASS, RESULT_FAIL, RESULT_SOFTFAIL,
                                              RESULT_NEUTRAL};
    struct spf_term term = {.match = RESULT_PASS};
    const char *begin = word, *end = word + len;
    const char *qualifier = strchr(qualifiers, *word);
    if (qualifier != NULL) {
        term.match = matches[qualifier - qualifiers];
        word++;
    }
    size_t name = 0;
    while (word + name < end && word[name] != ':' && word[name] != '/')
        name++;
    int mechanism = -1;
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strlen(names[i]) == name && strncasecmp(names[i], word, name) == 0)
            mechanism = i;
    if (mechanism < 0)
        return refuse(p, word, "no such mechanism");
    term.mechanism = (enum spf_mechanism)mechanism;
    int rc = parse_arguments(p, &term, word + name, (size_t)(end - word) - name);
    if (rc == PARSED && (term.text = strndup(begin, len)) == NULL)
        rc = NO_MEMORY;
    if (rc == PARSED)
        return add_term(p, &term);
    term_clear(&term);
    return rc;
}

static bool is_name(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++) {
        bool alpha = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z');
        bool other = (name[i] >= '0' && name[i] <= '9') || strchr("-_.", name[i]) != NULL;
        if (!alpha && (i == 0 || !other))
            return false;
    }
    return len > 0;
}

static int keep_once(struct parsing *p, char **kept, const char *word, const char *value,
                     size_t len) {
    if (*kept != NULL)
        return refuse(p, word, "the modifier stands here a second time");
    int rc = check_domain(p, value, len);
    if (rc == PARSED && (*kept = strndup(value, len)) == NULL)
        return NO_MEMORY;
    return rc;
}

static int parse_modifier(struct parsing *p, const char *word, size_t name, size_t len) {
    const char *value = word + name + 1;
    size_t value_len = len - name - 1, at = 0;
    struct why reason;
    if (name == 8 && strncasecmp(word, "redirect", 8) == 0)
        return keep_once(p, &p->record->redirect, word, value, value_len);
    if (name == 3 && strncasecmp(word, "exp", 3) == 0)
        return keep_once(p, &p->record->exp, word, value, value_len);
    if (spf_macro_check(value, value_len, false, &at, &reason) != 0)
        return refuse(p, value + at, reason.text);
    return PARSED; /* unknown modifiers are ignored (RFC 7208 6) */
}

static int parse_term(struct parsing *p, const char *word, size_t len) {
    const char *equals = memchr(word, '=', len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)word[i] < 0x21 || (unsigned char)word[i] > 0x7e)
            return refuse(p, word + i, "a character that is not allowed");
    /* an '=' may also stand in a mechanism's domain; before it only a modifier has a plain name */
    if (equals != NULL && is_name(word, (size_t)(equals - word)))
        return parse_modifier(p, word, (size_t)(equals - word), len);
    return parse_mechanism(p, word, len);
}

int spf_record_parse(const char *text, size_t len, struct spf_record *out, struct why *why) {
    struct parsing p = {.record = out, .text = text, .why = why};
    *out = (struct spf_record){0};
    int rc = spf_record_is(text, len) ? PARSED : refuse(&p, text, "no SPF record");
    for (size_t i = 6; rc == PARSED && i < len;) {
        if (text[i] == ' ') {
            i++;
            continue;
        }
        const char *space = memchr(text + i, ' ', len - i);
        size_t word = space == NULL ? len - i : (size_t)(space - (text + i));
        rc = parse_term(&p, text + i, word);
        i += word;
    }
    if (rc != PARSED)
        spf_record_clear(out);
    return rc;
}

unsigned spf_term_prefix(const struct spf_term *term, const struct ip_address *client) {
    bool v6 = client->family == IP_V6;
    unsigned bits = v6 ? 128 : 32;
    switch (term->mechanism) {
    case MECHANISM_A:
    case MECHANISM_MX:
        return v6 ? term->cidr6 : term->cidr4;
    case MECHANISM_IP4:
    case MECHANISM_IP6:
        return term->block.prefix;
    case MECHANISM_PTR:
        return bits;
    case MECHANISM_EXISTS: {
        /* whether its names are those of all addresses only the domain knows */
        unsigned parts = spf_macro_address_parts(term->domain_spec) * (v6 ? 4 : 8);
        return parts < bits ? parts : bits;
    }
    default:
        return 0;
    }
}
