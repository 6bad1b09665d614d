/*
 * Workers: all work is done, never more wait than may, and the end waits for all.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "gatepost/base/workers.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool open_gate; /* under lock, as the next */
static unsigned begun;
static atomic_uint done;

static void count(struct work *work) {
    (void)work;
    atomic_fetch_add(&done, 1);
}

static void wait_for_gate(struct work *work) {
    pthread_mutex_lock(&lock);
    begun++;
    pthread_cond_broadcast(&changed);
    while (!open_gate)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    count(work);
}

static void test_all_is_done(void **state) {
    static struct work work[1000];
    struct workers *workers;
    unsigned given = 0;
    (void)state;
    atomic_store(&done, 0);
    assert_int_equal(workers_open(4, 2000, &workers), 0);
    for (size_t i = 0; i < 1000; i++) {
        work[i].run = count;
        given += workers_give(workers, &work[i]) == 0;
    }
    workers_close(workers);
    assert_int_equal(given, 1000);
    assert_int_equal(atomic_load(&done), 1000);
    workers_close(NULL);
}

static void test_no_more_wait_than_may(void **state) {
    static struct work work[6];
    struct workers *workers;
    (void)state;
    open_gate = false;
    begun = 0;
    atomic_store(&done, 0);
    assert_int_equal(workers_open(2, 3, &workers), 0);
    for (size_t i = 0; i < 2; i++) {
        work[i].run = wait_for_gate;
        assert_int_equal(workers_give(workers, &work[i]), 0);
    }
    pthread_mutex_lock(&lock);
    while (begun < 2)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    for (size_t i = 2; i < 5; i++) {
        assert_false(workers_are_full(workers));
        work[i].run = count;
        assert_int_equal(workers_give(workers, &work[i]), 0);
    }
    assert_true(workers_are_full(workers));
    work[5].run = count;
    assert_int_equal(workers_give(workers, &work[5]), -1);
    pthread_mutex_lock(&lock);
    open_gate = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    workers_close(workers);
    assert_int_equal(atomic_load(&done), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_done),
        cmocka_unit_test(test_no_more_wait_than_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
