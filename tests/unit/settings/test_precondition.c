/*
 * precondition: what must be in the header of a change.
 */
#include "tests/unit/unit.h"

#include "milter/settings/precondition.h"

#define ORIGIN "https://mail.example.com"

static void test_same_site(void **state) {
    static const struct {
        struct http_field fields[2];
        size_t n;
        const char *origin;
        bool good;
    } rows[] = {
        {{{"Accept", "*/*"}}, 1, ORIGIN, true},
        {{{"Origin", ORIGIN}}, 1, ORIGIN, true},
        {{{"origin", ORIGIN}, {"Sec-Fetch-Site", "same-origin"}}, 2, ORIGIN, true},
        {{{"Sec-Fetch-Site", "none"}}, 1, ORIGIN, true},
        {{{"Sec-Fetch-Site", "same-site"}}, 1, ORIGIN, false},
        {{{"sec-fetch-site", "cross-site"}}, 1, ORIGIN, false},
        {{{"Sec-Fetch-Site", ""}}, 1, ORIGIN, false},
        {{{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}}, 2, ORIGIN, false},
        {{{"Origin", ORIGIN}, {"Origin", ORIGIN}}, 2, ORIGIN, false},
        {{{"Origin", "null"}}, 1, ORIGIN, false},
        {{{"Origin", ORIGIN "/"}}, 1, ORIGIN, false},
        {{{"Origin", ORIGIN ".evil.example"}}, 1, ORIGIN, false},
        {{{"Origin", "http://mail.example.com"}}, 1, ORIGIN, false},
        {{{"Origin", ORIGIN}, {"Sec-Fetch-Site", "cross-site"}}, 2, ORIGIN, false},
        {{{"Origin", ORIGIN}}, 1, "", false},
        {{{"Origin", ""}}, 1, "", false},
        {{{"Accept", "*/*"}}, 1, "", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct http_request request = {.fields = rows[i].fields, .n_fields = rows[i].n};
        struct why why = {""};
        if (precondition_same_site(&request, rows[i].origin, &why) != rows[i].good)
            fail_msg("row %zu: %s", i, why.text);
        assert_int_equal(why.text[0] == '\0', rows[i].good);
    }
}

static void test_type(void **state) {
    static const struct {
        const char *value;
        bool good;
    } rows[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json; charset=utf-8", true},
        {"application/json ;charset=utf-8", true},
        {"application/jsonp", false},
        {"application/json, text/plain", false},
        {"text/plain; application/json", false},
        {"application/x-www-form-urlencoded", false},
        {"multipart/form-data", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct http_field field[] = {{"content-type", rows[i].value}};
        const struct http_request request = {.fields = field, .n_fields = 1};
        if (precondition_is_type(&request, "application/json") != rows[i].good)
            fail_msg("%s", rows[i].value);
    }
    const struct http_field twice[] = {{"Content-Type", "application/json"},
                                       {"Content-Type", "application/json"}};
    const struct http_request request = {.fields = twice, .n_fields = 2};
    assert_false(precondition_is_type(&request, "application/json"));
    const struct http_request none = {.fields = NULL, .n_fields = 0};
    assert_false(precondition_is_type(&none, "application/json"));
}

static void test_matches(void **state) {
    static const struct {
        const char *value;
        int found;
    } rows[] = {
        {NULL, -1},
        {"*", 1},
        {"\"abc\"", 1},
        {"\"x\", \"abc\"", 1},
        {"\"x\",\"abc\"", 1},
        {"W/\"abc\"", 0},
        {"abc", 0},
        {"\"ab\"", 0},
        {"\"abcd\"", 0},
        {"\"abc", 0},
        {"", 0},
        {"\"x\" \"abc\"", 0},
        {"\"x\"", 0},
        {"\"a,\\\"abc\"", 0},
        {"W/\"x\", \"abc\"", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct http_field field[] = {{"If-Match", rows[i].value}};
        const struct http_request request = {.fields = field,
                                             .n_fields = rows[i].value == NULL ? 0 : 1};
        if (precondition_matches(&request, "\"abc\"") != rows[i].found)
            fail_msg("row %zu: %s", i, rows[i].value);
    }
    const struct http_field two[] = {{"If-Match", "\"x\""}, {"if-match", "\"abc\""}};
    const struct http_request request = {.fields = two, .n_fields = 2};
    assert_int_equal(precondition_matches(&request, "\"abc\""), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_site),
        cmocka_unit_test(test_type),
        cmocka_unit_test(test_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
