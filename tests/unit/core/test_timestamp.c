/*
 * timestamp: RFC 3339 times in UTC, against the C library's calendar.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "gatepost/core/timestamp.h"

static void test_known(void **state) {
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},          {"2027-01-31T00:00:00Z", 1801353600},
        {"2000-02-29T23:59:59Z", 951868799},  {"1969-12-31T23:59:59Z", -1},
        {"2038-01-19T03:14:08Z", 2147483648}, {"9999-12-31T23:59:59z", 253402300799},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t seconds = 0;
        assert_int_equal(timestamp_parse(rows[i].text, strlen(rows[i].text), &seconds), 0);
        assert_int_equal(seconds, rows[i].seconds);
        char back[TIMESTAMP_SIZE];
        assert_int_equal(strcasecmp(timestamp_format(seconds, back), rows[i].text), 0);
    }
}

static void test_refuses(void **state) {
    static const char *const bad[] = {
        "",
        "2027-01-31",
        "2027-01-31T00:00:00",
        "2027-01-31 00:00:00Z",
        "2027-01-31T00:00:00+00:00",
        "2027-13-01T00:00:00Z",
        "2027-00-01T00:00:00Z",
        "2027-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2027-01-32T00:00:00Z",
        "2027-01-31T24:00:00Z",
        "2027-01-31T00:60:00Z",
        "2027-01-31T00:00:60Z",
        "2027-01-31T00:00:0xZ",
        "27-01-31T00:00:00Z",
        "2027-01-31T00:00:00Z ",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t seconds;
        if (timestamp_parse(bad[i], strlen(bad[i]), &seconds) != -1)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void test_against_library(void **state) {
    (void)state;
    srand(3339);
    for (int i = 0; i < 5000; i++) {
        char text[40];
        int64_t got;
        time_t want = (time_t)((int64_t)rand() * (rand() % 8));
        struct tm tm;
        gmtime_r(&want, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        assert_int_equal(timestamp_parse(text, strlen(text), &got), 0);
        assert_int_equal(got, want);
        char back[TIMESTAMP_SIZE];
        assert_string_equal(timestamp_format(got, back), text);
    }
}

static void test_format_of_any_number(void **state) {
    char text[TIMESTAMP_SIZE];
    (void)state;
    assert_string_equal(timestamp_format(INT64_MAX, text), "9999-12-31T23:59:59Z");
    assert_string_equal(timestamp_format(INT64_MIN, text), "0001-01-01T00:00:00Z");
    assert_string_equal(timestamp_format(-62135596800, text), "0001-01-01T00:00:00Z");
    assert_string_equal(timestamp_format(-86401, text), "1969-12-30T23:59:59Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_against_library),
        cmocka_unit_test(test_format_of_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
