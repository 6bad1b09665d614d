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
static void test_obstacles(void **state) {
    static const struct {
        const char *subject, *field, *value;
        bool held;
    } rows[] = {
        {"account:a@b", "source", "any", true},
        {"account:a@b", "source", "", true},
        {"account:a@b", "ip:192.0.2.1", "a note  with # and \\ and \x01\xff", true},
        {"account:a b@c", "source", "any", false},
        {"account:A@c", "source", "any", false},
        {"account:a@b", "", "any", false},
        {"account:a@b", "so urce", "any", false},
        {"account:a@b", "source", "a\nb", false},
        {"account:a@b", "source", " any", false},
        {"account:a@b", "source", "any\r", false},
        {"account:a@b", "source\r", "", false},
        {"other", "source", "any", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *obstacle =
            policy_line_obstacle(rows[i].subject, rows[i].field, strlen(rows[i].field),
                                 rows[i].value, strlen(rows[i].value));
        if ((obstacle == NULL) != rows[i].held)
            fail_msg("row %zu: %s", i, obstacle ? obstacle : "no obstacle");
        if (obstacle != NULL)
            continue;
        char line[300];
        struct why why;
        struct policy_line out;
        snprintf(line, sizeof line, "%s %s %s\n", rows[i].subject, rows[i].field, rows[i].value);
        assert_int_equal(policy_line_parse(line, strlen(line), &out, &why), 1);
        assert_string_equal(out.subject, rows[i].subject);
        assert_string_equal(out.field, rows[i].field);
        assert_string_equal(out.value, rows[i].value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_obstacles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
