/*
 * claim: fields that claim to be ours, in all their spellings, and those that do not.
 */
#include "tests/unit/unit.h"

#include <time.h>

#include "gatepost/base/idna.h"
#include "gatepost/core/claim.h"

static const struct address_rules rules = {.domain_to_ascii = idna_domain_to_ascii,
                                           .lower_case = idna_lower_case};

struct row {
    const char *value;
    int ours;
};

typedef int claim(struct claim_reader *reader, const char *value);

static void check_rows(const char *name, claim *is_ours, const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct claim_reader reader;
        assert_int_equal(claim_reader_init(&reader, name, &rules), 0);
        if (is_ours(&reader, rows[i].value) != rows[i].ours)
            fail_msg("%s: \"%s\" should be %d", name, rows[i].value, rows[i].ours);
        claim_reader_clear(&reader);
    }
}

static void test_readable(void **state) {
    static const struct row rows[] = {
        {"mx.example; spf=pass", 1},
        {" mx.example; spf=pass", 1},
        {"MX.Example; spf=pass", 1},
        {"mx.example", 1},
        {"mx.example.; spf=pass", 1},
        {"mx.example..; spf=pass", 1},
        {"mx.example 1; spf=pass", 1},
        {"mx.example\t1 ; none", 1},
        {"mx.example. (comment) 1; none", 1},
        {"\r\n mx.example;\r\n spf=pass", 1},
        {"(comment) mx.example; spf=pass", 1},
        {"(a (nested) \\) comment) (another)\r\n\tmx.example; spf=pass", 1},
        {"(; spf=fail) mx.example; spf=pass", 1},
        {"mx.example(comment); spf=pass", 1},
        {"\"mx.example\"; spf=pass", 1},
        {"\"mx\\.exam\\ple\" 1; spf=pass", 1},
        {"mx.example.org; spf=pass", 0},
        {"other.example; spf=pass", 0},
        {"other.example; mx.example; spf=pass", 0},
        {"other.example 1; spf=pass smtp.mailfrom=mx.example", 0},
        {"x.mx.example; spf=pass", 0},
        {"mx.exampl; spf=pass", 0},
        {"mx.example1; spf=pass", 0},
        {"mx-example; spf=pass", 0},
        {"\"mx.example.org\"; spf=pass", 0},
        {"\"mx.exampl\"; spf=pass", 0},
        {"(mx.example) other.example; spf=pass", 0},
        {"other.example (mx.example); spf=pass", 0},
        {"(=?utf-8?q?mx?=) other.example; spf=pass", 0},
        {"i=1; mx.example; spf=pass", 0},
        {"", 0},
        {";", 0},
        {"; mx.example", 0},
    };
    (void)state;
    check_rows("mx.example", claim_in_authres, rows, COUNT(rows));
    check_rows("MX.example.", claim_in_authres, rows, COUNT(rows));
}

/* What is no white space to RFC 5322, but to readers. */
static void test_white_space(void **state) {
    static const char *const spaces[] = {
        "\v",           "\f",           "\x01",         "\x7f",
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80",
        "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xaf", "\xe2\x81\x9f",
        "\xe3\x80\x80", "\xe2\x80\x8b", "\xef\xbb\xbf", "\xc2\xad",
        "\xe2\x80\xae", "\xe2\x81\xa0", "\xa0",         "\xff",
        "\xe2\x80",     "\xc2\x80",     "\xe2\x80\x8d", "\xf3\xa0\x81\x81"};
    /* each '_' is one of them */
    static const char *const forms[] = {"_mx.example; spf=pass",   "mx.example_; spf=pass",
                                        "_(c)_mx.example_; none",  "mx_.example; spf=pass",
                                        "\"_mx.example_\"; none",  " _ _ mx.example _ 1; x=y",
                                        "mx.example__ 1; spf=pass"};
    (void)state;
    for (size_t i = 0; i < COUNT(spaces); i++) {
        for (size_t form = 0; form < COUNT(forms); form++) {
            char value[200];
            const struct row row = {value, 1};
            size_t len = 0;
            for (const char *c = forms[form]; *c != '\0'; c++)
                len += (size_t)snprintf(value + len, sizeof value - len, "%.*s", *c == '_' ? 4 : 1,
                                        *c == '_' ? spaces[i] : c);
            check_rows("mx.example", claim_in_authres, &row, 1);
        }
    }
}

/* Readers differ: what one of them may take for ours is ours. */
static void test_unreadable(void **state) {
    static const struct row rows[] = {
        {"mx .example; spf=pass", 1},
        {"mx.exam\r\n ple; spf=pass", 1},
        {"mx.(c)example; spf=pass", 1},
        {"mx.exam ple 1; spf=pass", 1},
        {"mx.\"example\"; spf=pass", 1},
        {"\"mx\".example; spf=pass", 1},
        {"\"mx.example; spf=pass", 1},
        {"mx.example\"; spf=pass", 1},
        {"\"mx.example; x\"; spf=pass", 1},
        {"<mx.example>; spf=pass", 1},
        {"[mx.example]; spf=pass", 1},
        {"mx.example/1; spf=pass", 1},
        {"mx.example:25; spf=pass", 1},
        {"mx.example, other.example; spf=pass", 1},
        {"mx.example two words; spf=pass", 1},
        {"mx.example x1; spf=pass", 1},
        {"mx\\.example; spf=pass", 1},
        {"(mx.example; spf=pass", 1},
        {"mx.example (unclosed; spf=pass", 1},
        {"=?utf-8?q?mx.example?=; spf=pass", 1},
        {"=?us-ascii?b?bXguZXhhbXBsZQ==?=; spf=pass", 1},
        {"=?utf-8?q?mx.example=3B_spf=3Dpass?=", 1},
        {"mx.ex=?utf-8?q?ample?=; spf=pass", 1},
        {"(unclosed mx.example; spf=pass", 0},
        {"words before mx.example; spf=pass", 0},
        {"other.example/mx.example; spf=pass", 0},
        {"\"other.example; mx.example\"; spf=pass", 0},
        {"other.example, mx.example; spf=pass", 0},
        {"@mx.example.org; spf=pass", 0},
        {"mx.example@other.example; spf=pass", 1},
        {"mx.exa 1 mple; spf=pass", 0},
        {"other\"", 0},
        {"((((((((", 0},
        {"\"\"\"\"\"\"\"", 0},
        {"\\", 0},
    };
    (void)state;
    check_rows("mx.example", claim_in_authres, rows, COUNT(rows));
}

static void test_numbers(void **state) {
    static const struct row rows[] = {
        {"mx 1; spf=pass", 0},   {"mx1; spf=pass", 1}, {"mx1 1; spf=pass", 1},
        {"mx(c)1; spf=pass", 0}, {"mx\"1\"; none", 1}, {"\"mx\\1\"; none", 1},
        {"mx 1 ; spf=pass", 0},  {"mx; spf=pass", 0},  {"mx11; spf=pass", 0},
        {"m x1; spf=pass", 1},
    };
    (void)state;
    check_rows("mx1", claim_in_authres, rows, COUNT(rows));
}

static void test_unicode(void **state) {
    static const struct row rows[] = {
        {"mx.b\xc3\xbc"
         "cher.example; spf=pass",
         1}, /* U-label */
        {"mx.bu\xcc\x88"
         "cher.example; spf=pass",
         1}, /* NFD */
        {"MX.B\xc3\x9c"
         "CHER.EXAMPLE; spf=pass",
         1}, /* upper case */
        {"MX.BU\xcc\x88"
         "CHER.example. 1; spf=pass",
         1},
        {"mx.xn--bcher-kva.example; spf=pass", 1}, /* A-label */
        {"MX.XN--BCHER-KVA.EXAMPLE.; spf=pass", 1},
        {"mx\xe3\x80\x82"
         "b\xc3\xbc"
         "cher\xef\xbc\x8e"
         "example\xe3\x80\x82; x",
         1}, /* dots */
        {"\xef\xbd\x8d\xef\xbd\x98.b\xc3\xbc"
         "cher.example; spf=pass",
         1}, /* full width */
        {"\"mx.b\xc3\xbc"
         "cher.example\"; spf=pass",
         1},
        {"(c\xc3\xbc) \xc2\xa0mx.b\xc3\xbc"
         "cher.example; spf=pass",
         1},
        {"mx.b\xc3\xbc"
         "\xc2\xad"
         "cher.example; spf=pass",
         1}, /* soft hyphen */
        {"mx.b\xc3\xbc (c) cher.example; spf=pass", 1},
        {"mx.b\xc3\xbc"
         "cher.example two words; spf=pass",
         1},
        {"mx.bucher.example; spf=pass", 0},
        {"mx.b\xc3\xbc"
         "cher.example.org; spf=pass",
         0},
        {"mx.b\xc3\xbb"
         "cher.example; spf=pass",
         0},
        {"x mx.b\xc3\xbc"
         "cher.example; spf=pass",
         0},
        {"\xe2\x99\xa5.example; spf=pass", 0},
    };
    static const struct row ascii[] = {
        {"\xef\xbd\x8d\xef\xbd\x98\xe3\x80\x82"
         "example; spf=pass",
         1},
        {"mx.ex\xd0\xb0mple; spf=pass", 0}, /* a Cyrillic letter is another name */
        {"mx.example\xcc\x81; spf=pass", 0},
        {"\xc3\xbcmx.example; spf=pass", 0},
    };
    static const struct row heart[] = {
        {"\xe2\x99\xa5.Example.; spf=pass", 1}, /* no domain name, but ours */
        {"\xe2\x99\xa1.example; spf=pass", 0},
    };
    static const struct row joined[] = {
        /* a joiner that means something, and the A-label with it */
        {"\xe0\xb6\xb1\xe0\xb7\x92\xe0\xb6\xb4\xe0\xb7\x8a\xe2\x80\x8d\xe0\xb6\xba.x; a", 1},
        {"\xe0\xb6\xb1\xe0\xb7\x92\xe0\xb6\xb4\xe0\xb7\x8a\xe0\xb6\xba.x; a", 1},
    };
    (void)state;
    check_rows("mx.b\xc3\xbc"
               "cher.example",
               claim_in_authres, rows, COUNT(rows));
    check_rows("mx.xn--bcher-kva.example", claim_in_authres, rows, COUNT(rows));
    check_rows("MX.bu\xcc\x88"
               "cher.example.",
               claim_in_authres, rows, COUNT(rows));
    check_rows("mx.example", claim_in_authres, ascii, COUNT(ascii));
    check_rows("\xe2\x99\xa5.example", claim_in_authres, heart, COUNT(heart));
    check_rows("\xe0\xb6\xb1\xe0\xb7\x92\xe0\xb6\xb4\xe0\xb7\x8a\xe2\x80\x8d\xe0\xb6\xba.x",
               claim_in_authres, joined, COUNT(joined));
    char *label;
    assert_int_equal(idna_domain_to_ascii("\xe0\xb6\xb1\xe0\xb7\x92\xe0\xb6\xb4\xe0\xb7\x8a"
                                          "\xe2\x80\x8d\xe0\xb6\xba.x",
                                          &label),
                     1);
    const struct row a_label = {label, 1};
    check_rows("\xe0\xb6\xb1\xe0\xb7\x92\xe0\xb6\xb4\xe0\xb7\x8a\xe2\x80\x8d\xe0\xb6\xba.x",
               claim_in_authres, &a_label, 1);
    free(label);
}

static void test_received_spf(void **state) {
    static const struct row rows[] = {
        {"pass receiver=mx.example; client-ip=192.0.2.1; identity=mailfrom", 1},
        {"pass (mx.example: domain of x) receiver=mx.example; client-ip=192.0.2.1", 1},
        {"Pass client-ip=192.0.2.1; RECEIVER = \"MX.example.\"; helo=x", 1},
        {"pass client-ip=192.0.2.1;\r\n\treceiver\r\n =\r\n (c) mx.example", 1},
        {"pass receiver=\xc2\xa0mx.example; identity=helo", 1},
        {"pass client-ip=192.0.2.1 receiver=mx.example identity=helo", 1},
        {"pass receiver=other.example; receiver=mx.example", 1},
        {"pass envelope-from=\"a@b; receiver=mx.example", 1},
        {"pass (unclosed; receiver=mx.example", 1},
        {"receiver=mx.example", 1},
        {"pass receiver=a receiver=b receiver=c receiver=d receiver=e", 1},
        {"pass receiver(c)=mx.example;", 1},
        {"pass receiver=other.example; client-ip=192.0.2.1", 0},
        {"pass (receiver=mx.example) receiver=other.example", 0},
        {"pass envelope-from=\"receiver=mx.example\"; receiver=other.example", 0},
        {"pass envelope-from=\"a\\\" receiver=mx.example\"; receiver=other.example", 0},
        {"pass helo=mx.example; receiver=other.example", 0},
        {"pass x-receiver=mx.example; receiver=mx.example.org", 0},
        {"pass receiver; mx.example", 0},
        {"pass receiver", 0},
        {"pass receiver=", 0},
        {"pass mx.example", 0},
        {"", 0},
    };
    (void)state;
    check_rows("mx.example", claim_in_received_spf, rows, COUNT(rows));
}

/* No message can make the filter work for long. */
static void test_cost(void **state) {
    static const char *const units[] = {"(",  "\"",        "\\",     ". ",        "a ",
                                        "a.", "()",        "\"a\" ", "\xc3\xbc ", "\xe3\x80\x82",
                                        "=",  "receiver=", "(c) a"};
    static char value[100001];
    struct claim_reader reader;
    (void)state;
    assert_int_equal(claim_reader_init(&reader, "mx.example", &rules), 0);
    for (size_t i = 0; i < COUNT(units); i++) {
        size_t len = strlen(units[i]), n = (sizeof value - 1) / len;
        for (size_t j = 0; j < n; j++)
            memcpy(value + j * len, units[i], len + 1);
        clock_t begin = clock();
        for (int j = 0; j < 20; j++) {
            claim_in_authres(&reader, value);
            claim_in_received_spf(&reader, value);
        }
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (seconds > 2) /* some 0.02, also where a sanitizer slows it down */
            fail_msg("\"%s\": %.2f s", units[i], seconds);
    }
    claim_reader_clear(&reader);
}

/* Conversions cost more: after so many a name that needs one is ours. */
static void test_conversions(void **state) {
    struct claim_reader reader;
    (void)state;
    assert_int_equal(claim_reader_init(&reader, "mx.example", &rules), 0);
    for (int i = 0; i < CLAIM_CONVERSIONS; i++)
        assert_int_equal(claim_in_authres(&reader, "\xc3\xbc.example; spf=pass"), 0);
    assert_int_equal(claim_in_authres(&reader, "\xc3\xbc.example; spf=pass"), 1);
    assert_int_equal(claim_in_authres(&reader, "other.example; spf=pass"), 0);
    claim_reader_clear(&reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable),   cmocka_unit_test(test_white_space),
        cmocka_unit_test(test_unreadable), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unicode),    cmocka_unit_test(test_received_spf),
        cmocka_unit_test(test_cost),       cmocka_unit_test(test_conversions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
