/* Epochs: what holds still, and until when something held. */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "milter/cache/epochs.h"

static struct epoch_mark ask(const struct epochs *epochs, int64_t at) {
    return (struct epoch_mark){epochs_state(epochs), at};
}

static void test_never_watched(void **state) {
    struct epochs epochs = {0};
    struct epoch_mark asked = ask(&epochs, 100);
    (void)state;
    assert_int_equal(epochs_watching(&epochs), WATCHING_LOST);
    assert_int_equal(epochs_lost_for(&epochs, 5000), 5000);
    assert_false(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 100);
    epochs_note(&epochs, STORE_LOST, 200); /* a store that was down from the start */
    assert_int_equal(epochs_lost_for(&epochs, 5000), 5000);
    epochs_note(&epochs, STORE_WATCHED, 300);
    assert_false(epochs_hold(&epochs, &asked)); /* it may have changed before the watch began */
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 100);
}

static void test_watched(void **state) {
    struct epochs epochs = {0};
    (void)state;
    epochs_note(&epochs, STORE_WATCHED, 100);
    struct epoch_mark asked = ask(&epochs, 200);
    assert_int_equal(epochs_watching(&epochs), WATCHING_ALL);
    assert_int_equal(epochs_lost_for(&epochs, 5000), 0);
    assert_true(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 5000);
    epochs_note(&epochs, STORE_CHANGED, 300);
    assert_true(epochs_hold(&epochs, &asked));
    epochs_note(&epochs, STORE_LOST, 1000);
    assert_false(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_watching(&epochs), WATCHING_LOST);
    assert_int_equal(epochs_lost_for(&epochs, 5000), 4000);
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 1000);
    epochs_note(&epochs, STORE_LOST, 2000); /* once more: the end was before */
    assert_int_equal(epochs_lost_for(&epochs, 5000), 4000);
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 1000);
    epochs_note(&epochs, STORE_WATCHED, 3000);
    assert_false(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 1000);
}

/* A watch that begins anew without a word of its loss may have missed changes as well. */
static void test_watched_anew(void **state) {
    struct epochs epochs = {0};
    (void)state;
    epochs_note(&epochs, STORE_WATCHED, 100);
    struct epoch_mark asked = ask(&epochs, 200);
    epochs_note(&epochs, STORE_WATCHED, 1000);
    struct epoch_mark later = ask(&epochs, 1100);
    assert_false(epochs_hold(&epochs, &asked));
    assert_true(epochs_hold(&epochs, &later));
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 1000);
    assert_int_equal(epochs_valid_at(&epochs, &later, 5000), 5000);
}

/* The question that was sent between two epochs belongs to neither. */
static void test_asked_while_lost(void **state) {
    struct epochs epochs = {0};
    (void)state;
    epochs_note(&epochs, STORE_WATCHED, 100);
    epochs_note(&epochs, STORE_LOST, 200);
    struct epoch_mark asked = ask(&epochs, 300);
    assert_false(epochs_hold(&epochs, &asked));
    epochs_note(&epochs, STORE_WATCHED, 400);
    assert_false(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 300);
}

/* The mark is taken in the epoch, the answer comes after its end. */
static void test_answered_after_the_end(void **state) {
    struct epochs epochs = {0};
    (void)state;
    epochs_note(&epochs, STORE_WATCHED, 100);
    struct epoch_mark asked = ask(&epochs, 0);
    epochs_note(&epochs, STORE_LOST, 200);
    asked.at = 250;
    assert_false(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 250);
}

static void test_blind(void **state) {
    struct epochs epochs = {0};
    (void)state;
    epochs_note(&epochs, STORE_BLIND, 100);
    struct epoch_mark asked = ask(&epochs, 200);
    assert_int_equal(epochs_watching(&epochs), WATCHING_BLIND);
    assert_int_equal(epochs_lost_for(&epochs, 5000), 0);
    assert_false(epochs_hold(&epochs, &asked)); /* it may have changed since */
    assert_int_equal(epochs_valid_at(&epochs, &asked, 5000), 200);
    epochs_note(&epochs, STORE_BLIND, 10100); /* said again and again while it answers */
    assert_int_equal(epochs_valid_at(&epochs, &asked, 11000), 200);
    assert_int_equal(epochs_lost_for(&epochs, 11000), 0);
    epochs_note(&epochs, STORE_LOST, 11000);
    assert_false(epochs_hold(&epochs, &asked));
    assert_int_equal(epochs_lost_for(&epochs, 12000), 1000);
    epochs_note(&epochs, STORE_BLIND, 13000);
    assert_false(epochs_hold(&epochs, &asked));
    struct epoch_mark blind = ask(&epochs, 13100);
    epochs_note(&epochs, STORE_WATCHED, 14000);
    assert_false(epochs_hold(&epochs, &blind));
    assert_int_equal(epochs_valid_at(&epochs, &blind, 15000), 13100);
    struct epoch_mark watched = ask(&epochs, 14100);
    epochs_note(&epochs, STORE_BLIND, 16000);
    assert_false(epochs_hold(&epochs, &watched));
    assert_int_equal(epochs_valid_at(&epochs, &watched, 17000), 16000);
}

/* Only the ends of the last epochs are kept; what is older held when it was asked for. */
static void test_old_ends(void **state) {
    struct epochs epochs = {0};
    (void)state;
    epochs_note(&epochs, STORE_WATCHED, 100);
    struct epoch_mark asked = ask(&epochs, 200);
    for (int64_t i = 1; i <= 3 * EPOCHS_KEPT; i++) {
        epochs_note(&epochs, STORE_WATCHED, 1000 * i);
        assert_false(epochs_hold(&epochs, &asked));
        assert_int_equal(epochs_valid_at(&epochs, &asked, 1000000),
                         i <= EPOCHS_KEPT - 2 ? 1000 : 200);
    }
}

/* Epochs come and go while another thread asks: no end is ever taken for another one. */
static void *run_watch(void *arg) {
    struct epochs *epochs = arg;
    for (int64_t i = 2; i <= 200000; i++)
        epochs_note(epochs, i % 3 == 0 ? STORE_LOST : STORE_WATCHED, 10 * i);
    return NULL;
}

static void test_asked_meanwhile(void **state) {
    struct epochs epochs = {0};
    pthread_t watch;
    (void)state;
    epochs_note(&epochs, STORE_WATCHED, 10);
    const struct epoch_mark first = ask(&epochs, 15);
    assert_int_equal(pthread_create(&watch, NULL, run_watch, &epochs), 0);
    while (epochs_hold(&epochs, &first))
        continue;
    for (int i = 0; i < 500000; i++) {
        int64_t valid = epochs_valid_at(&epochs, &first, 1000000000);
        if (valid != 20 && valid != 15)
            fail_msg("valid until %lld", (long long)valid);
    }
    pthread_join(watch, NULL);
    assert_int_equal(epochs_valid_at(&epochs, &first, 1000000000), 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_watched),
        cmocka_unit_test(test_watched),
        cmocka_unit_test(test_watched_anew),
        cmocka_unit_test(test_asked_while_lost),
        cmocka_unit_test(test_answered_after_the_end),
        cmocka_unit_test(test_blind),
        cmocka_unit_test(test_old_ends),
        cmocka_unit_test(test_asked_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
