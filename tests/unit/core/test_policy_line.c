/*
 * policy_line: one line taken apart, and which facts a line can hold.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/policy_line.h"

static void test_parse(void **state) {
    static const struct {
        const char *line;
        int kind;
        const char *subject, *field, *value; /* or the reason in value */
    } rows[] = {
        {"account:a@b source any\n", 1, "account:a@b", "source", "any"},
        {"\taccount:a@b \t ip:192.0.2.0/24   HQ mail  server \r\n", 1, "account:a@b",
         "ip:192.0.2.0/24", "HQ mail  server"},
        {"account:a@b source", 1, "account:a@b", "source", ""},
        {"", 0, NULL, NULL, NULL},
        {"   \r\n", 0, NULL, NULL, NULL},
        {"  # account:a@b source any\n", 0, NULL, NULL, NULL},
        {"account:a@b\n", -1, "account:a@b", NULL, "account:a@b: the field is missing"},
        {"account:A@b source any\n", -1, "account:A@b", NULL, "account:A@b: accounts must be"},
        {"acount:a@b source any\n", -1, "acount:a@b", NULL, "acount:a@b: the subject must be"},
        {"network: 10.0.0.0/8\n", -1, "network:", NULL, "network:: the network's name is missing"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[200];
        struct why why = {""};
        struct policy_line out;
        snprintf(line, sizeof line, "%s", rows[i].line);
        assert_int_equal(policy_line_parse(line, strlen(line), &out, &why), rows[i].kind);
        if (rows[i].subject != NULL)
            assert_string_equal(out.subject, rows[i].subject);
        if (rows[i].kind == 1) {
            assert_string_equal(out.field, rows[i].field);
            assert_string_equal(out.value, rows[i].value);
        }
        if (rows[i].kind < 0 && strncmp(why.text, rows[i].value, strlen(rows[i].value)) != 0)
            fail_msg("%s gives: %s", rows[i].line, why.text);
    }
}

static void test_nul(void **state) {
    char line[] = "account:a@b source a\0ny\n", early[] = "account:a\0@b source any\n";
    struct why why;
    struct policy_line out;
    (void)state;
    assert_int_equal(policy_line_parse(line, sizeof line - 1, &out, &why), -1);
    assert_string_equal(out.subject, "account:a@b");
    assert_string_equal(why.text, "a NUL octet");
    assert_int_equal(policy_line_parse(early, sizeof early - 1, &out, &why), -1);
    assert_null(out.subject);
    assert_string_equal(why.text, "a NUL octet");
}

/* What has no obstacle comes back as it was, octet by octet. */
static void test_round_trip(void **state) {
    static const struct {
        const char *subject, *field, *value;
        const char *line; /* NULL: there is none */
    } rows[] = {
        {"account:a@b", "source", "any", "account:a@b source any\n"},
        {"account:a@b", "source", "", "account:a@b source\n"},
        {"account:a@b", "ip:192.0.2.1", "a  note # and \\x41 J\xc3\xb6rg",
         "account:a@b ip:192.0.2.1 a  note # and \\x41 J\xc3\xb6rg\n"},
        {"account:a@b", "ip:192.0.2.1", "\x1b[31m\\ \xff\xc2\x9b\x7f",
         "\\account:a@b ip:192.0.2.1 \\x1b[31m\\\\ \\xff\\xc2\\x9b\\x7f\n"},
        {"account:a@b", "source", "\xe2\x80\xaetxt\xd8\x9c",
         "\\account:a@b source \\xe2\\x80\\xaetxt\\xd8\\x9c\n"},
        {"account:a b@c", "source", "any", "\\account:a\\x20b@c source any\n"},
        {"account:a@b", "so urce\r", "", "\\account:a@b so\\x20urce\\r\n"},
        {"account:a@b", "source", "a\nb\tc", "\\account:a@b source a\\nb\\tc\n"},
        {"account:a@b", "source", "  any ", "\\account:a@b source \\x20 any\\x20\n"},
        {"account:a@b", "source", "any\r", "\\account:a@b source any\\r\n"},
        {"account:\\a@b", "source", "any", "account:\\a@b source any\n"},
        {"account:A@c", "source", "any", NULL},
        {"account:a@b", "", "any", NULL},
        {"other", "source", "any", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t field_len = strlen(rows[i].field), value_len = strlen(rows[i].value);
        const char *obstacle = policy_line_obstacle(rows[i].subject, rows[i].field, field_len,
                                                    rows[i].value, value_len);
        if ((obstacle == NULL) != (rows[i].line != NULL))
            fail_msg("row %zu: %s", i, obstacle ? obstacle : "no obstacle");
        if (obstacle != NULL)
            continue;
        char memory[300];
        struct textbuf line;
        struct why why;
        struct policy_line out;
        textbuf_init(&line, memory,
                     POLICY_LINE_SIZE(strlen(rows[i].subject) + field_len + value_len));
        policy_line_put(&line, rows[i].subject, rows[i].field, field_len, rows[i].value, value_len);
        assert_false(line.cut);
        assert_string_equal(line.data, rows[i].line);
        assert_int_equal(policy_line_parse(line.data, line.len, &out, &why), 1);
        assert_string_equal(out.subject, rows[i].subject);
        assert_string_equal(out.field, rows[i].field);
        assert_string_equal(out.value, rows[i].value);
    }
    assert_string_equal(policy_line_obstacle("account:a@b", "x\0y", 3, "", 0), "a NUL octet");
    assert_string_equal(policy_line_obstacle("account:a@b", "x", 1, "\0", 1), "a NUL octet");
}

static void test_no_escape(void **state) {
    static const char *const rows[] = {
        "\\account:a@b source \\q\n",   "\\account:a@b source \\\n",
        "\\account:a@b so\\xurce\n",    "\\account:a@b source \\x4\n",
        "\\account:a@b source \\x4g\n", "\\account:a@b source a\\x00\n",
        "\\account:A@b source any\n",   "\\\n",
        "\\ account:a@b x\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[100];
        struct policy_line out;
        struct why why;
        snprintf(line, sizeof line, "%s", rows[i]);
        if (policy_line_parse(line, strlen(line), &out, &why) != -1)
            fail_msg("%s is taken", rows[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
