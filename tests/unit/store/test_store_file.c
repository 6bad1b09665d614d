/*
 * store_file: the syntax of the policy file, that a bad edit never replaces a good one, and what is
 * made of it once.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatepost/store/store.h"

static char path[] = "/tmp/gatepost-test-policy-XXXXXX";

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

/* Written beside it and renamed, as an operator should. */
static void write_policy(const char *text, size_t len) {
    char beside[sizeof path + 4];
    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *file = fopen(beside, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
    assert_int_equal(rename(beside, path), 0);
}

static struct store *open_store(struct why *why) {
    char url[sizeof path + 8];
    struct store *store = NULL;
    snprintf(url, sizeof url, "file:%s", path);
    const struct store_settings settings = {
        .url = url, .user = "", .password_file = "", .key_prefix = "", .timeout = 200};
    return store_open(&settings, &store, why) == 0 ? store : NULL;
}

/* The value of a field, "(absent)" or "(failed)" into `out`. */
static const char *value_of(struct store *store, const char *subject, const char *field, char *out,
                            size_t size) {
    struct store_hash hash;
    struct why why;
    snprintf(out, size, "(failed)");
    if (store_get(store, &subject, 1, &hash, NO_DEADLINE, &why) != 0)
        return out;
    snprintf(out, size, "(absent)");
    for (size_t i = 0; i < hash.n; i++)
        if (strcmp(hash.fields[i].name, field) == 0)
            snprintf(out, size, "%s", hash.fields[i].value);
    store_hash_clear(&hash);
    return out;
}

#define EXPECT_VALUE(store, subject, field, wanted)                                                \
    do {                                                                                           \
        char got_[200];                                                                            \
        assert_string_equal(value_of(store, subject, field, got_, sizeof got_), wanted);           \
    } while (0)

static void test_syntax_errors(void **state) {
    static const struct {
        const char *text, *why;
        size_t len; /* 0: all of text */
    } rows[] = {
        {"account:alice@example.com\n", ":1: account:alice@example.com: the field is missing", 0},
        {"# comment\n\naccount:Alice@example.com source any\n",
         ":3: account:Alice@example.com: "
         "accounts must be in lower",
         0},
        {"account:@b\xc3\xbc"
         "cher.example source any\n",
         ":1: account:@b\xc3\xbc"
         "cher.example: domains must be A-labels",
         0},
        {"alice@example.com source any\n", ":1: alice@example.com: the subject must be", 0},
        {"account: source any\n", ":1: account:: the account's address is missing", 0},
        {"network: 10.0.0.0/8\n", ":1: network:: the network's name is missing", 0},
        {"account:a@b source any\naccount:a@b source any\n",
         ":2: account:a@b source: given a "
         "second time",
         0},
        {"account:a@b source a\0ny\n", ":1: a NUL octet", 24},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why = {""};

        char wanted[200];
        write_policy(rows[i].text, rows[i].len ? rows[i].len : strlen(rows[i].text));
        if (open_store(&why) != NULL)
            fail_msg("taken: %s", rows[i].text);
        snprintf(wanted, sizeof wanted, "%s%s", path, rows[i].why);
        if (strncmp(why.text, wanted, strlen(wanted)) != 0)
            fail_msg("%s gives: %s", rows[i].text, why.text);
    }
}

static void test_values_are_the_rest_of_the_line(void **state) {
    static const char text[] = "\taccount:a@b \t ip:192.0.2.0/24   HQ mail  server \r\n"
                               "account:a@b source\n"
                               "  # account:a@b tls required\n"
                               "account:a@b tls required"; /* no newline at the end */
    struct why why;
    (void)state;
    write_policy(text, strlen(text));
    struct store *store = open_store(&why);
    if (store == NULL)
        fail_msg("%s", why.text);
    EXPECT_VALUE(store, "account:a@b", "ip:192.0.2.0/24", "HQ mail  server");
    EXPECT_VALUE(store, "account:a@b", "source", "");
    EXPECT_VALUE(store, "account:a@b", "tls", "required");
    EXPECT_VALUE(store, "account:a@c", "tls", "(absent)");
    store_free(store);
}

static void test_changes(void **state) {
    static const char on[] = "account:a@b protocol:imap on\n";
    static const char off[] = "account:a@b protocol:imap off\n";
    static const char broken[] = "account:a@b protocol:imap on\naccount:a@b\n";
    struct why why;
    (void)state;
    write_policy(on, strlen(on));
    struct store *store = open_store(&why);
    assert_non_null(store);
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "on");
    write_policy(off, strlen(off));
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "off");
    write_policy(broken, strlen(broken));
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "off");
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "off");
    unlink(path);
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "(failed)");
    write_policy(on, strlen(on));
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "on");
    write_policy("", 0);
    EXPECT_VALUE(store, "account:a@b", "protocol:imap", "(absent)");
    store_free(store);
}

/* What is made of a hash: its number of fields. */
struct count {
    atomic_uint references;
    enum store_answer answer;
    size_t n;
};
static atomic_int made, freed;

static void *make(const char *subject, const struct store_hash *hash) {
    (void)subject;
    struct count *count = calloc(1, sizeof *count);
    assert_non_null(count);
    *count = (struct count){.references = 1, .answer = hash->answer, .n = hash->n};
    atomic_fetch_add(&made, 1);
    return count;
}

static void acquire(void *arg) {
    atomic_fetch_add(&((struct count *)arg)->references, 1);
}

static void release(void *arg) {
    if (atomic_fetch_sub(&((struct count *)arg)->references, 1) != 1)
        return;
    atomic_fetch_add(&freed, 1);
    free(arg);
}

static const struct store_maker maker = {make, acquire, release};

/* The number of fields of two subjects; -1 when they cannot be had. */
static int count_of(struct store *store, const char *a, const char *b) {
    const char *const subjects[] = {a, b};
    void *counts[2];
    struct why why;
    int rc = store_get_made(store, subjects, 2, &maker, counts, NO_DEADLINE, &why), n = 0;
    for (size_t i = 0; i < 2; i++) {
        struct count *count = counts[i];
        if (count == NULL)
            continue;
        assert_int_equal(count->answer, count->n == 0 ? STORE_ABSENT : STORE_FOUND);
        n += (int)count->n;
        release(count);
    }
    return rc == 0 ? n : rc;
}

static void test_made_once(void **state) {
    static const char two[] = "account:a@b tls required\naccount:a@b source any\n"
                              "account:@b tls optional\n";
    static const char one[] = "account:a@b tls required\n";
    struct why why;
    (void)state;
    write_policy(two, strlen(two));
    struct store *store = open_store(&why);
    assert_non_null(store);
    made = freed = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(count_of(store, "account:a@b", "account:@b"), 3);
    assert_int_equal(made, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count_of(store, "account:a@b", "account:x@y"), 2);
    assert_int_equal(made, 5); /* those who are absent are not kept */
    assert_int_equal(freed, 3);
    const char *const held[] = {"account:a@b"};
    void *old;
    assert_int_equal(store_get_made(store, held, 1, &maker, &old, NO_DEADLINE, &why), 0);
    write_policy(one, strlen(one));
    assert_int_equal(count_of(store, "account:a@b", "account:@b"), 1);
    assert_int_equal(((struct count *)old)->n, 2); /* as long as somebody has it */
    release(old);
    unlink(path);
    assert_int_equal(count_of(store, "account:a@b", "account:@b"), -1);
    write_policy(two, strlen(two));
    assert_int_equal(count_of(store, "account:a@b", "account:@b"), 3);
    store_free(store);
    assert_int_equal(made, freed);
}

static void *run_counter(void *arg) {
    for (int i = 0; i < 3000; i++) {
        int n = count_of(arg, "account:a@b", "account:@b");
        if (n != 2 && n != 4)
            return arg;
    }
    return NULL;
}

/* Both subjects are always of the same file, whoever makes them first. */
static void test_made_by_many(void **state) {
    static const char two[] = "account:a@b tls required\naccount:@b tls required\n";
    static const char four[] = "account:a@b tls required\naccount:@b tls required\n"
                               "account:a@b source any\naccount:@b source any\n";
    struct why why;
    pthread_t threads[4];
    (void)state;
    write_policy(two, strlen(two));
    struct store *store = open_store(&why);
    assert_non_null(store);
    made = freed = 0;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_counter, store), 0);
    for (int i = 0; i < 300; i++)
        write_policy(i % 2 ? two : four, strlen(i % 2 ? two : four));
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    store_free(store);
    assert_int_equal(made, freed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_values_are_the_rest_of_the_line),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_made_by_many),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
