/*
 * verdict_line: what is a verdict, and that values come back as they were written.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/textbuf.h"
#include "milter/ctl/replay/verdict_line.h"

#define VERDICT "event=verdict stage=mail client=192.0.2.1 helo=x login= reason=spf us=1"
#define OBJECT "{\"event\":\"verdict\",\"stage\":\"mail\",\"helo\":\"x\",\"login\":null}"

static enum line_kind take(struct verdict_line *line, char *memory, const char *text) {
    return verdict_line_take(line, strcpy(memory, text), strlen(text));
}

static void test_what_is_a_verdict(void **state) {
    static const struct {
        const char *text;
        enum line_kind kind;
    } rows[] = {
        {"", LINE_OTHER},
        {"\n", LINE_OTHER},
        {VERDICT, LINE_VERDICT},
        {VERDICT "\r\n", LINE_VERDICT},
        {OBJECT, LINE_VERDICT},
        {"Nov 28 12:00:00 host gatepost[7]: " VERDICT, LINE_VERDICT},
        {"Nov 28 12:00:00 host gatepost[7]: " OBJECT, LINE_VERDICT},
        {"gatepost-1  | " VERDICT, LINE_VERDICT},
        {"event=verdict", LINE_OTHER},
        {"event=verdicts stage=mail", LINE_OTHER},
        {"event=store-error problem=\"" VERDICT "\"", LINE_OTHER},
        {"host postfix[7]: reject: " VERDICT, LINE_OTHER},
        {"host postfix[7]: x " VERDICT, LINE_OTHER},
        {"x" VERDICT, LINE_OTHER},
        {"{\"event\":\"other\",\"x\":\"" VERDICT "\"}", LINE_OTHER},
        {"{\"event\":\"verdict\",\"stage\":\"ma", LINE_DAMAGED},
        {"{", LINE_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct verdict_line line = {0};
        char memory[400];
        enum line_kind kind = take(&line, memory, rows[i].text);
        if (kind != rows[i].kind)
            fail_msg("%s: %d", rows[i].text, kind);
        if (kind == LINE_VERDICT) {
            assert_string_equal(line.values[KEY_STAGE].text, "mail");
            assert_string_equal(line.values[KEY_HELO].text, "x");
            assert_int_equal(line.values[KEY_LOGIN].state, VALUE_EMPTY);
            assert_int_equal(line.values[KEY_TLS].state, VALUE_MISSING);
        }
        verdict_line_clear(&line);
    }
}

static void test_a_nul_is_damage(void **state) {
    char logfmt[] = "event=verdict stage=mail helo=a\0b reason=spf";
    char other[] = "connect from\0 event=verdict stage=mail";
    struct verdict_line line = {0};
    (void)state;
    assert_int_equal(verdict_line_take(&line, logfmt, sizeof logfmt - 1), LINE_DAMAGED);
    assert_int_equal(line.values[KEY_STAGE].state, VALUE_MISSING);
    assert_int_equal(verdict_line_take(&line, other, sizeof other - 1), LINE_OTHER);
    verdict_line_clear(&line);
}

/* The first of two counts, a quote that is open ends the line, and one line follows another. */
static void test_pairs(void **state) {
    struct verdict_line line = {0};
    char memory[400];
    (void)state;
    assert_int_equal(take(&line, memory, OBJECT), LINE_VERDICT);
    assert_int_equal(take(&line, memory,
                          "event=verdict stage=mail stage=door  odd =x helo=\"a b\" sender=\"x "
                          "login=evil reason=spf"),
                     LINE_VERDICT);
    assert_string_equal(line.values[KEY_STAGE].text, "mail");
    assert_string_equal(line.values[KEY_HELO].text, "a b");
    assert_int_equal(line.values[KEY_SENDER].state, VALUE_MISSING);
    assert_int_equal(line.values[KEY_LOGIN].state, VALUE_MISSING);
    assert_int_equal(take(&line, memory, "nothing"), LINE_OTHER);
    assert_int_equal(line.values[KEY_STAGE].state, VALUE_MISSING);
    verdict_line_clear(&line);
}

static void test_values_come_back(void **state) {
    static const char *const values[] = {
        "",       "plain", "a b",         "\"",           "\\",     "\\n", "\n\r\t\x01\x7f",
        "\xff",   "k=v",   "\xc3\xb6",    "\xe2\x80\xae", "tail\\", "...", "event=verdict x=1",
        "{\"a\"", ": ",    "\xed\xa0\x80"};
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        for (int json = 0; json < 2; json++) {
            struct verdict_line line = {0};
            struct textbuf buf;
            char memory[1000];
            textbuf_init(&buf, memory, sizeof memory);
            textbuf_puts(&buf, json ? "{\"event\":\"verdict\",\"helo\":" : "event=verdict helo=");
            if (json)
                textbuf_put_json(&buf, values[i]);
            else
                textbuf_put_logfmt(&buf, values[i]);
            textbuf_puts(&buf, json ? ",\"tls\":\"no\"}" : " tls=no");
            assert_int_equal(verdict_line_take(&line, memory, buf.len), LINE_VERDICT);
            assert_int_equal(line.values[KEY_HELO].state, VALUE_THERE);
            assert_string_equal(line.values[KEY_HELO].text, values[i]);
            assert_string_equal(line.values[KEY_TLS].text, "no");
            verdict_line_clear(&line);
        }
    }
}

static void test_what_was_cut(void **state) {
    static const struct {
        size_t len;
        bool dots, cut;
    } rows[] = {{LOG_VALUE_MAX, false, false},
                {LOG_VALUE_MAX + 1, false, true},
                {LOG_VALUE_MAX, true, false},
                {3, true, true},
                {4, true, false}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct verdict_line line = {0};
        struct textbuf buf;
        char value[LOG_VALUE_MAX + 2] = "", memory[1000];
        memset(value, 'x', rows[i].len);
        if (rows[i].dots)
            memset(value + rows[i].len - 3, '.', 3);
        textbuf_init(&buf, memory, sizeof memory);
        textbuf_puts(&buf, "event=verdict sender=");
        textbuf_put_logfmt(&buf, value);
        assert_int_equal(verdict_line_take(&line, memory, buf.len), LINE_VERDICT);
        if (line.values[KEY_SENDER].cut != rows[i].cut)
            fail_msg("row %zu", i);
        verdict_line_clear(&line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_verdict),
        cmocka_unit_test(test_a_nul_is_damage),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_values_come_back),
        cmocka_unit_test(test_what_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
