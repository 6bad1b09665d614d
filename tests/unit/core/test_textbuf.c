/*
 * textbuf: what strangers' octets become in a log, a reply and a header.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gatepost/core/textbuf.h"

static void test_logfmt(void **state) {
    static const struct {
        const char *value, *text;
    } rows[] = {
        {NULL, ""},
        {"", "\"\""},
        {"plain", "plain"},
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"\\", "\"say \\\"hi\\\"\\\\\""},
        {"line\r\nevent=forged", "\"line\\r\\nevent=forged\""},
        {"\x1b[31m\x7f", "\"\\x1b[31m\\x7f\""},
        {"J\xc3\xb6rg", "J\xc3\xb6rg"},
        {"\xff\xfe", "\"\\xff\\xfe\""},
        {"\xc0\xaf", "\"\\xc0\\xaf\""},
        {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""},
        {"\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\""},
        {"\xc2\x9bq", "\"\\xc2\\x9bq\""},
        {"\xe2\x80\xae"
         "evil",
         "\"\\xe2\\x80\\xae"
         "evil\""},
        {"\xe2\x81\xa6x", "\"\\xe2\\x81\\xa6x\""},
        {"\xd8\x9cx", "\"\\xd8\\x9cx\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[200];
        struct textbuf buf;
        textbuf_init(&buf, memory, sizeof memory);
        textbuf_put_logfmt(&buf, rows[i].value);
        assert_string_equal(memory, rows[i].text);
        assert_int_equal(buf.len, strlen(memory));
    }
}

static void test_json(void **state) {
    static const struct {
        const char *value, *text;
    } rows[] = {
        {NULL, "null"},
        {"", "\"\""},
        {"a\"b\\c\n", "\"a\\\"b\\\\c\\n\""},
        {"\x01\xff", "\"\\u0001\\u00ff\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[200];
        struct textbuf buf;
        textbuf_init(&buf, memory, sizeof memory);
        textbuf_put_json(&buf, rows[i].value);
        assert_string_equal(memory, rows[i].text);
    }
}

static void test_long_value_is_cut(void **state) {
    char value[4097], memory[9000];
    struct textbuf buf;
    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    textbuf_init(&buf, memory, sizeof memory);
    textbuf_put_logfmt(&buf, value);
    assert_int_equal(buf.len, LOG_VALUE_MAX + strlen("\"\"..."));
    assert_false(buf.cut);
}

static void test_small_buffer(void **state) {
    char memory[8];
    struct textbuf buf;
    (void)state;
    textbuf_init(&buf, memory, sizeof memory);
    textbuf_puts(&buf, "12345");
    textbuf_printf(&buf, "%d", 6789);
    assert_string_equal(memory, "1234567");
    assert_true(buf.cut);
    textbuf_puts(&buf, "more");
    assert_string_equal(memory, "1234567");
}

/* Any octets: a reply stays one line of printable US-ASCII in which every '%' is doubled. */
static void test_reply_any_octets(void **state) {
    (void)state;
    srand(5321);
    for (int round = 0; round < 20000; round++) {
        char text[64], memory[200];
        size_t len = (size_t)(rand() % 60);
        struct textbuf buf;
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(rand() % 3 == 0 ? '%' : 1 + rand() % 255);
        text[len] = '\0';
        textbuf_init(&buf, memory, sizeof memory);
        textbuf_put_reply(&buf, text, 50);
        for (size_t i = 0; i < buf.len; i++) {
            assert_in_range((unsigned char)memory[i], 0x20, 0x7e);
            if (memory[i] == '%') {
                assert_int_equal(memory[i + 1], '%');
                i++;
            }
        }
    }
}

static void test_visible(void **state) {
    static const char text[] = "a b=\"c\" \\ \n\t\x1b[31m\x7f \xc3\xa9 \xff \xe2\x80\xae\0z";
    char memory[200];
    struct textbuf buf;
    (void)state;
    textbuf_init(&buf, memory, sizeof memory);
    textbuf_put_visible(&buf, text, sizeof text - 1);
    assert_string_equal(memory, "a b=\"c\" \\\\ \\n\\t\\x1b[31m\\x7f \xc3\xa9 \\xff "
                                "\\xe2\\x80\\xae\\x00z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),       cmocka_unit_test(test_visible),
        cmocka_unit_test(test_json),         cmocka_unit_test(test_long_value_is_cut),
        cmocka_unit_test(test_small_buffer), cmocka_unit_test(test_reply_any_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
