/*
 * store_trial: subjects that stand in front of those of a policy file, which stays as it is.
 */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "gatepost/store/trial.h"

static char path[] = "/tmp/test-trial-XXXXXX";

static int make_file(void **state) {
    static const char text[] = "account:a@b.example source any\naccount:a@b.example tls required\n"
                               "account:@b.example tls optional\nnetwork:n 10.0.0.0/8 inside\n";
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || write(fd, text, sizeof text - 1) < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static struct store *open_trial(void) {
    char url[sizeof path + 8];
    struct store *file, *trial = NULL;
    struct why why;
    snprintf(url, sizeof url, "file:%s", path);
    const struct store_settings settings = {
        .url = url, .user = "", .password_file = "", .key_prefix = "", .timeout = 200};
    if (store_open(&settings, &file, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(store_trial_open(file, &trial), 0);
    return trial;
}

static void put(struct store *trial, const char *subject, const char *name, const char *value) {
    const struct store_field field = {name, value, strlen(name), strlen(value)};
    assert_int_equal(store_trial_put(trial, subject, &field, name[0] != '\0'), 0);
}

/* "name=value " of each field, "-" when it is absent, by store_get() and by store_walk(). */
static int add(void *context, const struct store_field *field) {
    char *out = context;
    sprintf(out + strlen(out), "%.*s=%.*s ", (int)field->name_len, field->name,
            (int)field->value_len, field->value);
    return 0;
}

static void expect(struct store *store, const char *subject, const char *told) {
    char got[400] = "", walked[400] = "";
    struct store_hash hash;
    struct why why;
    assert_int_equal(store_get(store, &subject, 1, &hash, NO_DEADLINE, &why), 0);
    for (size_t i = 0; i < hash.n; i++)
        add(got, &hash.fields[i]);
    assert_string_equal(hash.answer == STORE_ABSENT ? "-" : got, told);
    store_hash_clear(&hash);
    int answer = store_walk(store, subject, add, walked, &why);
    assert_string_equal(answer == STORE_ABSENT ? "-" : walked, told);
}

static void test_subjects(void **state) {
    struct store *trial = open_trial(), *upon = NULL;
    (void)state;
    expect(trial, "account:a@b.example", "source=any tls=required ");
    expect(trial, "account:new@b.example", "-");
    put(trial, "account:a@b.example", "source", "authorized");
    put(trial, "account:new@b.example", "tls", "required");
    put(trial, "account:@b.example", "", "");
    put(trial, "network:n", "192.0.2.0/24", "");
    expect(trial, "account:a@b.example", "source=authorized ");
    expect(trial, "account:new@b.example", "tls=required ");
    expect(trial, "account:@b.example", "-");
    expect(trial, "network:n", "192.0.2.0/24= ");
    put(trial, "account:new@b.example", "tls", "optional");
    expect(trial, "account:new@b.example", "tls=optional ");

    /* upon it, changes of its own; several at once, in any order */
    assert_int_equal(store_trial_open_on(trial, &upon), 0);
    put(upon, "account:stranger@c.example", "mode", "monitor");
    put(upon, "account:new@b.example", "", "");
    for (int again = 0; again < 2; again++) {
        expect(upon, "account:a@b.example", "source=authorized ");
        expect(upon, "account:new@b.example", "-");
        expect(upon, "account:stranger@c.example", "mode=monitor ");
        expect(trial, "account:stranger@c.example", "-");
        expect(trial, "account:new@b.example", "tls=optional ");
    }
    store_free(upon);
    store_free(trial);
    trial = open_trial();
    expect(trial, "account:a@b.example", "source=any tls=required ");
    store_free(trial);
}

/* Strangers are remembered from one question to the next, and nobody is taken for one. */
static void test_many_at_once(void **state) {
    static const char *const subjects[] = {"account:x@c.example", "account:a@b.example",
                                           "account:@c.example", "account:*"};
    static const char *const strangers[] = {"account:x@c.example", "account:*"};
    static const enum store_answer answers[] = {STORE_ABSENT, STORE_FOUND, STORE_ABSENT,
                                                STORE_ABSENT};
    struct store *trial = open_trial();
    struct store_hash hashes[COUNT(subjects)];
    struct why why;
    (void)state;
    for (int again = 0; again < 3; again++) {
        assert_int_equal(store_get(trial, subjects, COUNT(subjects), hashes, NO_DEADLINE, &why), 0);
        for (size_t i = 0; i < COUNT(subjects); i++) {
            assert_int_equal(hashes[i].answer, answers[i]);
            store_hash_clear(&hashes[i]);
        }
        assert_int_equal(store_get(trial, strangers, COUNT(strangers), hashes, NO_DEADLINE, &why),
                         0);
        for (size_t i = 0; i < COUNT(strangers); i++) {
            assert_int_equal(hashes[i].answer, STORE_ABSENT);
            store_hash_clear(&hashes[i]);
        }
    }
    store_free(trial);
}

static void test_too_large(void **state) {
    static char names[STORE_FIELDS_MAX + 1][16];
    static struct store_field fields[STORE_FIELDS_MAX + 1];
    const char *subject = "account:large@b.example";
    struct store *trial = open_trial();
    struct store_hash hash;
    struct why why;
    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        snprintf(names[i], sizeof names[i], "ip:10.%zu.%zu.%zu", i >> 16, i >> 8 & 255, i & 255);
        fields[i] = (struct store_field){names[i], "", strlen(names[i]), 0};
    }
    for (size_t n = STORE_FIELDS_MAX; n <= COUNT(fields); n++) {
        assert_int_equal(store_trial_put(trial, subject, fields, n), 0);
        assert_int_equal(store_get(trial, &subject, 1, &hash, NO_DEADLINE, &why), 0);
        assert_int_equal(hash.answer, n > STORE_FIELDS_MAX ? STORE_TOO_LARGE : STORE_FOUND);
        assert_int_equal(hash.n, n > STORE_FIELDS_MAX ? 0 : n);
        store_hash_clear(&hash);
    }
    store_free(trial);
}

static void note(void *context, enum store_event event, const char *subject) {
    assert_null(subject);
    *(int *)context += event == STORE_WATCHED ? 1 : 100;
}

static void test_it_is_watched(void **state) {
    struct store *trial = open_trial();
    struct why why;
    int told = 0;
    (void)state;
    assert_int_equal(store_watch(trial, note, &told, &why), 0);
    put(trial, "account:a@b.example", "source", "authorized");
    assert_int_equal(told, 1);
    store_unwatch(trial);
    store_free(trial);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_it_is_watched),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
