/*
 * spf_macro: the check of macro-strings and domain-specs, and expansion (RFC 7208 7).
 */
#include "tests/unit/unit.h"

#include "milter/spf/macro.h"

/* The message of RFC 7208 7.4. */
static struct spf_macro_values example(bool v6) {
    struct spf_macro_values values = {.local = "strong-bad",
                                      .sender_domain = "email.example.com",
                                      .helo = "mail.example.net",
                                      .domain = "email.example.com",
                                      .name = "mx.example.org",
                                      .receiver = "unknown",
                                      .now = 1234567890};
    const char *client = v6 ? "2001:db8::cb01" : "192.0.2.3";
    ip_parse(client, strlen(client), &values.client);
    return values;
}

struct row {
    const char *text, *expanded;
};

static void check_rows(const struct row *rows, size_t n, const struct spf_macro_values *values) {
    for (size_t i = 0; i < n; i++) {
        char memory[600];
        struct why why = {""};
        struct textbuf buf;
        size_t at = 0;
        if (spf_macro_check(rows[i].text, strlen(rows[i].text), true, &at, &why) != 0)
            fail_msg("\"%s\": octet %zu: %s", rows[i].text, at, why.text);
        textbuf_init(&buf, memory, sizeof memory);
        spf_macro_expand(&buf, rows[i].text, values);
        if (strcmp(memory, rows[i].expanded) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", rows[i].text, memory, rows[i].expanded);
    }
}

/* RFC 7208 7.4, word for word */
static void test_rfc(void **state) {
    static const struct row rows[] = {
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
    };
    static const struct row rows6[] = {
        {"%{ir}.%{v}._spf.%{d2}", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2"
                                  ".ip6._spf.example.com"},
    };
    struct spf_macro_values values = example(false), values6 = example(true);
    (void)state;
    check_rows(rows, COUNT(rows), &values);
    check_rows(rows6, COUNT(rows6), &values6);
}

static void test_letters(void **state) {
    static const struct row rows[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"%%%_%-", "% %20"},
        {"%%{d}", "%{d}"},
        {"%{h} %{p}", "mail.example.net mx.example.org"},
        {"%{i} %{c} %{v}", "192.0.2.3 192.0.2.3 in-addr"},
        {"%{r} %{t}", "unknown 1234567890"},
        {"%{i2} %{i1r}", "2.3 192"},
        {"%{d0001}", "com"},
        {"%{d99999999999999999999999}", "email.example.com"},
        {"%{dR} %{DR}", "com.example.email com.example.email"},
        {"%{S}", "strong-bad%40email.example.com"},
    };
    static const struct row rows6[] = {
        {"%{i}", "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1"},
        {"%{c} %{v}", "2001:db8::cb01 ip6"},
        {"%{C}", "2001%3Adb8%3A%3Acb01"},
        {"%{i2r}", "0.2"},
    };
    struct spf_macro_values values = example(false), values6 = example(true);
    (void)state;
    /* "%{i2r}" reverses first: the last two of the reversed parts are the first two of the text */
    check_rows(rows, COUNT(rows), &values);
    check_rows(rows6, COUNT(rows6), &values6);
}

static void test_delimiters(void **state) {
    static const struct row rows[] = {
        {"%{l}", "a.b-c+d,e/f_g=h"},         {"%{l.}", "a.b-c+d,e/f_g=h"},
        {"%{l-}", "a.b.c+d,e/f_g=h"},        {"%{l+}", "a.b-c.d,e/f_g=h"},
        {"%{l,}", "a.b-c+d.e/f_g=h"},        {"%{l/}", "a.b-c+d,e.f_g=h"},
        {"%{l_}", "a.b-c+d,e/f.g=h"},        {"%{l=}", "a.b-c+d,e/f_g.h"},
        {"%{l.-+,/_=}", "a.b.c.d.e.f.g.h"},  {"%{lr.-+,/_=}", "h.g.f.e.d.c.b.a"},
        {"%{l3.-+,/_=}", "f.g.h"},           {"%{l3r.-+,/_=}", "c.b.a"},
        {"%{L}", "a.b-c%2Bd%2Ce%2Ff_g%3Dh"}, {"%{L,}", "a.b-c%2Bd.e%2Ff_g%3Dh"},
        {"%{l--}", "a.b.c+d,e/f_g=h"},
    };
    struct spf_macro_values values = example(false);
    (void)state;
    values.local = "a.b-c+d,e/f_g=h";
    check_rows(rows, COUNT(rows), &values);
}

/* Values are a stranger's: delimiters at the edges, nothing, everything that is to be escaped. */
static void test_values(void **state) {
    static const struct {
        const char *local, *text, *expanded;
    } rows[] = {
        {"", "<%{l}>", "<>"},
        {"", "<%{l1r-}>", "<>"},
        {".a..b.", "%{l} %{lr} %{l2}", ".a..b. .b..a. b."},
        {"---", "%{l-} %{l1-}|", "... |"},
        {"%{d}", "%{l} %{L}", "%{d} %25%7Bd%7D"},
        {"a b\"<>", "%{L}", "a%20b%22%3C%3E"},
        {"\xc3\xbc\xff\x01\x7f", "%{L}", "%C3%BC%FF%01%7F"},
        {"azAZ09-._~", "%{L}", "azAZ09-._~"},
        {"!#$&'*+/=?^`{|}", "%{L}", "%21%23%24%26%27%2A%2B%2F%3D%3F%5E%60%7B%7C%7D"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spf_macro_values values = example(false);
        const struct row row = {rows[i].text, rows[i].expanded};
        values.local = rows[i].local;
        check_rows(&row, 1, &values);
    }
}

static void test_check(void **state) {
    static const char macro[] = "no such macro";
    static const char letter[] = "a macro that only explanations may use";
    static const char character[] = "a character that is not allowed";
    static const struct {
        const char *text;
        bool explanation;
        int at; /* -1: accepted */
        const char *why;
    } rows[] = {
        {"", false, -1, NULL},
        {"!~", false, -1, NULL},
        {"%{d}%%%_%-", false, -1, NULL},
        {"a b", true, -1, NULL},
        {"%{c}%{r}%{t}", true, -1, NULL},
        {"%{C}%{R}%{T}", true, -1, NULL},
        {"a b", false, 1, character},
        {"x%{c}", false, 1, letter},
        {"%{R}", false, 0, letter},
        {"%{t}", false, 0, letter},
        {"%", true, 0, macro},
        {"a%", true, 1, macro},
        {"% ", true, 0, macro},
        {"%d", true, 0, macro},
        {"%{", true, 0, macro},
        {"%{d", true, 0, macro},
        {"%{}", true, 0, macro},
        {"%{x}", true, 0, macro},
        {"%{d0}", true, 0, macro},
        {"%{d000}", true, 0, macro},
        {"%{d-2}", true, 0, macro},
        {"%{dr2}", true, 0, macro},
        {"%{drr}", true, 0, macro},
        {"%{d;}", true, 0, macro},
        {"%{d }", true, 0, macro},
        {"%%%", true, 2, macro},
        {"a\tb", true, 1, character},
        {"a\r\nb", true, 1, character},
        {"a\x7f", true, 1, character},
        {"\xc3\xbc", true, 0, character},
        {"a%{d}\x01", true, 5, character},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t at = 1000;
        struct why why = {""};
        int rc =
            spf_macro_check(rows[i].text, strlen(rows[i].text), rows[i].explanation, &at, &why);
        bool good = rows[i].at < 0 ? rc == 0
                                   : rc == -1 && at == (size_t)rows[i].at &&
                                         strcmp(why.text, rows[i].why) == 0;
        if (!good)
            fail_msg("\"%s\": %d, octet %zu: %s", rows[i].text, rc, at, why.text);
    }
}

/* A NUL is nowhere part of a macro-string, not even where a letter or a delimiter stands. */
static void test_nul(void **state) {
    static const char *const rows[] = {"*",   "a*b",   "%*",      "%{*}",
                                       "%{*", "%{d*}", "%{d2r*}", "%{d}*"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[20];
        struct why why;
        size_t len = strlen(rows[i]), at;
        memcpy(text, rows[i], len + 1);
        *strchr(text, '*') = '\0';
        if (spf_macro_check(text, len, true, &at, &why) != -1)
            fail_msg("\"%s\" with NUL for * is accepted", rows[i]);
        assert_int_equal(spf_domain_spec_check(text, len, &at, &why), -1);
    }
}

static void test_domain_spec(void **state) {
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"a.example", true},
        {"a.example.", true},
        {"%{d}", true},
        {"x%{d}", true},
        {"a.%{d2}", true},
        {"%%", true},
        {"a.1-1", true},
        {"a.1a", true},
        {".example", true},
        {"a..example", true},
        {"%{d}.example", true},
        {"_spf.x_y.example", true},
        {"", false},
        {"example", false},
        {"example.", false},
        {".", false},
        {"a.1", false},
        {"192.0.2.1", false},
        {"a.-b", false},
        {"a.b-", false},
        {"a.b_c", false},
        {"%{d}x", false},
        {"a.example..", false},
        {"%{d}.", false},
        {"a b.example", false},
        {"%{c}", false},
        {"%{t}.example", false},
        {"%{d", false},
        {"a.b%", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t at;
        struct why why = {"accepted"};
        int rc = spf_domain_spec_check(rows[i].text, strlen(rows[i].text), &at, &why);
        if ((rc == 0) != rows[i].good)
            fail_msg("\"%s\": %s", rows[i].text, why.text);
    }
}

static void test_wants_name(void **state) {
    (void)state;
    assert_true(spf_macro_wants_name("%{p}.example"));
    assert_true(spf_macro_wants_name("%{d}%%%{P2r-}"));
    assert_false(spf_macro_wants_name("p.%{d}.example"));
    assert_false(spf_macro_wants_name("%%{p}"));
    assert_false(spf_macro_wants_name(""));
}

static void test_domain_expand(void **state) {
    static const char label63[] = "123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *local, *text;
        const char *expanded; /* NULL: no domain name */
    } rows[] = {
        {"x", "%{l}.%{d}", "x.email.example.com"},
        {"x", "%{d}.", "email.example.com"},
        {"", "%{l}.example.com", NULL},
        {"", "%{l}", NULL},
        {"a..b", "%{l}.example.com", NULL},
        {".", "%{l}", NULL},
        {"x.", "%{l}", "x"},
        {"x..", "%{l}", NULL},
        {"a b\xff", "%{l}.example.com", "a b\xff.example.com"},
        {label63, "%{l}.example.com",
         "123456789012345678901234567890123456789012345678901234567890123.example.com"},
        {label63, "x%{l}.example.com", NULL},
        {label63, "example.%{l}x", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spf_macro_values values = example(false);
        char out[SPF_DOMAIN_MAX + 1] = "";
        values.local = rows[i].local;
        int rc = spf_domain_expand(rows[i].text, &values, out);
        if (rows[i].expanded == NULL ? rc != -1 : rc != 0 || strcmp(out, rows[i].expanded) != 0)
            fail_msg("\"%s\" of \"%s\": %d, \"%s\"", rows[i].text, rows[i].local, rc, out);
    }
}

/* 126 labels of one octet are 251 octets; every octet more, until labels fall off on the left. */
static void test_truncation(void **state) {
    char local[600];
    (void)state;
    for (size_t len = 1; len < 500; len += 2) {
        struct spf_macro_values values = example(false);
        char out[SPF_DOMAIN_MAX + 1];
        for (size_t i = 0; i < len; i++)
            local[i] = (char)(i % 2 == 1 ? '.' : 'a' + (int)(i / 2 % 26));
        local[len] = '\0';
        values.local = local;
        assert_int_equal(spf_domain_expand("%{l}", &values, out), 0);
        assert_string_equal(out, len <= SPF_DOMAIN_MAX ? local : local + len - SPF_DOMAIN_MAX);
        assert_int_equal(spf_domain_expand("%{l}.ab", &values, out), 0);
        assert_true(strlen(out) <= SPF_DOMAIN_MAX);
        assert_string_equal(out + strlen(out) - 3, ".ab");
        assert_int_equal(strlen(out), len + 3 <= SPF_DOMAIN_MAX ? len + 3 : SPF_DOMAIN_MAX - 1);
    }
}

/* Many macros of long values: bounded, and no domain name. */
static void test_many(void **state) {
    struct spf_macro_values values = example(false);
    char text[4001] = "", helo[2001], out[SPF_DOMAIN_MAX + 1], memory[256];
    struct textbuf buf;
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        memcpy(text + i * 4, "%{H}", 5);
    memset(helo, '@', sizeof helo - 1);
    helo[sizeof helo - 1] = '\0';
    values.helo = helo;
    textbuf_init(&buf, memory, sizeof memory);
    spf_macro_expand(&buf, text, &values);
    assert_true(buf.cut);
    assert_int_equal(strlen(memory), sizeof memory - 1);
    assert_int_equal(spf_domain_expand(text, &values, out), -1);
    memset(helo, '.', sizeof helo - 1);
    assert_int_equal(spf_domain_expand(text, &values, out), -1);
}

/* Work stops where the text is full: without that, these took minutes. */
static void test_no_work_beyond_the_buffer(void **state) {
    static char spec[64001], helo[991];
    char out[SPF_DOMAIN_MAX + 1];
    struct spf_macro_values values = {.local = "l",
                                      .sender_domain = "o.example",
                                      .helo = helo,
                                      .domain = "d.example",
                                      .name = "unknown",
                                      .receiver = "unknown"};
    (void)state;
    memset(helo, '@', sizeof helo - 1);
    for (size_t i = 0; i < 64000; i += 4)
        memcpy(spec + i, "%{H}", 4);
    for (int round = 0; round < 300; round++)
        assert_int_equal(spf_domain_expand(spec, &values, out), -1);
}

/* How much of the client's address a name depends on. */
static void test_address_parts(void **state) {
    static const struct {
        const char *text;
        unsigned parts;
    } rows[] = {
        {"%{i}.x.example", 32},   {"%{I}.example", 32},   {"%{ir}.%{v}.x.example", 32},
        {"%{i1}.example", 1},     {"%{i3r}.example", 3},  {"%{i2}.%{i3}.example", 3},
        {"%{i1-}.example", 32},   {"%{i2.-}.example", 2}, {"%{i99}.example", 32},
        {"x.example", 0},         {"%{h}.example", 0},    {"%{p}.%{v}.example", 0},
        {"%{s}.%{d}.example", 0}, {"%%{i}.example", 0},   {"%%%{i}.example", 32},
        {"%{l}%_%-.example", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (spf_macro_address_parts(rows[i].text) != rows[i].parts)
            fail_msg("%s: %u", rows[i].text, spf_macro_address_parts(rows[i].text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),           cmocka_unit_test(test_letters),
        cmocka_unit_test(test_delimiters),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_check),         cmocka_unit_test(test_nul),
        cmocka_unit_test(test_domain_spec),   cmocka_unit_test(test_wants_name),
        cmocka_unit_test(test_domain_expand), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_many),          cmocka_unit_test(test_no_work_beyond_the_buffer),
        cmocka_unit_test(test_address_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
