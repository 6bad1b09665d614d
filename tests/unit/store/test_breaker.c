/*
 * breaker and pool: three failures in a row take a server for down, and only failures of its own.
 */
#include "tests/unit/unit.h"

#include "gatepost/base/clock.h"
#include "gatepost/store/redis/pool.h"
#include "milter/store/redis/breaker.h"

static struct redis_breaker breaker;
static struct why why;

static int set_up(void **state) {
    (void)state;
    redis_breaker_init(&breaker);
    redis_breaker_supervise(&breaker, true);
    why.text[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    redis_breaker_destroy(&breaker);
    return 0;
}

static bool fails_at(int64_t began) {
    return redis_breaker_failed(&breaker, began, "no answer", "redis://r", "r:6379");
}

static void test_third_failure_opens(void **state) {
    (void)state;
    int64_t now = clock_now_ms();
    assert_false(fails_at(now));
    assert_false(fails_at(now));
    assert_true(redis_breaker_allows(&breaker, &why));
    assert_true(fails_at(now));
    assert_false(redis_breaker_allows(&breaker, &why));
    assert_string_equal(why.text, "no answer, since 0 s");
    assert_false(fails_at(now)); /* it is open already */
    redis_breaker_answered(&breaker, "redis://r", "r:6379");
    assert_true(redis_breaker_allows(&breaker, &why));
}

static void test_an_answer_in_between(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_false(fails_at(clock_now_ms()));
        assert_false(fails_at(clock_now_ms()));
        redis_breaker_answered(&breaker, "redis://r", "r:6379");
    }
    assert_true(redis_breaker_allows(&breaker, &why));
}

/* Who began to wait before the last answer says nothing of what came after it. */
static void test_what_is_older_than_the_answer(void **state) {
    (void)state;
    redis_breaker_answered(&breaker, "redis://r", "r:6379");
    for (int i = 0; i < 5; i++)
        assert_false(fails_at(clock_now_ms() - 1000));
    assert_true(redis_breaker_allows(&breaker, &why));
}

/* Nobody would close it again. */
static void test_unsupervised(void **state) {
    (void)state;
    redis_breaker_supervise(&breaker, false);
    for (int i = 0; i < 5; i++)
        assert_false(fails_at(clock_now_ms()));
    assert_true(redis_breaker_allows(&breaker, &why));
}

static bool late_for(uint64_t key) {
    return redis_breaker_late(&breaker, key, clock_now_ms(), "late", "redis://r", "r:6379");
}

/* One fat key, or a few, say nothing of the server, however often they are asked for. */
static void test_late_answers_of_few_keys(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_false(late_for((uint64_t)(i % (BREAKER_LATE_MAX - 1))));
    assert_true(redis_breaker_allows(&breaker, &why));
}

static void test_late_answers_of_many_keys(void **state) {
    (void)state;
    for (uint64_t key = 1; key < BREAKER_LATE_MAX; key++)
        assert_false(late_for(key));
    redis_breaker_served(&breaker, "redis://r", "r:6379"); /* that ends the row */
    for (uint64_t key = 1; key < BREAKER_LATE_MAX; key++)
        assert_false(late_for(key));
    assert_true(late_for(0));
    assert_false(late_for(99)); /* it is open already */
    assert_false(redis_breaker_allows(&breaker, &why));
    assert_string_equal(why.text, "late; so it was for 5 keys in a row, since 0 s");
}

/* A PING does not close it, nor do late answers to those who try; a whole one does. */
static void test_trials(void **state) {
    (void)state;
    for (uint64_t key = 0; key < BREAKER_LATE_MAX; key++)
        late_for(key);
    redis_breaker_answered(&breaker, "redis://r", "r:6379");
    assert_false(redis_breaker_awaits_answer(&breaker));
    assert_false(redis_breaker_allows(&breaker, &why));
    for (int i = 0; i < 2; i++) {
        breaker.trial = clock_now_ms(); /* as if a second had passed */
        assert_true(redis_breaker_allows(&breaker, &why));
        assert_false(redis_breaker_allows(&breaker, &why));
        assert_false(late_for(7));
    }
    redis_breaker_served(&breaker, "redis://r", "r:6379");
    assert_true(redis_breaker_allows(&breaker, &why));
    assert_true(redis_breaker_allows(&breaker, &why));
}

static void test_nobody_tries(void **state) {
    (void)state;
    for (uint64_t key = 0; key < BREAKER_LATE_MAX; key++)
        late_for(key);
    breaker.last_late -= BREAKER_LATE_MEMORY;
    redis_breaker_answered(&breaker, "redis://r", "r:6379");
    assert_true(redis_breaker_allows(&breaker, &why));
    for (uint64_t key = 1; key < BREAKER_LATE_MAX; key++)
        assert_false(late_for(key)); /* a new row */
}

/* What is late and what fails: once nothing comes at all, an answer closes it. */
static void test_late_answers_and_failures(void **state) {
    (void)state;
    for (uint64_t key = 0; key < BREAKER_LATE_MAX; key++)
        late_for(key);
    for (int i = 0; i < 3; i++)
        assert_false(fails_at(clock_now_ms()));
    assert_true(redis_breaker_awaits_answer(&breaker));
    redis_breaker_answered(&breaker, "redis://r", "r:6379");
    assert_true(redis_breaker_allows(&breaker, &why));
}

/* No time was left to ask it: the server is not at fault. One that refuses the connection is. */
static void test_pool(void **state) {
    struct redis_server server = {.path = "/nonexistent/redis.sock"};
    struct redis_lease lease;
    (void)state;
    struct redis_pool *pool = redis_pool_new(&server, "redis://r");
    assert_non_null(pool);
    redis_pool_supervise(pool, true);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(redis_pool_take(pool, false, clock_now_ms() - 1, &lease, &why), -1);
        assert_string_equal(why.text, "no time left within store_timeout");
    }
    assert_true(redis_pool_is_up(pool));
    for (int i = 0; i < 3; i++)
        assert_int_equal(redis_pool_take(pool, false, clock_now_ms() + 5000, &lease, &why), -1);
    assert_string_equal(why.text, "connect: No such file or directory");
    assert_false(redis_pool_is_up(pool));
    redis_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_third_failure_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_answer_in_between, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_older_than_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unsupervised, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_answers_of_few_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_answers_of_many_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_tries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_answers_and_failures, set_up, tear_down),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
