/*
 * rate: how often an account may be changed.
 */
#include "tests/unit/unit.h"

#include "milter/settings/rate.h"

#define NOW 1000000

static void test_burst(void **state) {
    struct rate *rate = rate_new();
    (void)state;
    for (int i = 0; i < RATE_BURST; i++)
        assert_int_equal(rate_take(rate, "alice@example.com", "", NOW), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW), 1);
    assert_int_equal(rate_take(rate, "bob@example.com", "", NOW), 0);
    /* a refusal costs nothing */
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + RATE_INTERVAL - 1), 1);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + RATE_INTERVAL), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + RATE_INTERVAL), 1);
    for (int i = 0; i < RATE_BURST; i++) /* long afterwards all of it is there again */
        assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + 1000 * RATE_INTERVAL), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + 1000 * RATE_INTERVAL), 1);
    rate_free(rate);
}

/* Who asks without end from one address holds up nobody who asks from another. */
static void test_addresses(void **state) {
    struct rate *rate = rate_new();
    (void)state;
    for (int i = 0; i < RATE_BURST; i++)
        assert_int_equal(rate_take(rate, "alice@example.com", "192.0.2.66", NOW), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "192.0.2.66", NOW), 1);
    assert_int_equal(rate_take(rate, "alice@example.com", "192.0.2.7", NOW), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "panel", NOW), 0);
    rate_free(rate);
}

/* One change of many facts is as many changes of one, but is done whole. */
static void test_many_facts(void **state) {
    struct rate *rate = rate_new();
    (void)state;
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW), 0);
    rate_spend(rate, "alice@example.com", "", RATE_BURST - 2, NOW);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW), 0);
    rate_spend(rate, "alice@example.com", "", 40, NOW);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW), 41);
    assert_int_equal(rate_take(rate, "alice@example.com", "192.0.2.7", NOW), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + 41 * RATE_INTERVAL), 0);
    assert_int_equal(rate_take(rate, "alice@example.com", "", NOW + 41 * RATE_INTERVAL), 1);
    rate_free(rate);
}

/* Others, however many, do not make it forget whom it holds back just now: not the latest. */
static void test_many(void **state) {
    struct rate *rate = rate_new();
    char account[40];
    unsigned held = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(account, sizeof account, "busy%d@example.com", i);
        for (int n = 0; n < RATE_BURST; n++)
            rate_take(rate, account, "", NOW);
    }
    for (int i = 0; i < 100000; i++) {
        snprintf(account, sizeof account, "a%d@example.com", i);
        assert_int_equal(rate_take(rate, account, "", NOW), 0);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(account, sizeof account, "busy%d@example.com", i);
        held += rate_take(rate, account, "", NOW) > 0;
    }
    assert_in_range(held, 195, 200); /* five of them may have shared their four places */
    rate_free(rate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_many_facts),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
