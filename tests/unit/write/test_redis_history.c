/*
 * history_order: entries that came late go before those of later changes, of the same subject only.
 */
#include "tests/unit/unit.h"

#include "milter/write/redis_history.h"

/* "a1@5 b2@6": subject a, change 1 (in microseconds), appended at 5 (milliseconds), and so on. */
static void order(const char *given, const char *wanted) {
    struct history_entry entries[16];
    char told[200] = "";
    size_t n = 0;
    for (const char *at = given; *at != '\0'; n++) {
        int len = 0;
        entries[n] = (struct history_entry){.subject = {at, 1}};
        long long made, appended;
        assert_int_equal(sscanf(at + 1, "%lld@%lld%n", &made, &appended, &len), 2);
        entries[n].at = made;
        entries[n].time = appended;
        at += 1 + len;
        at += strspn(at, " ");
    }
    history_order(entries, n);
    for (size_t i = 0; i < n; i++)
        snprintf(told + strlen(told), sizeof told - strlen(told), "%s%c%lld@%lld",
                 i == 0 ? "" : " ", entries[i].subject.text[0], (long long)entries[i].at,
                 (long long)entries[i].time);
    assert_string_equal(told, wanted);
}

static void test_in_order(void **state) {
    (void)state;
    order("", "");
    order("a1@5", "a1@5");
    order("a1@5 a2@5 a3@6", "a1@5 a2@5 a3@6");
    order("a1@5 a1@5 a1@5", "a1@5 a1@5 a1@5");
}

static void test_late(void **state) {
    (void)state;
    order("a2@5 a1@6", "a1@5 a2@5");
    order("a3@5 a2@6 a1@7", "a1@5 a2@5 a3@5");
    order("a2@5 a2@5 a1@6 a1@6", "a1@5 a1@5 a2@5 a2@5");
    order("a1@5 a3@6 b1@7 a2@8 a4@9", "a1@5 a2@6 a3@6 b1@7 a4@9");
}

static void test_left_alone(void **state) {
    (void)state;
    order("a2@5 b1@6", "a2@5 b1@6"); /* another subject */
    order("a2@5 a1@10005", "a1@5 a2@5");
    order("a2@5 a1@10006", "a2@5 a1@10006"); /* another clock, it is too long ago */
    order("a2@5 a0@6", "a2@5 a0@6");         /* not told */
    order("a0@5 a1@6", "a0@5 a1@6");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
