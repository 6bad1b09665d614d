/*
 * spf_record: the grammar of RFC 7208 12, accepted and refused, and what a parsed record holds.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <strings.h>

#include "milter/spf/record.h"

static void test_is(void **state) {
    static const struct {
        const char *text;
        bool is;
    } rows[] = {
        {"v=spf1", true},
        {"v=spf1 ", true},
        {"V=SpF1 -all", true},
        {"v=spf1 rubbish", true},
        {"v=spf10 -all", false},
        {"v=spf1-all", false},
        {" v=spf1", false},
        {"v=spf", false},
        {"", false},
        {"v=spf1\t-all", false},
        {"spf2.0/mfrom -all", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (spf_record_is(rows[i].text, strlen(rows[i].text)) != rows[i].is)
            fail_msg("\"%s\"", rows[i].text);
}

static void test_accepted(void **state) {
    static const char *const rows[] = {
        "v=spf1",
        "V=SPF1   -ALL  ",
        "v=spf1 +all",
        "v=spf1 a a:a.example a/24 a//64 a/24//64 a:a.example/0//0 -all",
        "v=spf1 mx mx:a.example mx/32//128 mx:%{d}/24",
        "v=spf1 ptr ptr:a.example ?ptr:%{d}",
        "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip4:0.0.0.0/0",
        "v=spf1 ip6:2001:db8::1 ip6:2001:db8::/32 ip6:::/0 ip6:::ffff:192.0.2.1/128",
        "v=spf1 include:a.example include:%{d2} include:_spf.%{l1r-}.example.",
        "v=spf1 exists:%{ir}.%{v}._spf.%{d2} exists:%{L1r-+,/_=}.a-b",
        "v=spf1 redirect=a.example a mx",
        "v=spf1 exp=a.example redirect=b.example",
        "v=spf1 EXP=a.example ReDirect=b.example",
        "v=spf1 unknown=anything=else x.y-z_1= u=%%%_%-%{d} unknown=",
        "v=spf1 a:%{d/}/24 a:foo.%{d2r/} a:a/b.example",
        "v=spf1 a:a=b.example",
        "v=spf1 a:a.1-1 a:a.xn--p1ai a:!#$&'()*+,-/:;<=>?@[]^_`{|}~.example",
        "v=spf1 include:a..example",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spf_record record;
        struct why why = {"no memory"};
        if (spf_record_parse(rows[i], strlen(rows[i]), &record, &why) != 0)
            fail_msg("\"%s\": %s", rows[i], why.text);
        spf_record_clear(&record);
    }
}

static void test_refused(void **state) {
    static const char word[] = "octet 8: no such mechanism";
    static const char top[] = "the domain does not end in a top label";
    static const char domain[] = "':' and a domain are expected here";
    static const char ip4[] = "no IPv4 address or CIDR block";
    static const char ip6[] = "no IPv6 address or CIDR block";
    static const char character[] = "a character that is not allowed";
    static const char missing[] = "the domain is missing";
    static const char macro[] = "no such macro";
    static const struct {
        const char *text;
        unsigned octet; /* 0: `reason` is the whole text */
        const char *reason;
    } rows[] = {
        {"v=spf10", 1, "no SPF record"},
        {"", 1, "no SPF record"},
        {"v=spf1 moo", 0, word},
        {"v=spf1 alll", 0, word},
        {"v=spf1 ip5:192.0.2.1", 0, word},
        {"v=spf1 -", 9, "no such mechanism"},
        {"v=spf1 --all", 9, "no such mechanism"},
        {"v=spf1 :a.example", 0, word},
        {"v=spf1 =a.example", 0, word},
        {"v=spf1 1x=a.example", 0, word},
        {"v=spf1 _x=a.example", 0, word},
        {"v=spf1 -redirect=a.example", 9, "no such mechanism"},
        {"v=spf1 all:a.example", 11, "`all` takes no argument"},
        {"v=spf1 all/24", 11, "`all` takes no argument"},
        {"v=spf1 include", 15, domain},
        {"v=spf1 include:", 16, missing},
        {"v=spf1 include/24", 15, domain},
        {"v=spf1 include:a.example/24", 18, top},
        {"v=spf1 exists", 14, domain},
        {"v=spf1 exists:", 15, missing},
        {"v=spf1 ptr:", 12, missing},
        {"v=spf1 ptr/0", 11, domain},
        {"v=spf1 a:", 10, missing},
        {"v=spf1 a:/24", 10, missing},
        {"v=spf1 a/33", 9, "the prefix length must be a number from 0 to 32"},
        {"v=spf1 a/032", 9, "the prefix length must be a number from 0 to 32"},
        {"v=spf1 a/", 9, "the prefix length must be a number from 0 to 32"},
        {"v=spf1 a//129", 10, "the prefix length must be a number from 0 to 128"},
        {"v=spf1 a//064", 10, "the prefix length must be a number from 0 to 128"},
        {"v=spf1 a//", 10, "the prefix length must be a number from 0 to 128"},
        {"v=spf1 a//64/24", 9, "':' or '/' is expected here"},
        {"v=spf1 a:example", 10, top},
        {"v=spf1 a:192.0.2.1", 18, top},
        {"v=spf1 a:a.-b", 12, top},
        {"v=spf1 a:a.b-", 12, top},
        {"v=spf1 a:a.exa_mple", 12, top},
        {"v=spf1 a:a.example..", 20, top},
        {"v=spf1 a:%{d}x", 10, top},
        {"v=spf1 mx:%{d", 11, macro},
        {"v=spf1 mx:%{x}.example", 11, macro},
        {"v=spf1 mx:%{d0}.example", 11, macro},
        {"v=spf1 mx:%{d2r.example", 11, macro},
        {"v=spf1 mx:%{d!}.example", 11, macro},
        {"v=spf1 mx:%(d).example", 11, macro},
        {"v=spf1 mx:a%", 12, macro},
        {"v=spf1 exists:%{c}.example", 15, "a macro that only explanations may use"},
        {"v=spf1 exists:%{R}.example", 15, "a macro that only explanations may use"},
        {"v=spf1 exists:%{t}.example", 15, "a macro that only explanations may use"},
        {"v=spf1 ip4", 11, "':' and an address are expected here"},
        {"v=spf1 ip4:", 11, "':' and an address are expected here"},
        {"v=spf1 ip4/24", 11, "':' and an address are expected here"},
        {"v=spf1 ip4:192.0.2", 12, ip4},
        {"v=spf1 ip4:192.0.2.0/33", 12, ip4},
        {"v=spf1 ip4:192.0.2.0/032", 12, ip4},
        {"v=spf1 ip4:192.0.2.0//24", 12, ip4},
        {"v=spf1 ip4:2001:db8::1", 12, ip4},
        {"v=spf1 ip4:a.example", 12, ip4},
        {"v=spf1 ip6:192.0.2.1", 12, ip6},
        {"v=spf1 ip6:2001:db8::/129", 12, ip6},
        {"v=spf1 ip6:IPv6:2001:db8::1", 12, ip6},
        {"v=spf1 ip6:2001:db8::1%lo", 12, ip6},
        {"v=spf1 ip6::", 12, ip6},
        {"v=spf1 redirect=", 17, missing},
        {"v=spf1 redirect=example", 17, top},
        {"v=spf1 exp=", 12, missing},
        {"v=spf1 redirect=a.b redirect=a.b", 21, "the modifier stands here a second time"},
        {"v=spf1 exp=a.b EXP=a.c", 16, "the modifier stands here a second time"},
        {"v=spf1 x=%{c}", 10, "a macro that only explanations may use"},
        {"v=spf1 x=%x", 10, macro},
        {"v=spf1 a\tmx", 9, character},
        {"v=spf1 a:a.example\r\n", 19, character},
        {"v=spf1 a:\xc3\xbc.example", 10, character},
        {"v=spf1 x=\x7f", 10, character},
        {"v=spf1 -all moo", 13, "no such mechanism"},
        {"v=spf1 -all ip4:moo", 17, ip4},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spf_record record;
        struct why why = {""};

        char want[200];
        if (rows[i].octet == 0)
            snprintf(want, sizeof want, "%s", rows[i].reason);
        else
            snprintf(want, sizeof want, "octet %u: %s", rows[i].octet, rows[i].reason);
        int rc = spf_record_parse(rows[i].text, strlen(rows[i].text), &record, &why);
        if (rc != -1 || strcmp(why.text, want) != 0)
            fail_msg("\"%s\": %d, \"%s\", not \"%s\"", rows[i].text, rc, why.text, want);
        assert_null(record.terms);
        assert_null(record.redirect);
        assert_null(record.exp);
        assert_int_equal(record.n, 0);
    }
}

static void test_nul(void **state) {
    static const char text[] = "v=spf1 a:a.example\0 +all";
    struct spf_record record;
    struct why why;
    (void)state;
    assert_int_equal(spf_record_parse(text, sizeof text - 1, &record, &why), -1);
    assert_string_equal(why.text, "octet 19: a character that is not allowed");
}

static void test_terms(void **state) {
    static const char text[] =
        "v=spf1 redirect=r.example  A ~a:a.example/24 ?MX//64 +mx:m.%{d}/0//0 "
        "ptr -IP4:192.0.2.77/24 ip6:2001:db8::/32 x.y=1 include:i.example "
        "exists:%{i}.example exp=e.%{d} -aLL mx:late.example ?all";
    static const struct {
        enum spf_mechanism mechanism;
        enum spf_result match;
        const char *spec;
        int cidr4, cidr6; /* -1: not of this mechanism */
        const char *text;
    } rows[] = {
        {MECHANISM_A, RESULT_PASS, NULL, 32, 128, "A"},
        {MECHANISM_A, RESULT_SOFTFAIL, "a.example", 24, 128, "~a:a.example/24"},
        {MECHANISM_MX, RESULT_NEUTRAL, NULL, 32, 64, "?MX//64"},
        {MECHANISM_MX, RESULT_PASS, "m.%{d}", 0, 0, "+mx:m.%{d}/0//0"},
        {MECHANISM_PTR, RESULT_PASS, NULL, -1, -1, "ptr"},
        {MECHANISM_IP4, RESULT_FAIL, NULL, -1, -1, "-IP4:192.0.2.77/24"},
        {MECHANISM_IP6, RESULT_PASS, NULL, -1, -1, "ip6:2001:db8::/32"},
        {MECHANISM_INCLUDE, RESULT_PASS, "i.example", -1, -1, "include:i.example"},
        {MECHANISM_EXISTS, RESULT_PASS, "%{i}.example", -1, -1, "exists:%{i}.example"},
        {MECHANISM_ALL, RESULT_FAIL, NULL, -1, -1, "-aLL"},
    };
    static const uint8_t net[4] = {192, 0, 2, 0};
    struct spf_record record;
    struct why why = {"no memory"};
    (void)state;
    if (spf_record_parse(text, sizeof text - 1, &record, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(record.n, COUNT(rows));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct spf_term *term = &record.terms[i];
        assert_int_equal(term->mechanism, rows[i].mechanism);
        assert_int_equal(term->match, rows[i].match);
        assert_string_equal(term->text, rows[i].text);
        if (rows[i].spec == NULL)
            assert_null(term->domain_spec);
        else
            assert_string_equal(term->domain_spec, rows[i].spec);
        if (rows[i].cidr4 >= 0) {
            assert_int_equal(term->cidr4, rows[i].cidr4);
            assert_int_equal(term->cidr6, rows[i].cidr6);
        }
    }
    assert_int_equal(record.terms[5].block.prefix, 24);
    assert_memory_equal(record.terms[5].block.base.bytes, net, sizeof net);
    assert_int_equal(record.terms[6].block.prefix, 32);
    assert_int_equal(record.terms[6].block.base.family, IP_V6);
    assert_true(record.has_all);
    assert_string_equal(record.redirect, "r.example");
    assert_string_equal(record.exp, "e.%{d}");
    spf_record_clear(&record);
    assert_null(record.terms);
}

/* A modifier counts wherever it stands, even after `all`. */
static void test_behind_all(void **state) {
    static const char text[] = "v=spf1 ?all a redirect=r.example exp=e.example";
    struct spf_record record;
    struct why why;
    (void)state;
    assert_int_equal(spf_record_parse(text, sizeof text - 1, &record, &why), 0);
    assert_int_equal(record.n, 1);
    assert_true(record.has_all);
    assert_string_equal(record.redirect, "r.example");
    assert_string_equal(record.exp, "e.example");
    spf_record_clear(&record);
}

static void test_empty(void **state) {
    struct spf_record record;
    struct why why;
    (void)state;
    assert_int_equal(spf_record_parse("v=spf1 ", 7, &record, &why), 0);
    assert_int_equal(record.n, 0);
    assert_false(record.has_all);
    assert_null(record.redirect);
    spf_record_clear(&record);
}

/* A record as long as the DNS can give one. */
static void test_long(void **state) {
    struct spf_record record;
    struct why why = {"no memory"};
    size_t terms = 5000, len = 6;
    char *text = malloc(6 + terms * 13 + 1);
    (void)state;
    memcpy(text, "v=spf1", 7);
    for (size_t i = 0; i < terms; i++, len += 13)
        memcpy(text + len, " ip4:10.1.2.3", 14);
    if (spf_record_parse(text, len, &record, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(record.n, terms);
    assert_string_equal(record.terms[terms - 1].text, "ip4:10.1.2.3");
    spf_record_clear(&record);
    free(text);
}

static uint32_t random_next(uint32_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* Pieces of the grammar with any octet now and then. Returns the length. */
static size_t random_record(uint32_t *random, char *text, size_t size) {
    static const char *const pieces[] = {
        " ",    "a",         "mx",    ":",          "/",         "24",   "//64",    "all",
        "-",    "include:",  "=",     "exp",        "redirect=", "%{d}", "%{",      "}",
        "ip4:", "192.0.2.1", ".",     "ip6:",       "::1",       "ptr",  "exists:", "%%",
        "%_",   "b.example", " x.y=", "%{ir}.%{v}", "r",         "+",
    };
    size_t len = 6;
    memcpy(text, "v=spf1", 6);
    for (unsigned n = random_next(random) % 12; n > 0; n--) {
        const char *piece = pieces[random_next(random) % COUNT(pieces)];
        char octet = (char)(random_next(random) & 0xff);
        bool odd = random_next(random) % 16 == 0;
        size_t piece_len = odd ? 1 : strlen(piece);
        if (len + piece_len > size)
            break;
        memcpy(text + len, odd ? &octet : piece, piece_len);
        len += piece_len;
    }
    return len;
}

/* What is accepted is printable ASCII; a wrong octet put into it anywhere makes it refused. */
static void test_octets(void **state) {
    uint32_t random = 2463534242u;
    unsigned accepted = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct spf_record record;
        char text[200];
        struct why why;
        size_t len = random_record(&random, text, sizeof text);
        int rc = spf_record_parse(text, len, &record, &why);
        if (rc != 0) {
            assert_int_equal(rc, -1);
            assert_int_equal(strncmp(why.text, "octet ", 6), 0);
            continue;
        }
        accepted++;
        for (size_t at = 0; at < len; at++)
            if (text[at] < 0x20 || text[at] > 0x7e)
                fail_msg("octet 0x%02x was accepted", (unsigned char)text[at]);
        spf_record_clear(&record);
        static const char bad[] = {0, 1, '\t', '\n', '\r', 0x1f, 0x7f, '\x80', '\xc3', '\xff'};
        text[random_next(&random) % len] = bad[random_next(&random) % sizeof bad];
        assert_int_equal(spf_record_parse(text, len, &record, &why), -1);
    }
    assert_true(accepted > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is),      cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_nul),
        cmocka_unit_test(test_terms),   cmocka_unit_test(test_behind_all),
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_long),
        cmocka_unit_test(test_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
