/*
 * store_file: the syntax of the policy file, and that a bad edit never replaces a good one.
 */
#include "tests/unit/unit.h"

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
    if (store_get(store, &subject, 1, &hash, &why) != 0)
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
         "accounts are written in lower",
         0},
        {"account:@b\xc3\xbc"
         "cher.example source any\n",
         ":1: account:@b\xc3\xbc"
         "cher.example: domains are written as A-labels",
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_values_are_the_rest_of_the_line),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
