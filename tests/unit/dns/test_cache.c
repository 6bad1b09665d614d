/* The cache of the DNS: how long answers are kept, how many, and who asks for what many want. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "milter/dns/cache.h"
#include "milter/dns/packet.h"

#define SOON (clock_now_ms() + 10000)

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static struct dns_cache *open_cache(size_t entries) {
    struct dns_cache *cache = dns_cache_new(entries);
    assert_non_null(cache);
    return cache;
}

/* An answer of `octets` that may be kept for `ms`. */
static struct dns_answer *answer_for(int64_t ms, size_t octets) {
    struct dns_answer *answer = dns_answer_new(DNS_FOUND, "");
    assert_non_null(answer);
    answer->expires = clock_now_ms() + ms;
    answer->records = calloc(1, sizeof *answer->records);
    assert_non_null(answer->records);
    answer->records[0] = (struct dns_record){calloc(1, octets + 1), octets};
    answer->n = 1;
    return answer;
}

/* Asks, and answers as the one who shall find it. */
static void fill(struct dns_cache *cache, const char *name, int64_t ms, size_t octets) {
    bool owner;
    assert_null(dns_cache_get(cache, name, DNS_TXT, SOON, &owner));
    assert_true(owner);
    struct dns_answer *answer = answer_for(ms, octets);
    dns_cache_put(cache, name, DNS_TXT, answer);
    dns_answer_release(answer);
}

/* Is the answer there? Who would have to find it gives up. */
static bool is_kept(struct dns_cache *cache, const char *name, enum dns_type type) {
    bool owner;
    struct dns_answer *answer = dns_cache_get(cache, name, type, SOON, &owner);
    assert_true(owner == (answer == NULL));
    if (owner)
        dns_cache_put(cache, name, type, NULL);
    dns_answer_release(answer);
    return !owner;
}

static void test_kept_for_its_time(void **state) {
    struct dns_cache *cache = open_cache(1000);
    (void)state;
    fill(cache, "example.com", 100000, 10);
    fill(cache, "short.example.com", 100, 10);
    for (int i = 0; i < 3; i++)
        assert_true(is_kept(cache, "example.com", DNS_TXT));
    assert_true(is_kept(cache, "EXAMPLE.Com", DNS_TXT));
    assert_false(is_kept(cache, "example.com", DNS_MX));
    assert_false(is_kept(cache, "example.co", DNS_TXT));
    sleep_ms(110);
    assert_false(is_kept(cache, "short.example.com", DNS_TXT));
    fill(cache, "short.example.com", 100000, 10);
    assert_true(is_kept(cache, "short.example.com", DNS_TXT));
    dns_cache_free(cache);
}

/* An answer lasts as long as somebody has it. */
static void test_held_longer_than_kept(void **state) {
    struct dns_cache *cache = open_cache(1000);
    bool owner;
    (void)state;
    fill(cache, "example.com", 100000, 10);
    struct dns_answer *held = dns_cache_get(cache, "example.com", DNS_TXT, SOON, &owner);
    assert_non_null(held);
    dns_cache_free(cache);
    assert_int_equal(held->records[0].len, 10);
    dns_answer_release(held);
}

static unsigned count_kept(struct dns_cache *cache, unsigned n) {
    unsigned kept = 0;
    char name[40];
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        kept += is_kept(cache, name, DNS_TXT);
    }
    return kept;
}

static void test_bounded(void **state) {
    struct dns_cache *cache = open_cache(160);
    char name[40];
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        fill(cache, name, 100000, 10);
        assert_true(is_kept(cache, name, DNS_TXT)); /* the oldest go first */
    }
    unsigned kept = count_kept(cache, 2000);
    assert_in_range(kept, 80, 176);
    dns_cache_free(cache);
}

/* A few large answers are as bad as many small ones. */
static void test_bounded_in_octets(void **state) {
    struct dns_cache *cache = open_cache(100000);
    char name[40];
    (void)state;
    for (unsigned i = 0; i < 800; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        fill(cache, name, 100000, 64000);
    }
    unsigned kept = count_kept(cache, 800);
    assert_in_range(kept, 100, 16 * 18); /* 16 MiB, and one answer more in each part */
    dns_cache_free(cache);
}

/* Large answers displace each other, and no small ones; a huge one is not kept at all. */
static void test_large_beside_small(void **state) {
    struct dns_cache *cache = open_cache(100000);
    char name[40];
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        fill(cache, name, 100000, 100);
    }
    for (unsigned i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "large%u.example", i);
        fill(cache, name, 100000, 50000);
    }
    assert_int_equal(count_kept(cache, 200), 200);
    assert_true(is_kept(cache, "large399.example", DNS_TXT));
    fill(cache, "huge.example", 100000, 200000);
    assert_false(is_kept(cache, "huge.example", DNS_TXT));
    assert_true(is_kept(cache, "large399.example", DNS_TXT));
    dns_cache_free(cache);
}

/* What is asked for all the time is not displaced by names that are asked for once. */
static void test_what_is_used_stays(void **state) {
    struct dns_cache *cache = open_cache(1600);
    char name[40];
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        fill(cache, name, 100000, 10);
    }
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "once%u.example", i);
        fill(cache, name, 100000, 10);
        if (i % 200 == 0)
            assert_int_equal(count_kept(cache, 100), 100);
    }
    dns_cache_free(cache);
}

/* ---- failures ---- */

/* Asks, and fails; for how long that is kept. */
static int64_t fail_once(struct dns_cache *cache, int64_t ms) {
    bool owner;
    assert_null(dns_cache_get(cache, "dead.example", DNS_TXT, SOON, &owner));
    assert_true(owner);
    struct dns_answer *answer = dns_answer_new(DNS_FAILED, "no answer in time");
    assert_non_null(answer);
    answer->expires = clock_now_ms() + ms;
    dns_cache_put(cache, "dead.example", DNS_TXT, answer);
    int64_t kept = answer->expires - clock_now_ms();
    dns_answer_release(answer);
    return kept;
}

static void test_repeated_failures(void **state) {
    struct dns_cache *cache = open_cache(1000);
    (void)state;
    assert_in_range(fail_once(cache, 200), 100, 200);
    assert_true(is_kept(cache, "dead.example", DNS_TXT));
    sleep_ms(210);
    assert_in_range(fail_once(cache, 200), 300, 400);
    sleep_ms(410);
    assert_in_range(fail_once(cache, 200), 700, 800);
    sleep_ms(810);
    fill(cache, "dead.example", 10, 10); /* it was an answer this time */
    sleep_ms(20);
    assert_in_range(fail_once(cache, 200), 100, 200);
    sleep_ms(210);
    assert_in_range(fail_once(cache, 200000), DNS_FAILURE_KEPT_MAX - 1000, DNS_FAILURE_KEPT_MAX);
    dns_cache_forget_failures(cache);
    assert_false(is_kept(cache, "dead.example", DNS_TXT));
    fill(cache, "good.example", 100000, 10);
    dns_cache_forget_failures(cache);
    assert_true(is_kept(cache, "good.example", DNS_TXT));
    dns_cache_free(cache);
}

/* A failure by time-out does not count for somebody who has more time. */
static void test_patience(void **state) {
    struct dns_cache *cache = open_cache(1000);
    bool owner;
    (void)state;
    assert_null(dns_cache_get(cache, "dead.example", DNS_TXT, SOON, &owner));
    struct dns_answer *late = dns_answer_new(DNS_FAILED, "no answer in time"), *found;
    assert_non_null(late);
    late->expires = clock_now_ms() + 100000;
    late->patience = 1000;
    dns_cache_put(cache, "dead.example", DNS_TXT, late);
    found = dns_cache_get(cache, "dead.example", DNS_TXT, clock_now_ms() + 1200, &owner);
    assert_ptr_equal(found, late);
    assert_false(owner);
    dns_answer_release(found);
    assert_null(dns_cache_get(cache, "dead.example", DNS_TXT, clock_now_ms() + 2000, &owner));
    assert_true(owner);
    /* while that one asks, the failure is still good for others */
    found = dns_cache_get(cache, "dead.example", DNS_TXT, clock_now_ms() + 500, &owner);
    assert_ptr_equal(found, late);
    assert_false(owner);
    dns_answer_release(found);
    struct dns_answer *answer = answer_for(100000, 10);
    dns_cache_put(cache, "dead.example", DNS_TXT, answer);
    assert_true(is_kept(cache, "dead.example", DNS_TXT));
    dns_answer_release(answer);
    dns_answer_release(late);
    dns_cache_free(cache);
}

/* Many who ask the same at once. */
struct asker {
    struct dns_cache *cache;
    pthread_t thread;
    int64_t wait;
    bool owner;
    struct dns_answer *answer;
};

static void *run_asker(void *arg) {
    struct asker *asker = arg;
    asker->answer = dns_cache_get(asker->cache, "example.com", DNS_TXT,
                                  clock_now_ms() + asker->wait, &asker->owner);
    return NULL;
}

static void start(struct asker *asker, struct dns_cache *cache, int64_t wait) {
    *asker = (struct asker){.cache = cache, .wait = wait};
    assert_int_equal(pthread_create(&asker->thread, NULL, run_asker, asker), 0);
}

static void test_asked_once(void **state) {
    struct dns_cache *cache = open_cache(1000);
    struct asker askers[8];
    bool owner;
    (void)state;
    assert_null(dns_cache_get(cache, "example.com", DNS_TXT, SOON, &owner));
    assert_true(owner);
    for (size_t i = 0; i < COUNT(askers); i++)
        start(&askers[i], cache, 10000);
    sleep_ms(20);
    struct dns_answer *answer = answer_for(100000, 10);
    dns_cache_put(cache, "example.com", DNS_TXT, answer);
    for (size_t i = 0; i < COUNT(askers); i++) {
        pthread_join(askers[i].thread, NULL);
        assert_ptr_equal(askers[i].answer, answer);
        assert_false(askers[i].owner);
        dns_answer_release(askers[i].answer);
    }
    dns_answer_release(answer);
    dns_cache_free(cache);
}

/* An answer that may not be kept is good for those who wait for it, and nobody else. */
static void test_not_to_be_kept(void **state) {
    struct dns_cache *cache = open_cache(1000);
    struct asker asker;
    bool owner;
    (void)state;
    assert_null(dns_cache_get(cache, "example.com", DNS_TXT, SOON, &owner));
    assert_true(owner);
    start(&asker, cache, 10000);
    sleep_ms(200);
    struct dns_answer *answer = answer_for(0, 10);
    dns_cache_put(cache, "example.com", DNS_TXT, answer);
    pthread_join(asker.thread, NULL);
    assert_ptr_equal(asker.answer, answer);
    dns_answer_release(asker.answer);
    dns_answer_release(answer);
    assert_false(is_kept(cache, "example.com", DNS_TXT));
    dns_cache_free(cache);
}

static void test_the_owner_gives_up(void **state) {
    struct dns_cache *cache = open_cache(1000);
    struct asker first, second;
    bool owner;
    (void)state;
    assert_null(dns_cache_get(cache, "example.com", DNS_TXT, SOON, &owner));
    assert_true(owner);
    start(&first, cache, 10000);
    sleep_ms(20);
    dns_cache_put(cache, "example.com", DNS_TXT, NULL);
    pthread_join(first.thread, NULL);
    assert_null(first.answer);
    assert_true(first.owner); /* now it is that one's turn */
    start(&second, cache, 10000);
    sleep_ms(20);
    struct dns_answer *answer = answer_for(100000, 10);
    dns_cache_put(cache, "example.com", DNS_TXT, answer);
    pthread_join(second.thread, NULL);
    assert_ptr_equal(second.answer, answer);
    assert_false(second.owner);
    dns_answer_release(second.answer);
    dns_answer_release(answer);
    assert_true(is_kept(cache, "example.com", DNS_TXT));
    dns_cache_free(cache);
}

/* One who waits does not take the failure of one who had less time, but asks himself. */
static void test_the_owner_had_less_time(void **state) {
    struct dns_cache *cache = open_cache(1000);
    struct asker patient, hasty;
    bool owner;
    (void)state;
    assert_null(dns_cache_get(cache, "example.com", DNS_TXT, SOON, &owner));
    start(&patient, cache, 10000);
    start(&hasty, cache, 1000);
    sleep_ms(200);
    struct dns_answer *late = dns_answer_new(DNS_FAILED, "no answer in time");
    assert_non_null(late);
    late->patience = 1000;
    dns_cache_put(cache, "example.com", DNS_TXT, late);
    pthread_join(patient.thread, NULL);
    pthread_join(hasty.thread, NULL);
    assert_null(patient.answer);
    assert_true(patient.owner);
    assert_ptr_equal(hasty.answer, late);
    dns_cache_put(cache, "example.com", DNS_TXT, NULL);
    dns_answer_release(late);
    dns_answer_release(late);
    dns_cache_free(cache);
}

static void test_the_deadline_passes(void **state) {
    struct dns_cache *cache = open_cache(1000);
    struct asker asker;
    bool owner;
    (void)state;
    assert_null(dns_cache_get(cache, "example.com", DNS_TXT, SOON, &owner));
    assert_true(owner);
    int64_t begin = clock_now_ms();
    start(&asker, cache, 50);
    pthread_join(asker.thread, NULL);
    assert_null(asker.answer);
    assert_false(asker.owner); /* the first one is still at it */
    assert_in_range(clock_now_ms() - begin, 49, 5000);
    dns_cache_put(cache, "example.com", DNS_TXT, NULL);
    dns_cache_free(cache);
}

static atomic_int asked;

static void *run_busy(void *arg) {
    struct dns_cache *cache = arg;
    char name[40];
    for (unsigned i = 0; i < 20000; i++) {
        bool owner;
        snprintf(name, sizeof name, "d%u.example", i % 50);
        struct dns_answer *answer = dns_cache_get(cache, name, DNS_TXT, SOON, &owner);
        if (answer == NULL && owner) {
            atomic_fetch_add(&asked, 1);
            answer = i % 3 == 0 ? NULL : answer_for(1, 100);
            dns_cache_put(cache, name, DNS_TXT, answer);
        } else if (answer == NULL) {
            return arg;
        }
        dns_answer_release(answer);
    }
    return NULL;
}

static void test_busy(void **state) {
    struct dns_cache *cache = open_cache(32);
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_busy, cache), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(asked > 0);
    dns_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_for_its_time),
        cmocka_unit_test(test_held_longer_than_kept),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_bounded_in_octets),
        cmocka_unit_test(test_large_beside_small),
        cmocka_unit_test(test_what_is_used_stays),
        cmocka_unit_test(test_repeated_failures),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_asked_once),
        cmocka_unit_test(test_not_to_be_kept),
        cmocka_unit_test(test_the_owner_gives_up),
        cmocka_unit_test(test_the_owner_had_less_time),
        cmocka_unit_test(test_the_deadline_passes),
        cmocka_unit_test(test_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
