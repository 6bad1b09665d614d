/*
 * guard_opening: which changes open up more than their writer may think.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gatepost/write/guard.h"

#define NOW 1000000000

/* "field=value" each; all NULL for no policy. */
struct row {
    const char *what, *before[5], *after[5];
    bool goes;
    const char *reason; /* part of it; NULL: nothing is asked */
};

static struct policy *decode(const char *const pairs[5]) {
    struct policy *policy = pairs[0] == NULL ? NULL : policy_new();
    for (size_t i = 0; i < 5 && pairs[i] != NULL; i++) {
        const char *equals = strchr(pairs[i], '=');
        assert_int_equal(policy_add(policy, pairs[i], (size_t)(equals - pairs[i]), equals + 1,
                                    strlen(equals + 1)),
                         0);
    }
    return policy;
}

static const struct row rows[] = {
    {"a block of one site", {NULL}, {"ip:10.0.0.0/8="}, false, NULL},
    {"one bit wider", {NULL}, {"ip:10.0.0.0/7="}, false, "ip:10.0.0.0/7 is wider"},
    {"everybody", {"tls=required"}, {"tls=required", "ip:0.0.0.0/0="}, false, "ip:0.0.0.0/0"},
    {"was there before", {"ip:0.0.0.0/0="}, {"ip:0.0.0.0/0=a note"}, false, NULL},
    {"IPv6", {NULL}, {"ip:2001::/16="}, false, NULL},
    {"IPv6, one bit wider", {NULL}, {"ip:2000::/15="}, false, "ip:2000::/15"},
    {"IPv4 in IPv6", {NULL}, {"ip:::ffff:0:0/96="}, false, "wider"},
    {"what cannot be read lists nobody", {NULL}, {"ip:x/0="}, false, NULL},
    {"taken away one by one", {"tls=required"}, {NULL}, false, NULL},
    {"deleted", {"tls=required"}, {NULL}, true, "lose tls required"},
    {"held nobody back", {"tls=optional", "mode=monitor"}, {NULL}, true, NULL},
    {"SPF", {"spf:fail=reject", "spf:none=accept"}, {NULL}, true, "lose spf:fail reject"},
    {"softfail deferred", {"spf:softfail=defer"}, {NULL}, true, "lose spf:softfail defer"},
    {"an address", {"ip:192.0.2.1=office"}, {NULL}, true, "lose ip:192.0.2.1"},
    {"an address of the past", {"ip:192.0.2.1=until=2001-01-01T00:00:00Z"}, {NULL}, true, NULL},
    {"protocols",
     {"protocol:pop3=off", "protocol:imap=on"},
     {NULL},
     true,
     "lose protocol:pop3 off"},
    {"what cannot be read held nobody back", {"tls=reqired"}, {NULL}, true, NULL},
};

static void test_opening(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct why why = {""};
        struct policy *before = decode(rows[i].before), *after = decode(rows[i].after);
        bool asks = guard_opening(before, after, rows[i].goes, NOW, &why);
        if (asks != (rows[i].reason != NULL) || (asks && strstr(why.text, rows[i].reason) == NULL))
            fail_msg("%s: %d, \"%s\"", rows[i].what, asks, why.text);
        policy_free(before);
        policy_free(after);
    }
}

/* All that a policy can hold back is more than the text has room for. */
static void test_a_long_list(void **state) {
    (void)state;
    struct why why;
    struct policy *before = policy_new();
    for (int i = 0; i < 200; i++) {
        char field[40];
        snprintf(field, sizeof field, "protocol:a-long-name-%d", i);
        assert_int_equal(policy_add(before, field, strlen(field), "off", 3), 0);
    }
    assert_true(guard_opening(before, NULL, true, NOW, &why));
    assert_string_equal(why.text + strlen(why.text) - 3, "...");
    policy_free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_opening),
                                       cmocka_unit_test(test_a_long_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
