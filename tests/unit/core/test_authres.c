/*
 * authres: header fields as they are written, and forged ones in all their spellings.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/authres.h"

static void test_put(void **state) {
    static const struct {
        struct spf_evidence evidence;
        const char *authres, *received;
    } rows[] = {
        {{IDENTITY_MAILFROM, RESULT_PASS, "bob@sender.example", "mail.example", "192.0.2.1",
          "mx.example"},
         "mx.example; spf=pass smtp.mailfrom=bob@sender.example",
         "pass receiver=mx.example; client-ip=192.0.2.1; envelope-from=\"bob@sender.example\"; "
         "helo=mail.example; identity=mailfrom"},
        {{IDENTITY_HELO, RESULT_FAIL, "", "mail.example", "2001:db8::1", "mx.example"},
         "mx.example; spf=fail smtp.helo=mail.example",
         "fail receiver=mx.example; client-ip=\"2001:db8::1\"; envelope-from=\"\"; "
         "helo=mail.example; identity=helo"},
        {{IDENTITY_MAILFROM, RESULT_NONE, "john doe;x@sender.example", NULL, "192.0.2.1", "mx"},
         "mx; spf=none smtp.mailfrom=\"john doe;x\"@sender.example",
         NULL},
        {{IDENTITY_MAILFROM, RESULT_NONE, "\"a b\"@sender.example", NULL, "192.0.2.1", "mx"},
         "mx; spf=none smtp.mailfrom=\"a b\"@sender.example",
         NULL},
        {{IDENTITY_MAILFROM, RESULT_NONE, "\"a\"; dkim=pass x=\"b\"@d.example", NULL, "192.0.2.1",
          "mx"},
         "mx; spf=none smtp.mailfrom=\"\\\"a\\\"; dkim=pass x=\\\"b\\\"\"@d.example",
         NULL},
        {{IDENTITY_MAILFROM, RESULT_NONE, "\"a\\\"@d.example", NULL, "192.0.2.1", "mx"},
         "mx; spf=none smtp.mailfrom=\"\\\"a\\\\\\\"\"@d.example",
         NULL},
        {{IDENTITY_MAILFROM, RESULT_NONE, "a..b@d.example", NULL, "192.0.2.1", "mx"},
         "mx; spf=none smtp.mailfrom=\"a..b\"@d.example",
         NULL},
        {{IDENTITY_MAILFROM, RESULT_NONE, "a@d.example; dkim=pass", NULL, "192.0.2.1", "mx"},
         "mx; spf=none smtp.mailfrom=\"a@d.example; dkim=pass\"",
         NULL},
        {{IDENTITY_HELO, RESULT_NONE, "", "evil (x); dkim=pass", "192.0.2.1", "mx"},
         "mx; spf=none smtp.helo=\"evil (x); dkim=pass\"",
         NULL},
        {{IDENTITY_HELO, RESULT_NONE, "", "a\"b\\c\r\nX: y", "192.0.2.1", "mx"},
         "mx; spf=none smtp.helo=\"a\\\"b\\\\c??X: y\"",
         NULL},
        {{IDENTITY_HELO, RESULT_NONE, "", "[192.0.2.1]", "192.0.2.1", "mx"},
         "mx; spf=none smtp.helo=\"[192.0.2.1]\"",
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[500];
        struct textbuf buf;
        textbuf_init(&buf, memory, sizeof memory);
        authres_put(&buf, &rows[i].evidence);
        assert_string_equal(memory, rows[i].authres);
        textbuf_init(&buf, memory, sizeof memory);
        received_spf_put(&buf, &rows[i].evidence);
        if (rows[i].received != NULL)
            assert_string_equal(memory, rows[i].received);
    }
}

static void test_claims(void **state) {
    static const struct {
        const char *value;
        bool ours;
    } rows[] = {
        {"mx.example; spf=pass", true},
        {" mx.example; spf=pass", true},
        {"MX.Example; spf=pass", true},
        {"mx.example", true},
        {"mx.example 1; spf=pass", true},
        {"mx.example\t1 ; none", true},
        {"\r\n mx.example;\r\n spf=pass", true},
        {"(comment) mx.example; spf=pass", true},
        {"(a (nested) \\) comment) (another)\r\n\tmx.example; spf=pass", true},
        {"mx.example(comment); spf=pass", true},
        {"\"mx.example\"; spf=pass", true},
        {"\"mx\\.exam\\ple\" 1; spf=pass", true},
        {"mx.example.org; spf=pass", false},
        {"other.example; spf=pass", false},
        {"x.mx.example; spf=pass", false},
        {"mx.exampl; spf=pass", false},
        {"\"mx.example.org\"; spf=pass", false},
        {"\"mx.exampl\"; spf=pass", false},
        {"(mx.example) other.example; spf=pass", false},
        {"", false},
        {"(unclosed mx.example; spf=pass", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (authres_claims(rows[i].value, "mx.example") != rows[i].ours)
            fail_msg("\"%s\"", rows[i].value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
