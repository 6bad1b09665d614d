/*
 * Fuzz target: the guard in front of libspf2, alone. The first octet of the input chooses what the
 * macros stand for, the rest is a record, a macro-string and a domain-spec in turn. Promises: what
 * is accepted is printable ASCII, holds together and parses to the same again; every expanded
 * domain could be looked up.
 */
#include "fuzz.h"

#include <string.h>

#include "milter/spf/macro.h"
#include "milter/spf/record.h"

static char dots[1400], octets[400], wide[300], many[520];

static struct spf_macro_values values_of(unsigned choice) {
    static const struct ip_address v4 = {.family = IP_V4, .bytes = {192, 0, 2, 3}};
    static const struct ip_address v6 = {.family = IP_V6,
                                         .bytes = {0x20, 1, 0xd, 0xb8, [15] = 0xcb}};
    const char *const texts[] = {"strong-bad", "a.b-c_d+e,f/g=h", "", dots, octets, wide,
                                 many,         "%{d}%%.example"};
    memset(dots, '.', sizeof dots - 1);
    memset(wide, 'w', sizeof wide - 1);
    for (size_t i = 0; i < sizeof octets - 1; i++)
        octets[i] = (char)(1 + i % 255);
    for (size_t i = 0; i < sizeof many - 1; i++)
        many[i] = i % 2 == 0 ? 'm' : '.';
    return (struct spf_macro_values){.client = (choice & 1) != 0 ? v6 : v4,
                                     .local = texts[choice >> 1 & 7],
                                     .sender_domain = texts[choice >> 4 & 7],
                                     .helo = texts[(choice >> 2) % 8],
                                     .domain = texts[(choice >> 3) % 8],
                                     .name = texts[(choice >> 5) % 8],
                                     .receiver = "unknown",
                                     .now = -1 - (int64_t)choice};
}

static void check_printable(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        PROMISE(text[i] >= 0x20 && text[i] <= 0x7e);
}

static void check_reason(const struct why *why) {
    PROMISE(why->text[0] != '\0' && memchr(why->text, '\0', sizeof why->text) != NULL);
    check_printable(why->text, strlen(why->text));
}

/* Expands as a domain and, for a text that ends somewhere, as an explanation. */
static void check_expansion(const char *text, const struct spf_macro_values *values) {
    char domain[SPF_DOMAIN_MAX + 1], memory[256];
    struct textbuf buf;
    textbuf_init(&buf, memory, sizeof memory);
    spf_macro_expand(&buf, text, values);
    PROMISE(buf.len < sizeof memory && strlen(memory) == buf.len);
    if (spf_domain_expand(text, values, domain) != 0)
        return;
    size_t label = 0, len = strlen(domain);
    PROMISE(len > 0 && len <= SPF_DOMAIN_MAX && domain[len - 1] != '.');
    for (size_t i = 0; i < len; i++) {
        PROMISE(domain[i] != '.' || label > 0);
        label = domain[i] == '.' ? 0 : label + 1;
        PROMISE(label <= 63);
    }
}

static void check_spec(const char *spec, const struct spf_macro_values *values) {
    struct why why;
    size_t at;
    PROMISE(spf_domain_spec_check(spec, strlen(spec), &at, &why) == 0);
    check_expansion(spec, values);
}

static void check_term(const struct spf_term *term, const struct spf_macro_values *values) {
    PROMISE(term->text != NULL && strlen(term->text) > 0);
    check_printable(term->text, strlen(term->text));
    PROMISE(strchr(term->text, ' ') == NULL);
    PROMISE(term->match == RESULT_PASS || term->match == RESULT_FAIL ||
            term->match == RESULT_SOFTFAIL || term->match == RESULT_NEUTRAL);
    if (term->domain_spec != NULL)
        check_spec(term->domain_spec, values);
    switch (term->mechanism) {
    case MECHANISM_A:
    case MECHANISM_MX:
        PROMISE(term->cidr4 <= 32 && term->cidr6 <= 128);
        break;
    case MECHANISM_INCLUDE:
    case MECHANISM_EXISTS:
        PROMISE(term->domain_spec != NULL);
        break;
    case MECHANISM_IP4:
        PROMISE(term->block.base.family == IP_V4 && term->block.prefix <= 32);
        PROMISE(term->domain_spec == NULL);
        break;
    case MECHANISM_IP6:
        PROMISE(term->block.base.family != IP_NONE && term->block.prefix <= 128);
        PROMISE(term->domain_spec == NULL);
        break;
    case MECHANISM_ALL:
        PROMISE(term->domain_spec == NULL);
        break;
    case MECHANISM_PTR:
        break;
    }
}

static void check_same(const char *a, const char *b) {
    PROMISE((a == NULL) == (b == NULL));
    PROMISE(a == NULL || strcmp(a, b) == 0);
}

/* Writes the record anew from its parts and reads it again. */
static void check_again(const struct spf_record *record, size_t len) {
    struct why why;

    char *text = malloc(len + 64);
    struct spf_record again;
    struct textbuf buf;
    textbuf_init(&buf, text, len + 64);
    textbuf_puts(&buf, "v=spf1");
    if (record->redirect != NULL)
        textbuf_printf(&buf, " redirect=%s", record->redirect);
    for (size_t i = 0; i < record->n; i++)
        textbuf_printf(&buf, " %s", record->terms[i].text);
    if (record->exp != NULL)
        textbuf_printf(&buf, " exp=%s", record->exp);
    PROMISE(!buf.cut);
    PROMISE(spf_record_parse(text, buf.len, &again, &why) == 0);
    PROMISE(again.n == record->n && again.has_all == record->has_all);
    check_same(again.redirect, record->redirect);
    check_same(again.exp, record->exp);
    for (size_t i = 0; i < record->n; i++) {
        const struct spf_term *a = &again.terms[i], *b = &record->terms[i];
        PROMISE(a->mechanism == b->mechanism && a->match == b->match);
        PROMISE(a->cidr4 == b->cidr4 && a->cidr6 == b->cidr6);
        check_same(a->domain_spec, b->domain_spec);
    }
    spf_record_clear(&again);
    free(text);
}

static void check_record(const char *text, size_t len, const struct spf_macro_values *values) {
    struct spf_record record;
    struct why why;
    int rc = spf_record_parse(text, len, &record, &why);
    PROMISE(rc == 0 || rc == -1);
    if (rc != 0) {
        PROMISE(strncmp(why.text, "octet ", 6) == 0);
        check_reason(&why);
        PROMISE(strtoul(why.text + 6, NULL, 10) >= 1 && strtoul(why.text + 6, NULL, 10) <= len + 1);
        PROMISE(record.terms == NULL && record.n == 0);
        PROMISE(record.redirect == NULL && record.exp == NULL);
        return;
    }
    PROMISE(spf_record_is(text, len));
    check_printable(text, len);
    for (size_t i = 0; i < record.n; i++) {
        check_term(&record.terms[i], values);
        PROMISE((record.terms[i].mechanism == MECHANISM_ALL) ==
                (record.has_all && i + 1 == record.n));
    }
    PROMISE(!record.has_all || record.n > 0);
    if (record.redirect != NULL)
        check_spec(record.redirect, values);
    if (record.exp != NULL)
        check_spec(record.exp, values);
    check_again(&record, len);
    spf_record_clear(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct spf_macro_values values = values_of(data[0]);
    size_t len = size - 1, at = 0;
    struct why why;
    /* not terminated, so that reading beyond it is seen */
    char *text = malloc(len == 0 ? 1 : len), *terminated = malloc(len + 1);
    memcpy(text, data + 1, len);
    memcpy(terminated, data + 1, len);
    terminated[len] = '\0';
    check_record(text, len, &values);
    bool explains = spf_macro_check(text, len, true, &at, &why) == 0;
    if (explains)
        check_printable(text, len);
    else
        PROMISE(at < len);
    at = 0;
    bool spec = spf_domain_spec_check(text, len, &at, &why) == 0;
    if (spec)
        check_printable(text, len);
    else
        check_reason(&why);
    PROMISE(at <= len && (!spec || explains));
    if (explains || spec) {
        spf_macro_wants_name(terminated);
        check_expansion(terminated, &values);
    }
    free(text);
    free(terminated);
    return 0;
}
