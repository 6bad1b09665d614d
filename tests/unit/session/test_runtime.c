/* The runtime: who frees it, and that those who give it back need not wait for that. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "gatepost/session/runtime.h"

static char policy[] = "/tmp/gatepost-test-policy-XXXXXX";
static char conf[] = "/tmp/gatepost-test-conf-XXXXXX";

static void *run_nothing(void *arg) {
    return arg;
}

static int make_files(void **state) {
    int fd = mkstemp(policy);
    pthread_t first;
    (void)state;
    if (fd < 0 || close(fd) != 0 || (fd = mkstemp(conf)) < 0)
        return -1;
    dprintf(fd, "store = \"file:%s\"\ntrusted = { \"relays\" }\nspf { nameservers = {\"::1\"} }\n",
            policy);
    if (close(fd) != 0 || pthread_create(&first, NULL, run_nothing, NULL) != 0)
        return -1;
    return pthread_join(first, NULL); /* the thread sanitizer's own thread begins with it */
}

static int remove_files(void **state) {
    (void)state;
    return unlink(policy) | unlink(conf);
}

static struct runtime *open_next(struct runtime *last) {
    struct config *config;
    struct runtime *runtime = NULL;
    struct why why;
    if (config_load(conf, &config, &why) != 0 || runtime_open(config, last, &runtime, &why) != 0)
        fail_msg("%s", why.text);
    return runtime;
}

/* Threads of this process: the store's watch and the loader of networks are among them. */
static int threads(void) {
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;
    assert_non_null(tasks);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;)
        n += task->d_name[0] != '.';
    closedir(tasks);
    return n;
}

/* A thread that was joined may be seen for another moment. */
static void expect_threads(int wanted) {
    for (int i = 0; threads() != wanted && i < 1000; i++)
        usleep(1000);
    assert_int_equal(threads(), wanted);
}

static void test_freed_at_once(void **state) {
    int before = threads();
    (void)state;
    struct runtime *runtime = open_next(NULL);
    assert_true(threads() > before);
    runtime_release(runtime_acquire(runtime));
    assert_true(threads() > before);
    runtime_release(runtime);
    expect_threads(before);
    runtime_release(NULL);
}

/* An old configuration whose sessions go on shares all that the new one has open. */
static void test_no_threads_of_its_own(void **state) {
    (void)state;
    struct runtime *runtimes[5] = {open_next(NULL)};
    int one = threads();
    for (size_t i = 1; i < COUNT(runtimes); i++)
        runtimes[i] = open_next(runtimes[i - 1]);
    assert_int_equal(runtimes[4]->generation, 5);
    expect_threads(one);
    for (size_t i = 0; i < COUNT(runtimes); i++)
        runtime_release(runtimes[i]);
}

static atomic_int woken;

static void wake(void) {
    atomic_fetch_add(&woken, 1);
}

static void *run_session(void *arg) {
    runtime_release(arg);
    return NULL;
}

static void test_retired(void **state) {
    int before = threads();
    (void)state;
    runtime_retire(wake);
    struct runtime *first = open_next(NULL);
    int one = threads();
    runtime_publish(runtime_acquire(first));
    struct runtime *second = open_next(first);
    runtime_publish(second);
    assert_ptr_equal(runtime_current(), second);
    pthread_t session;
    assert_int_equal(pthread_create(&session, NULL, run_session, first), 0);
    pthread_join(session, NULL);
    assert_int_equal(woken, 1);
    runtime_free_retired();
    expect_threads(one); /* what the second one shares stays */
    runtime_publish(NULL);
    assert_null(runtime_current());
    assert_int_equal(woken, 1);
    runtime_release(second); /* that of runtime_current() */
    assert_int_equal(woken, 2);
    expect_threads(one);
    runtime_free_retired();
    expect_threads(before);
    runtime_free_retired();
    runtime_retire(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freed_at_once),
        cmocka_unit_test(test_no_threads_of_its_own),
        cmocka_unit_test(test_retired),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
