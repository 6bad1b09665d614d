/* The policy cache over a store that answers when the test lets it. */
#include "tests/unit/unit.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include <uthash.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "milter/cache/policy_cache.h"
#include "milter/store/implement.h"

/* Every subject has one field, "source"; it reads "authorized" once `changed`. */
struct gate_store {
    struct store store;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned asked;      /* look-ups that have begun */
    unsigned allowed;    /* of them, how many may go on */
    bool changed, fails; /* as the look-up sees it when it begins */
    bool absent;
    bool strangers; /* subjects that begin with "account:stranger" are absent */
};

static int gate_get(struct store *store, const char *const *subjects, size_t n,
                    struct store_hash *hashes, int64_t deadline, struct why *why) {
    (void)deadline;
    struct gate_store *gate = (struct gate_store *)store;
    static struct store_field any = {"source", "any", 6, 3},
                              authorized = {"source", "authorized", 6, 10};
    pthread_mutex_lock(&gate->lock);
    unsigned turn = ++gate->asked;
    bool changed = gate->changed, fails = gate->fails;
    pthread_cond_broadcast(&gate->moved);
    while (turn > gate->allowed)
        pthread_cond_wait(&gate->moved, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    why_set(why, "the gate is shut");
    for (size_t i = 0; i < n && !fails; i++) {
        bool absent =
            gate->absent || (gate->strangers && strncmp(subjects[i], "account:stranger", 16) == 0);
        hashes[i].answer = absent ? STORE_ABSENT : STORE_FOUND;
        hashes[i].fields = malloc(sizeof any);
        hashes[i].fields[0] = changed ? authorized : any;
        hashes[i].n = absent ? 0 : 1;
    }
    return fails ? -1 : 0;
}

static const struct store_ops gate_ops = {.get = gate_get};

struct bench {
    struct gate_store gate;
    struct policy_cache *cache;
};

static void open_bench(struct bench *bench, size_t entries, int64_t ttl, int64_t stale_max) {
    *bench = (struct bench){.gate = {.store = {&gate_ops, true}, .allowed = UINT_MAX}};
    pthread_mutex_init(&bench->gate.lock, NULL);
    pthread_cond_init(&bench->gate.moved, NULL);
    const struct policy_cache_settings settings = {.store = &bench->gate.store,
                                                   .key_prefix = "gatepost:",
                                                   .entries = entries,
                                                   .timeout = 5000};
    bench->cache = policy_cache_new(&settings);
    assert_non_null(bench->cache);
    policy_cache_keep(bench->cache, ttl, stale_max);
}

static void close_bench(struct bench *bench) {
    policy_cache_free(bench->cache);
    pthread_mutex_destroy(&bench->gate.lock);
    pthread_cond_destroy(&bench->gate.moved);
}

enum seen { SEEN_NOTHING, SEEN_ABSENT, SEEN_ANY, SEEN_AUTHORIZED };

static enum seen look(struct bench *bench, const char *subject, bool *stale) {
    struct shared_policy *known;
    struct why why;
    if (policy_cache_get(bench->cache, &subject, 1, &known, stale, NO_DEADLINE, &why) != 0) {
        assert_string_equal(why.text, "the gate is shut");
        return SEEN_NOTHING;
    }
    enum seen seen = SEEN_ABSENT;
    if (known->policy != NULL)
        seen = known->policy->settings[FIELD_SOURCE].value == SOURCE_AUTHORIZED ? SEEN_AUTHORIZED
                                                                                : SEEN_ANY;
    shared_policy_release(known);
    return seen;
}

/* A look-up on a thread of its own. */
struct asker {
    struct bench *bench;
    pthread_t thread;
    enum seen seen;
};

static void *run_asker(void *arg) {
    struct asker *asker = arg;
    bool stale;
    asker->seen = look(asker->bench, "account:a", &stale);
    return NULL;
}

static void start(struct asker *asker, struct bench *bench) {
    asker->bench = bench;
    assert_int_equal(pthread_create(&asker->thread, NULL, run_asker, asker), 0);
}

static void wait_asked(struct bench *bench, unsigned asked) {
    pthread_mutex_lock(&bench->gate.lock);
    while (bench->gate.asked < asked)
        pthread_cond_wait(&bench->gate.moved, &bench->gate.lock);
    pthread_mutex_unlock(&bench->gate.lock);
}

static void allow(struct bench *bench, unsigned allowed) {
    pthread_mutex_lock(&bench->gate.lock);
    bench->gate.allowed = allowed;
    pthread_cond_broadcast(&bench->gate.moved);
    pthread_mutex_unlock(&bench->gate.lock);
}

static void change(struct bench *bench, bool changed) {
    pthread_mutex_lock(&bench->gate.lock);
    bench->gate.changed = changed;
    pthread_mutex_unlock(&bench->gate.lock);
}

static void test_kept_until_told(void **state) {
    struct bench bench;
    bool stale;
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_int_equal(bench.gate.asked, 2); /* not watched: nothing is fresh */
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_int_equal(bench.gate.asked, 3); /* what was known before the watch must be asked again */
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_int_equal(bench.gate.asked, 3);
    change(&bench, true);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    policy_cache_note(bench.cache, STORE_CHANGED, "account:other");
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    policy_cache_note(bench.cache, STORE_CHANGED, "account:a");
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_AUTHORIZED);
    change(&bench, false);
    policy_cache_note(bench.cache, STORE_CHANGED, NULL);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_false(stale);
    close_bench(&bench);
}

static void test_absent_is_kept(void **state) {
    struct bench bench;
    bool stale;
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    bench.gate.absent = true;
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(&bench, "account:a", &stale), SEEN_ABSENT);
    assert_int_equal(bench.gate.asked, 1);
    bench.gate.absent = false;
    policy_cache_note(bench.cache, STORE_CHANGED, "account:a");
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    close_bench(&bench);
}

/* The answer was read before the change, and arrives after word of it. */
static void test_an_overtaken_answer_is_not_kept(void **state) {
    struct bench bench;
    struct asker first;
    bool stale;
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    allow(&bench, 0);
    start(&first, &bench);
    wait_asked(&bench, 1);
    change(&bench, true);
    policy_cache_note(bench.cache, STORE_CHANGED, "account:a");
    allow(&bench, UINT_MAX);
    pthread_join(first.thread, NULL);
    assert_int_equal(first.seen, SEEN_ANY); /* it asked before the change */
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_AUTHORIZED);
    close_bench(&bench);
}

/* Who comes after the change does not get the answer of one who asked before it. */
static void test_nobody_joins_an_overtaken_look_up(void **state) {
    struct bench bench;
    struct asker first, later;
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    allow(&bench, 0);
    start(&first, &bench);
    wait_asked(&bench, 1);
    change(&bench, true);
    policy_cache_note(bench.cache, STORE_CHANGED, "account:a");
    start(&later, &bench);
    wait_asked(&bench, 2); /* it asks itself */
    allow(&bench, UINT_MAX);
    pthread_join(first.thread, NULL);
    pthread_join(later.thread, NULL);
    assert_int_equal(later.seen, SEEN_AUTHORIZED);
    close_bench(&bench);
}

/* One who waits for another's answer hears that it is overtaken, and asks anew. */
static void test_who_joined_asks_anew(void **state) {
    struct bench bench;
    struct asker askers[8];
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    allow(&bench, 0);
    start(&askers[0], &bench);
    wait_asked(&bench, 1);
    for (int i = 1; i < 8; i++)
        start(&askers[i], &bench);
    change(&bench, true);
    policy_cache_note(bench.cache, STORE_CHANGED, "account:a");
    wait_asked(&bench, 2); /* whether they had joined before the change or come after it */
    allow(&bench, UINT_MAX);
    for (int i = 0; i < 8; i++)
        pthread_join(askers[i].thread, NULL);
    for (int i = 1; i < 8; i++)
        assert_int_equal(askers[i].seen, SEEN_AUTHORIZED);
    close_bench(&bench);
}

static void test_look_ups_are_joined(void **state) {
    struct bench bench;
    struct asker askers[32];
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    allow(&bench, 0);
    for (int i = 0; i < 32; i++)
        start(&askers[i], &bench);
    wait_asked(&bench, 1);
    allow(&bench, UINT_MAX);
    for (int i = 0; i < 32; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].seen, SEEN_ANY);
    }
    assert_int_equal(bench.gate.asked, 1);
    close_bench(&bench);
}

static void test_a_failure_is_shared_too(void **state) {
    struct bench bench;
    struct asker first, second;
    (void)state;
    open_bench(&bench, 1000, 60000, 60000);
    bench.gate.fails = true;
    allow(&bench, 0);
    start(&first, &bench);
    wait_asked(&bench, 1);
    start(&second, &bench);
    allow(&bench, UINT_MAX);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    assert_int_equal(first.seen, SEEN_NOTHING);
    assert_int_equal(second.seen, SEEN_NOTHING);
    close_bench(&bench);
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void test_stale_serves_for_its_time(void **state) {
    struct bench bench;
    bool stale;
    (void)state;
    open_bench(&bench, 1000, 60000, 400);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_int_equal(look(&bench, "account:b", &stale), SEEN_ANY);
    sleep_ms(500); /* its age does not count while it is watched */
    policy_cache_note(bench.cache, STORE_CHANGED, "account:b");
    bench.gate.fails = true;
    policy_cache_note(bench.cache, STORE_LOST, NULL);
    int64_t lost = clock_now_ms();
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_true(stale);
    assert_int_equal(look(&bench, "account:b", &stale), SEEN_NOTHING); /* known to be no more so */
    assert_int_equal(look(&bench, "account:c", &stale), SEEN_NOTHING);
    while (look(&bench, "account:a", &stale) == SEEN_ANY) {
        assert_true(clock_now_ms() - lost <= 1400);
        sleep_ms(1);
    }
    assert_true(clock_now_ms() - lost >= 400);
    bench.gate.fails = false;
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_false(stale);
    close_bench(&bench);
}

static void test_ttl(void **state) {
    struct bench bench;
    bool stale;
    (void)state;
    open_bench(&bench, 1000, 100, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    change(&bench, true); /* of which nobody hears */
    int64_t begin = clock_now_ms();
    while (look(&bench, "account:a", &stale) == SEEN_ANY) {
        assert_true(clock_now_ms() - begin < 1000);
        sleep_ms(1);
    }
    assert_true(clock_now_ms() - begin >= 50);
    close_bench(&bench);
}

static void test_bounded_and_the_used_stay(void **state) {
    struct bench bench;
    bool stale;
    char subject[40];
    (void)state;
    open_bench(&bench, 640, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    for (int round = 0; round < 10000; round++) {
        assert_int_equal(look(&bench, "account:*", &stale), SEEN_ANY); /* all the time */
        snprintf(subject, sizeof subject, "account:stranger%d", round);
        assert_int_equal(look(&bench, subject, &stale), SEEN_ANY); /* once each */
    }
    assert_int_equal(bench.gate.asked, 10001);
    close_bench(&bench);
}

static void look_at(struct bench *bench, const char *name, int from, int to, int times) {
    char subject[40];
    bool stale;
    for (int i = from; i < to; i++)
        for (int j = 0; j < times; j++) {
            snprintf(subject, sizeof subject, "account:%s%d", name, i);
            look(bench, subject, &stale);
        }
}

/* Made-up senders, however many and before or after, displace no account that exists. */
static void test_a_flood_of_strangers(void **state) {
    struct bench bench;
    (void)state;
    for (int times = 1; times <= 3; times++) {
        open_bench(&bench, 640, 60000, 60000);
        bench.gate.strangers = true;
        policy_cache_note(bench.cache, STORE_WATCHED, NULL);
        look_at(&bench, "stranger", 0, 3000, times);
        look_at(&bench, "alice", 0, 300, 1);
        look_at(&bench, "stranger", 3000, 20000, times);
        assert_int_equal(bench.gate.asked, 20300);
        look_at(&bench, "alice", 0, 300, 1); /* not one of them is asked for again */
        assert_int_equal(bench.gate.asked, 20300);
        assert_in_range(policy_cache_entries(bench.cache), 300, 640);
        close_bench(&bench);
    }
}

/* What is not there, but is asked for all the time, as the domain of many accounts is. */
static void test_a_flood_and_what_is_absent(void **state) {
    struct bench bench;
    bool stale;
    (void)state;
    open_bench(&bench, 640, 60000, 60000);
    bench.gate.strangers = true;
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    look_at(&bench, "alice", 0, 2000, 1); /* there is no room any more */
    look(&bench, "account:stranger's domain", &stale);
    look(&bench, "account:stranger's domain", &stale);
    for (int i = 0; i < 5000; i += 500) {
        look_at(&bench, "stranger", i, i + 500, 1);
        assert_int_equal(look(&bench, "account:stranger's domain", &stale), SEEN_ABSENT);
    }
    assert_int_equal(bench.gate.asked, 2000 + 1 + 5000);
    close_bench(&bench);
}

/* Names that all meet the victim in one part of a cache with uthash's own hash. */
static void test_chosen_names(void **state) {
    struct bench bench;
    bool stale;
    unsigned victim, hash, chosen = 0;
    (void)state;
    open_bench(&bench, 4096, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    look(&bench, "account:victim", &stale);
    HASH_VALUE("account:victim", strlen("account:victim"), victim);
    for (int i = 0; chosen < 400; i++) {
        char subject[40];
        snprintf(subject, sizeof subject, "account:m%d", i);
        HASH_VALUE(subject, strlen(subject), hash);
        if ((hash >> 16) % 64 != (victim >> 16) % 64)
            continue;
        look(&bench, subject, &stale);
        chosen++;
    }
    assert_int_equal(bench.gate.asked, 401);
    look(&bench, "account:victim", &stale);
    assert_int_equal(bench.gate.asked, 401);
    close_bench(&bench);
}

static void test_no_cache(void **state) {
    struct bench bench;
    bool stale;
    (void)state;
    open_bench(&bench, 0, 60000, 60000);
    policy_cache_note(bench.cache, STORE_WATCHED, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(&bench, "account:a", &stale), SEEN_ANY);
    assert_int_equal(bench.gate.asked, 3);
    bench.gate.fails = true;
    assert_int_equal(look(&bench, "account:a", &stale), SEEN_NOTHING);
    close_bench(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_until_told),
        cmocka_unit_test(test_absent_is_kept),
        cmocka_unit_test(test_an_overtaken_answer_is_not_kept),
        cmocka_unit_test(test_nobody_joins_an_overtaken_look_up),
        cmocka_unit_test(test_who_joined_asks_anew),
        cmocka_unit_test(test_look_ups_are_joined),
        cmocka_unit_test(test_a_failure_is_shared_too),
        cmocka_unit_test(test_stale_serves_for_its_time),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_bounded_and_the_used_stay),
        cmocka_unit_test(test_a_flood_of_strangers),
        cmocka_unit_test(test_a_flood_and_what_is_absent),
        cmocka_unit_test(test_chosen_names),
        cmocka_unit_test(test_no_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
