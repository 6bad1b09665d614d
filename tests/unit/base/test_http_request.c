/*
 * Targets, queries and percent-encoding.
 */
#include "tests/unit/unit.h"

#include "gatepost/base/http_request.h"

static void check_split(const char *target, const char *path, const char *query) {
    char text[200];
    const char *got_path, *got_query;
    snprintf(text, sizeof text, "%s", target);
    http_target_split(text, &got_path, &got_query);
    assert_string_equal(got_path, path);
    assert_string_equal(got_query, query);
}

static void test_targets(void **state) {
    (void)state;
    check_split("/v1/allow", "/v1/allow", "");
    check_split("/v1/allow?", "/v1/allow", "");
    check_split("/v1/allow?a=b?c", "/v1/allow", "a=b?c");
    check_split("http://gatepost/v1/dovecot?command=allow", "/v1/dovecot", "command=allow");
    check_split("http://gatepost?a=b", "", "a=b");
    check_split("http://gatepost", "", "");
    check_split("//gatepost/v1", "//gatepost/v1", "");
    check_split("/a?u=http://x/v1", "/a", "u=http://x/v1");
    check_split("://x/v1", "://x/v1", "");
    check_split("a/b://x/v1", "a/b://x/v1", "");
    check_split("*", "*", "");
    check_split("", "", "");
}

static int decode(const char *text, char *out, size_t size) {
    return percent_decode(text, strlen(text), out, size);
}

static void test_decoding(void **state) {
    char out[6];
    (void)state;
    assert_int_equal(decode("a%4a%4B+", out, sizeof out), 0);
    assert_string_equal(out, "aJK+");
    assert_int_equal(decode("", out, sizeof out), 0);
    assert_string_equal(out, "");
    assert_int_equal(decode("12345", out, sizeof out), 0);
    assert_int_equal(decode("123456", out, sizeof out), -1);
    assert_int_equal(decode("%31%32%33%34%35%36", out, sizeof out), -1);
    assert_int_equal(decode("", out, 0), -1);
    static const char *const bad[] = {"%", "%4", "%4g", "%g4", "% 4", "%00", "a%", "%%41"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(decode(bad[i], out, sizeof out), -1);
}

static int read_query(const char *query, char a[static 8], char b[static 8]) {
    struct http_member members[] = {{"a", a, 8, 0}, {"bb", b, 8, 0}};
    a[0] = b[0] = '\0';
    return http_query_read(query, members, 2);
}

static void test_queries(void **state) {
    char a[8], b[8];
    (void)state;
    assert_int_equal(read_query("", a, b), 0);
    assert_int_equal(read_query("bb=1%26&a=x=y", a, b), 0);
    assert_string_equal(a, "x=y");
    assert_string_equal(b, "1&");
    assert_int_equal(read_query("a=", a, b), 0);
    static const char *const bad[] = {"a",   "a=1&a=1", "a=1&", "&a=1", "&",   "a=1&&bb=2", "c=1",
                                      "A=1", "aa=1",    "=1",   "b=1",  "a=%", "a=12345678"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_query(bad[i], a, b), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
