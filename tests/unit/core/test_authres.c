/*
 * authres: header fields as they are written, however long their parts are.
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

/* A text of `len` times the same octet, then `end`. */
static const char *repeated(char octet, size_t len, const char *end) {
    static char texts[4][6000];
    static int next;
    char *text = texts[next++ % 4];
    memset(text, octet, len);
    strcpy(text + len, end);
    return text;
}

/* As a reader of the message has it, lines unfolded; fails if one is too long. */
static const char *unfolded(const char *name, char *value) {
    char *to = value;
    size_t line = strlen(name) + strlen(": ");
    for (const char *from = value; *from != '\0'; from++, line++) {
        assert_true(line < 998 || *from == '\n');
        if (*from != '\n') {
            *to++ = *from;
            continue;
        }
        assert_int_equal(from[1], ' ');
        line = (size_t)-1;
    }
    *to = '\0';
    return value;
}

static void check_long(const struct spf_evidence *evidence, const char *authres,
                       const char *received) {
    char memory[AUTHRES_SIZE];
    struct textbuf buf;
    textbuf_init(&buf, memory, sizeof memory);
    authres_put(&buf, evidence);
    assert_false(buf.cut);
    unfolded("Authentication-Results", memory);
    if (strstr(memory, authres) == NULL)
        fail_msg("no \"%s\" in \"%s\"", authres, memory);
    textbuf_init(&buf, memory, sizeof memory);
    received_spf_put(&buf, evidence);
    assert_false(buf.cut);
    unfolded("Received-SPF", memory);
    if (strstr(memory, received) == NULL)
        fail_msg("no \"%s\" in \"%s\"", received, memory);
    assert_non_null(strstr(memory, "; identity="));
}

/* There is always a field, and no line over 998 octets. */
static void test_long(void **state) {
    (void)state;
    struct spf_evidence e = {IDENTITY_MAILFROM, RESULT_SOFTFAIL, "",
                             "mail.example",    "192.0.2.1",     "mx.example"};
    e.sender = repeated('a', 900, "@sender.example");
    char whole[3000];
    snprintf(whole, sizeof whole, "mx.example; spf=softfail smtp.mailfrom=%s", e.sender);
    check_long(&e, whole, e.sender);
    e.sender = repeated('a', 1985, "@sender.example");
    check_long(&e, "mx.example; spf=softfail smtp.mailfrom=sender.example",
               "aaaa@sender.example\"; helo=mail.example");
    e.sender = repeated('"', 700, "@sender.example"); /* each is quoted */
    check_long(&e, "; spf=softfail smtp.mailfrom=sender.example", "\"@sender.example\"; helo=");
    e.sender = repeated('a', 1985, "@b c");
    check_long(&e, "; spf=softfail smtp.mailfrom=\"...aaa", "aaa@b c\"; helo=");
    char domain[3000];
    snprintf(domain, sizeof domain, "x@%s", repeated('a', 1900, ".example"));
    e.sender = domain; /* no part of it could be taken for another domain */
    check_long(&e, "; spf=softfail smtp.mailfrom=\"...aaa", "envelope-from=\"...aaa");
    snprintf(domain, sizeof domain, "x@bank.example.%s", repeated('a', 1900, ".example"));
    check_long(&e, "aaa.example\"", "aaa.example\"; helo=");
    e.identity = IDENTITY_HELO;
    e.sender = "";
    e.helo = repeated('h', 1900, ".example");
    check_long(&e, "; spf=softfail smtp.helo=\"...hhh", "; helo=\"...hhh");
    check_long(&e, "hhh.example\"", "hhh.example\"; identity=helo");
    e.helo = repeated('(', 1900, "\xc3\xa9\xc3\xa9");
    check_long(&e, "(\xc3\xa9\xc3\xa9\"", "(\xc3\xa9\xc3\xa9\"; identity=helo");
    /* wherever it is cut, not within a character */
    for (size_t i = 0; i < 4; i++) {
        static char helo[2004];
        for (size_t n = 0; n < 1900; n += 2)
            memcpy(helo + i + n, "\xc3\xa9", 3);
        memset(helo, 'x', i);
        e.helo = helo;
        check_long(&e, "smtp.helo=\"...\xc3\xa9", "helo=\"...\xc3\xa9");
    }
    e.helo = repeated('\n', 1900, "");
    check_long(&e, "smtp.helo=\"...???", "helo=\"...???");
    e.receiver = repeated('m', 3000, ".example");
    check_long(&e, "mm.example\"; spf=softfail smtp.helo=", "receiver=\"...mmm");
}

/* At every length the field is whole, whatever line it ends on. */
static void test_every_length(void **state) {
    (void)state;
    for (size_t len = 0; len < 2100; len++) {
        const struct spf_evidence e = {
            IDENTITY_HELO,          RESULT_NONE, repeated('s', len % 1000, "@sender.example"),
            repeated('h', len, ""), "192.0.2.1", "mx.example"};
        check_long(&e, "mx.example; spf=none smtp.helo=", "; helo=");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
