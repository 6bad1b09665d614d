/*
 * waiting: relief comes once for who waits long, at once beside another one, never for who is
 * quick.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/waiting.h"

static atomic_int asked;

static void count(void) {
    atomic_fetch_add(&asked, 1);
}

static int setup(void **state) {
    (void)state;
    atomic_store(&asked, 0);
    waiting_set_relief(count);
    return 0;
}

static void test_quick(void **state) {
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};
    struct waiting w = waiting_begin(clock_now_ms() + 60000);
    assert_int_equal(waiting_poll(&w, &ready, 1), 1);
    waiting_end(&w);
    assert_int_equal(atomic_load(&asked), 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_deadline(void **state) {
    int64_t begin = clock_now_ms();
    (void)state;
    struct waiting w = waiting_begin(begin + 250), past = waiting_begin(begin - 1);
    assert_int_equal(waiting_poll(&w, NULL, 0), 0);
    assert_true(clock_now_ms() >= begin + 250);
    assert_int_equal(atomic_load(&asked), 1);
    waiting_end(&w);
    assert_int_equal(waiting_poll(&past, NULL, 0), 0);
    waiting_end(&past);
    assert_int_equal(atomic_load(&asked), 1); /* there is nothing left to wait for */
}

/* Something to read, all the time, is no reason to go on after the deadline. */
static void test_one_descriptor(void **state) {
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    int64_t begin = clock_now_ms();
    assert_int_equal(waiting_fd(fds[0], POLLIN, begin + 50), 0);
    assert_true(clock_now_ms() >= begin + 50);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(waiting_fd(fds[0], POLLIN, clock_now_ms() + 60000), 1);
    assert_int_equal(waiting_fd(fds[0], POLLIN, clock_now_ms()), 0);
    close(fds[0]);
    close(fds[1]);
}

/* Beside one that waits long already, the next one asks before it waits at all. */
static void test_beside_another(void **state) {
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct waiting slow = waiting_begin(clock_now_ms() + 250);
    assert_int_equal(waiting_poll(&slow, NULL, 0), 0);
    assert_int_equal(atomic_load(&asked), 1);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};
    struct waiting w = waiting_begin(clock_now_ms() + 60000);
    assert_int_equal(waiting_poll(&w, &ready, 1), 1);
    assert_int_equal(atomic_load(&asked), 2);
    waiting_end(&w);
    waiting_end(&slow);
    w = waiting_begin(clock_now_ms() + 60000);
    assert_int_equal(waiting_poll(&w, &ready, 1), 1);
    waiting_end(&w);
    assert_int_equal(atomic_load(&asked), 2);
    close(fds[0]);
    close(fds[1]);
}

static void test_condition(void **state) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    int64_t begin = clock_now_ms();
    int rc = 0;
    (void)state;
    clock_cond_init(&cond);
    struct waiting w = waiting_begin(begin + 250);
    pthread_mutex_lock(&mutex);
    while (rc == 0)
        rc = waiting_cond(&w, &cond, &mutex);
    pthread_mutex_unlock(&mutex);
    waiting_end(&w);
    assert_int_equal(rc, ETIMEDOUT);
    assert_true(clock_now_ms() >= begin + 250);
    assert_int_equal(atomic_load(&asked), 1);
    pthread_cond_destroy(&cond);
}

static void *wait_alone(void *arg) {
    struct waiting w;
    waiting_holds_up_nobody();
    w = waiting_begin(clock_now_ms() + 30);
    *(int *)arg = waiting_poll(&w, NULL, 0);
    waiting_end(&w);
    return NULL;
}

/* A thread that holds up nobody asks for nothing, and does not make others ask. */
static void test_alone(void **state) {
    pthread_t thread;
    int rc = -1, fds[2];
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wait_alone, &rc), 0);
    pthread_join(thread, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(atomic_load(&asked), 0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};
    struct waiting w = waiting_begin(clock_now_ms() + 60000);
    assert_int_equal(waiting_poll(&w, &ready, 1), 1);
    waiting_end(&w);
    assert_int_equal(atomic_load(&asked), 0);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_quick, setup),
                                       cmocka_unit_test_setup(test_deadline, setup),
                                       cmocka_unit_test_setup(test_one_descriptor, setup),
                                       cmocka_unit_test_setup(test_beside_another, setup),
                                       cmocka_unit_test_setup(test_condition, setup),
                                       cmocka_unit_test_setup(test_alone, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
