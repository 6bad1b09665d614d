/*
 * shares: nobody gets more than his share, and what is given back can be had again.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "milter/spf/shares.h"

static struct ip_address ip(const char *text) {
    struct ip_address out;
    assert_int_equal(ip_parse(text, strlen(text), &out), 0);
    return out;
}

/* How many shares can be had with these patterns ("%u" is the number of the try); given back. */
static unsigned take_all(const char *domain, const char *client, const char *reason) {
    static struct share held[2 * SHARE_ALL];
    struct shares *shares = shares_new();
    struct why why = {""};
    unsigned n = 0;
    assert_non_null(shares);
    for (; n < 2 * SHARE_ALL; n++) {
        char name[80], address[40];
        /* cppcheck-suppress wrongPrintfScanfArgNum; a name without number takes none */
        snprintf(name, sizeof name, domain, n);
        snprintf(address, sizeof address, client, n / 200, n % 200);
        struct ip_address from = ip(address);
        if (shares_take(shares, name, &from, &held[n], &why) != 0)
            break;
    }
    if (strstr(why.text, reason) == NULL)
        fail_msg("%s: %s", domain, why.text);
    struct ip_address from = ip("192.0.2.1");
    assert_false(held[n].taken);
    for (unsigned i = 0; i < n; i++)
        shares_give(shares, &held[i]);
    assert_int_equal(shares_take(shares, "x.example", &from, &held[0], &why), 0);
    shares_give(shares, &held[0]);
    shares_give(shares, &held[0]); /* holds nothing any more */
    shares_free(shares);
    return n;
}

static void test_bounds(void **state) {
    (void)state;
    assert_int_equal(take_all("dead.example", "10.%u.%u.1", "of this domain"), SHARE_DOMAIN);
    assert_int_equal(take_all("DEAD.example", "2001:db8:%x:%x::1", "of this domain"), SHARE_DOMAIN);
    assert_int_equal(take_all("x%u.dead.example", "10.%u.%u.1", "names below"), SHARE_PARENT);
    assert_int_equal(take_all("a.b%u.dead.example", "10.%u.%u.1", "names below"), SHARE_PARENT);
    assert_int_equal(take_all("dead%u.example", "192.0.2%.0u.%u", "clients of this network"),
                     SHARE_NETWORK);
    assert_int_equal(take_all("dead%u.example", "2001:db8:1%.0x:%x::1", "clients of this network"),
                     SHARE_NETWORK);
    assert_int_equal(take_all("dead%u.example", "10.%u.%u.1", "256 evaluations wait"), SHARE_ALL);
}

/* One domain at its bound is nothing to another one. */
static void test_others(void **state) {
    struct shares *shares = shares_new();
    struct share held[SHARE_DOMAIN + 1], other;
    struct ip_address from = ip("192.0.2.1"), elsewhere = ip("198.51.100.1");
    struct why why;
    (void)state;
    for (unsigned i = 0; i < SHARE_DOMAIN; i++)
        assert_int_equal(shares_take(shares, "dead.example", &from, &held[i], &why), 0);
    assert_int_equal(shares_take(shares, "dead.example", &elsewhere, &held[SHARE_DOMAIN], &why),
                     -1);
    assert_int_equal(shares_take(shares, "good.example", &from, &other, &why), 0);
    shares_give(shares, &other);
    for (unsigned i = 0; i < SHARE_DOMAIN; i++)
        shares_give(shares, &held[i]);
    shares_free(shares);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
