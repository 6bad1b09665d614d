/* The networks of configurations that share a store: what is loaded when, and what is in them. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/cache/networks.h"
#include "milter/cache/network_loader.h"
#include "milter/store/implement.h"

#define NAMES 4

/* A store of networks with one member each. */
struct list_store {
    struct store store;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    const char *names[NAMES], *members[NAMES]; /* a NULL member: no such key; "": no hash */
    unsigned walks[NAMES];                     /* begun */
    bool shut;                                 /* a walk that begins waits */
    bool fails;
};

static int list_walk(struct store *store, const char *subject, store_take_field *take,
                     void *context, struct why *why) {
    struct list_store *list = (struct list_store *)store;
    int answer = STORE_ABSENT;
    pthread_mutex_lock(&list->lock);
    for (size_t i = 0; i < NAMES && list->names[i] != NULL; i++) {
        if (strcmp(subject + strlen("network:"), list->names[i]) != 0)
            continue;
        const char *member = list->members[i];
        bool fails = list->fails;
        list->walks[i]++;
        pthread_cond_broadcast(&list->moved);
        while (list->shut)
            pthread_cond_wait(&list->moved, &list->lock);
        if (fails)
            answer = why_set(why, "the store is away");
        else if (member != NULL && member[0] == '\0')
            answer = STORE_WRONG_TYPE;
        else if (member != NULL) {
            const struct store_field field = {member, "", strlen(member), 0};
            answer = take(context, &field) == 0 ? STORE_FOUND : -1;
        }
    }
    pthread_mutex_unlock(&list->lock);
    return answer;
}

static const struct store_ops list_ops = {.walk = list_walk};

struct bench {
    struct list_store list;
    struct live_store live;
};

static void open_bench(struct bench *bench) {
    *bench = (struct bench){
        .list = {.store = {&list_ops, true}, .names = {"relays", "gate", "branch", "elsewhere"}}};
    pthread_mutex_init(&bench->list.lock, NULL);
    pthread_cond_init(&bench->list.moved, NULL);
    bench->live.networks = network_loader_new(&bench->list.store, "gatepost:");
    assert_non_null(bench->live.networks);
}

static void close_bench(struct bench *bench) {
    network_loader_free(bench->live.networks);
    pthread_mutex_destroy(&bench->list.lock);
    pthread_cond_destroy(&bench->list.moved);
}

static void set_member(struct bench *bench, size_t i, const char *member) {
    char subject[40];
    pthread_mutex_lock(&bench->list.lock);
    bench->list.members[i] = member;
    pthread_mutex_unlock(&bench->list.lock);
    snprintf(subject, sizeof subject, "network:%s", bench->list.names[i]);
    network_loader_note(bench->live.networks, STORE_CHANGED, subject);
}

static void set_gate(struct bench *bench, bool shut, bool fails) {
    pthread_mutex_lock(&bench->list.lock);
    bench->list.shut = shut;
    bench->list.fails = fails;
    pthread_cond_broadcast(&bench->list.moved);
    pthread_mutex_unlock(&bench->list.lock);
}

static unsigned walks(struct bench *bench, size_t i) {
    pthread_mutex_lock(&bench->list.lock);
    unsigned n = bench->list.walks[i];
    pthread_mutex_unlock(&bench->list.lock);
    return n;
}

static void wait_walks(struct bench *bench, size_t i, unsigned n) {
    pthread_mutex_lock(&bench->list.lock);
    while (bench->list.walks[i] < n)
        pthread_cond_wait(&bench->list.moved, &bench->list.lock);
    pthread_mutex_unlock(&bench->list.lock);
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static const char *const all_names[NAMES] = {"relays", "gate", "branch", "elsewhere"};

/* A configuration that trusts `n` networks, whose first listener has `connect_from`, if given. */
struct setup {
    const char *names[NAMES], *from[1];
    struct config_listener listeners[2];
    struct config config;
    struct networks *networks;
};

static void open_setup(struct setup *setup, struct bench *bench, size_t n,
                       const char *connect_from) {
    struct why why;
    *setup = (struct setup){.from = {connect_from}};
    memcpy(setup->names, all_names, sizeof all_names);
    setup->config.trusted = (struct config_list){setup->names, n};
    setup->config.listeners = setup->listeners;
    setup->config.n_listeners = 2;
    setup->listeners[0].connect_from = (struct config_list){setup->from, connect_from != NULL};
    if (networks_open(&setup->config, &bench->live, &setup->networks, &why) != 0)
        fail_msg("%s", why.text);
}

static struct network_answer ask(const struct setup *setup, const struct config_list *names,
                                 const char *client, char member[60]) {
    struct ip_address ip;
    assert_int_equal(ip_parse(client, strlen(client), &ip), 0);
    return networks_contain(setup->networks, names, &ip, member, 60);
}

static enum membership trusted(const struct setup *setup, const char *client) {
    char member[60];
    return ask(setup, &setup->config.trusted, client, member).membership;
}

static void wait_trusted(const struct setup *setup, const char *client, enum membership wanted) {
    for (int64_t begin = clock_now_ms(); trusted(setup, client) != wanted; sleep_ms(1))
        assert_true(clock_now_ms() - begin < 10000);
}

static void test_loaded_before_it_is_used(void **state) {
    struct bench bench;
    struct setup setup;
    char member[60];
    (void)state;
    open_bench(&bench);
    bench.list.members[0] = "192.0.2.0/24";
    bench.list.members[1] = "198.51.100.7";
    open_setup(&setup, &bench, 1, "gate");
    const struct config_list *gate = &setup.listeners[0].connect_from;
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_YES);
    assert_int_equal(trusted(&setup, "198.51.100.7"), MEMBER_NO);
    assert_int_equal(ask(&setup, gate, "198.51.100.7", member).membership, MEMBER_YES);
    assert_int_equal(ask(&setup, gate, "192.0.2.1", member).membership, MEMBER_NO);
    /* a list without names, and one that is not the configuration's */
    assert_int_equal(ask(&setup, &setup.listeners[1].connect_from, "192.0.2.1", member).membership,
                     MEMBER_NO);
    const struct config_list copy = *gate;
    assert_int_equal(ask(&setup, &copy, "198.51.100.7", member).membership, MEMBER_UNKNOWN);
    networks_free(setup.networks);
    close_bench(&bench);
}

static void test_changes(void **state) {
    struct bench bench;
    struct setup setup;
    (void)state;
    open_bench(&bench);
    open_setup(&setup, &bench, 1, NULL);
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_NO);
    set_member(&bench, 0, "192.0.2.0/24");
    wait_trusted(&setup, "192.0.2.1", MEMBER_YES);
    set_member(&bench, 0, NULL);
    wait_trusted(&setup, "192.0.2.1", MEMBER_NO);
    assert_int_equal(walks(&bench, 0), 3);
    network_loader_note(bench.live.networks, STORE_CHANGED, "account:relays");
    network_loader_note(bench.live.networks, STORE_CHANGED, "network:gate");
    network_loader_note(bench.live.networks, STORE_LOST, NULL);
    sleep_ms(20);
    assert_int_equal(walks(&bench, 0), 3);
    network_loader_note(bench.live.networks, STORE_WATCHED, NULL); /* any may have changed */
    wait_walks(&bench, 0, 4);
    networks_free(setup.networks);
    close_bench(&bench);
}

/* A change that comes while the network is being loaded makes for another loading. */
static void test_a_change_while_it_is_loaded(void **state) {
    struct bench bench;
    struct setup setup;
    (void)state;
    open_bench(&bench);
    open_setup(&setup, &bench, 1, NULL);
    set_gate(&bench, true, false);
    set_member(&bench, 0, "192.0.2.1");
    wait_walks(&bench, 0, 2);
    set_member(&bench, 0, "192.0.2.2");
    set_gate(&bench, false, false);
    wait_trusted(&setup, "192.0.2.2", MEMBER_YES);
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_NO);
    networks_free(setup.networks);
    close_bench(&bench);
}

static void test_a_store_that_does_not_answer(void **state) {
    struct bench bench;
    struct setup setup;
    (void)state;
    open_bench(&bench);
    bench.list.members[0] = "192.0.2.0/24";
    bench.list.fails = true;
    open_setup(&setup, &bench, 1, NULL);
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_UNKNOWN);
    set_gate(&bench, false, false);
    wait_trusted(&setup, "192.0.2.1", MEMBER_YES); /* it is tried again without any word */
    set_gate(&bench, false, true);
    set_member(&bench, 0, NULL);
    wait_walks(&bench, 0, 4);
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_YES); /* what was known serves on */
    set_gate(&bench, false, false);
    wait_trusted(&setup, "192.0.2.1", MEMBER_NO);
    networks_free(setup.networks);
    close_bench(&bench);
}

static void test_what_cannot_be_read(void **state) {
    struct bench bench;
    struct setup setup;
    char member[60];
    (void)state;
    open_bench(&bench);
    bench.list.members[0] = "10.0.0.0/33";
    bench.list.members[1] = "";
    bench.list.members[2] = "192.0.2.0/24";
    open_setup(&setup, &bench, 3, "gate");
    struct network_answer answer = ask(&setup, &setup.config.trusted, "10.0.0.1", member);
    assert_int_equal(answer.membership, MEMBER_MALFORMED);
    assert_string_equal(answer.from.subject, "network:relays"); /* the first one */
    assert_string_equal(answer.from.field, "10.0.0.0/33");
    answer = ask(&setup, &setup.listeners[0].connect_from, "10.0.0.1", member);
    assert_int_equal(answer.membership, MEMBER_MALFORMED);
    assert_string_equal(answer.from.subject, "network:gate");
    assert_string_equal(answer.from.field, "(wrong type)");
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_YES); /* a good one says so */
    networks_free(setup.networks);
    close_bench(&bench);
}

/* The configuration's own members need no store. */
static void test_fixed_members(void **state) {
    struct bench bench;
    struct setup setup = {0};
    struct netblock block;
    struct why why;
    (void)state;
    open_bench(&bench);
    bench.list.members[0] = "198.51.100.0/24";
    assert_int_equal(netblock_parse("192.0.2.0/24", 12, &block, &why), 0);
    struct config_network own = {.name = "relays", .members = netset_new(&block, 1)};
    memcpy(setup.names, all_names, sizeof all_names);
    setup.config = (struct config){
        .trusted = {setup.names, 1}, .networks = &own, .n_networks = 1, .n_listeners = 0};
    bench.list.fails = true;
    assert_int_equal(networks_open(&setup.config, &bench.live, &setup.networks, &why), 0);
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_YES);
    assert_int_equal(trusted(&setup, "198.51.100.1"), MEMBER_UNKNOWN);
    set_gate(&bench, false, false);
    wait_trusted(&setup, "198.51.100.1", MEMBER_YES); /* both add up */
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_YES);
    networks_free(setup.networks);
    netset_free(own.members);
    close_bench(&bench);
}

/* As over reloads, with sessions that keep the old configurations. */
static void test_shared_by_configurations(void **state) {
    struct bench bench;
    struct setup old, new;
    (void)state;
    open_bench(&bench);
    bench.list.members[0] = "192.0.2.0/24";
    bench.list.members[1] = "198.51.100.7";
    open_setup(&old, &bench, 1, "branch");
    open_setup(&new, &bench, 2, NULL);
    assert_int_equal(trusted(&new, "192.0.2.1"), MEMBER_YES);
    assert_int_equal(trusted(&new, "198.51.100.7"), MEMBER_YES);
    assert_int_equal(trusted(&old, "198.51.100.7"), MEMBER_NO);
    assert_int_equal(walks(&bench, 0), 1); /* it was there */
    set_member(&bench, 0, "192.0.2.77");
    wait_trusted(&old, "192.0.2.1", MEMBER_NO);
    assert_int_equal(trusted(&new, "192.0.2.1"), MEMBER_NO);
    assert_int_equal(trusted(&new, "192.0.2.77"), MEMBER_YES);
    assert_int_equal(walks(&bench, 0), 2); /* once for both */
    networks_free(old.networks);
    set_member(&bench, 2, "203.0.113.0/24"); /* nobody wants it any more */
    set_member(&bench, 0, "192.0.2.78");
    wait_trusted(&new, "192.0.2.78", MEMBER_YES);
    sleep_ms(20);
    assert_int_equal(walks(&bench, 2), 1);
    networks_free(new.networks);
    set_member(&bench, 0, NULL);
    sleep_ms(20);
    assert_int_equal(walks(&bench, 0), 3);
    close_bench(&bench);
}

static void *open_shortly(void *arg) {
    sleep_ms(50);
    set_gate(arg, false, false);
    return NULL;
}

/* Given back, and wanted again, while it is being loaded. */
static void test_given_back_while_it_is_loaded(void **state) {
    struct bench bench;
    struct setup setup;
    pthread_t opener;
    (void)state;
    open_bench(&bench);
    open_setup(&setup, &bench, 1, NULL);
    set_gate(&bench, true, false);
    set_member(&bench, 0, "192.0.2.1");
    wait_walks(&bench, 0, 2);
    networks_free(setup.networks);
    open_setup(&setup, &bench, 1, NULL); /* what was known of it serves */
    assert_int_equal(trusted(&setup, "192.0.2.1"), MEMBER_NO);
    set_gate(&bench, false, false);
    wait_trusted(&setup, "192.0.2.1", MEMBER_YES);
    assert_int_equal(walks(&bench, 0), 2);
    set_gate(&bench, true, false);
    set_member(&bench, 0, "192.0.2.2");
    wait_walks(&bench, 0, 3);
    networks_free(setup.networks);
    assert_int_equal(pthread_create(&opener, NULL, open_shortly, &bench), 0);
    network_loader_free(bench.live.networks); /* waits for the loading */
    bench.live.networks = NULL;
    pthread_join(opener, NULL);
    close_bench(&bench);
}

struct asker {
    const struct setup *setup;
    pthread_t thread;
    atomic_bool *stop;
};

static void *run_asker(void *arg) {
    struct asker *asker = arg;
    while (!atomic_load(asker->stop))
        if (trusted(asker->setup, "192.0.2.1") != MEMBER_YES)
            return arg;
    return NULL;
}

/* A network is replaced under those who ask, while configurations come and go. */
static void test_asked_while_it_changes(void **state) {
    struct bench bench;
    struct setup setup, other;
    struct asker askers[3];
    atomic_bool stop = false;
    (void)state;
    open_bench(&bench);
    bench.list.members[0] = "192.0.2.0/24";
    open_setup(&setup, &bench, 1, NULL);
    for (size_t i = 0; i < COUNT(askers); i++) {
        askers[i] = (struct asker){.setup = &setup, .stop = &stop};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]), 0);
    }
    for (int i = 0; i < 300; i++) {
        set_member(&bench, 0, i % 2 == 0 ? "192.0.2.1" : "192.0.2.0/25");
        open_setup(&other, &bench, NAMES, "gate");
        assert_int_equal(trusted(&other, "192.0.2.1"), MEMBER_YES);
        networks_free(other.networks);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < COUNT(askers); i++) {
        void *failed;
        pthread_join(askers[i].thread, &failed);
        assert_null(failed);
    }
    networks_free(setup.networks);
    close_bench(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loaded_before_it_is_used),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_a_change_while_it_is_loaded),
        cmocka_unit_test(test_a_store_that_does_not_answer),
        cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_fixed_members),
        cmocka_unit_test(test_shared_by_configurations),
        cmocka_unit_test(test_given_back_while_it_is_loaded),
        cmocka_unit_test(test_asked_while_it_changes),
    };
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_CRIT); /* what fails here is meant to */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
