/*
 * netblock: the syntax of addresses and CIDR blocks, and matching, as tables; and the merged set
 * against a plain walk over the same random blocks.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gatepost/core/netblock.h"
#include "gatepost/core/netset.h"

static struct netblock block_of(const char *text) {
    struct netblock block;
    struct why why = {""};
    if (netblock_parse(text, strlen(text), &block, &why) != 0)
        fail_msg("%s: %s", text, why.text);
    return block;
}

static struct ip_address ip_of(const char *text) {
    struct ip_address ip;
    if (ip_parse(text, strlen(text), &ip) != 0)
        fail_msg("%s is no address", text);
    return ip;
}

static void test_parse(void **state) {
    static const struct {
        const char *text, *base;
        unsigned prefix;
        bool host_bits;
    } good[] = {
        {"192.0.2.1", "192.0.2.1", 32, false},
        {"192.0.2.0/24", "192.0.2.0", 24, false},
        {"192.0.2.77/24", "192.0.2.0", 24, true},
        {"0.0.0.0/0", "0.0.0.0", 0, false},
        {"255.255.255.255/1", "128.0.0.0", 1, true},
        {"2001:db8::/32", "2001:db8::", 32, false},
        {"2001:DB8::1", "2001:db8::1", 128, false},
        {"2001:db8:ffff::/33", "2001:db8:8000::", 33, true},
        {"::/0", "::", 0, false},
        {"::ffff:10.1.2.3", "10.1.2.3", 32, false},
        {"::ffff:10.0.0.0/104", "10.0.0.0", 8, false},
        {"::ffff:0:0/96", "0.0.0.0", 0, false},
        {"IPv6:2001:db8::1", "2001:db8::1", 128, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        char text[IP_TEXT_SIZE];
        struct netblock block = block_of(good[i].text);
        assert_string_equal(ip_format(&block.base, text), good[i].base);
        assert_int_equal(block.prefix, good[i].prefix);
        assert_int_equal(block.host_bits, good[i].host_bits);
    }
}

static void test_parse_refuses(void **state) {
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "empty"},
        {"192.0.2", "not an IPv4"},
        {"192.0.2.256", "not an IPv4"},
        {"192.0.2.01", "not an IPv4"},
        {"192.0.2.1 ", "not an IPv4"},
        {" 192.0.2.1", "not an IPv4"},
        {"192.0.2.1/", "from 0 to 32"},
        {"192.0.2.1/33", "from 0 to 32"},
        {"192.0.2.1/-1", "from 0 to 32"},
        {"192.0.2.1/024", "from 0 to 32"},
        {"192.0.2.1/24/8", "from 0 to 32"},
        {"192.0.2.1/4294967297", "from 0 to 32"},
        {"2001:db8::/129", "from 0 to 128"},
        {"2001:db8::g", "not an IPv4"},
        {"1:2:3:4:5:6:7:8:9", "not an IPv4"},
        {"fe80::1%eth0", "not an IPv4"},
        {"example.com", "not an IPv4"},
        {"/8", "not an IPv4"},
        {"0000000000000000000000000000000000000000000000000000000000001", "not an IPv4"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct netblock block;
        struct why why = {""};
        int rc = netblock_parse(bad[i].text, strlen(bad[i].text), &block, &why);
        if (rc != -1 || strstr(why.text, bad[i].why) == NULL)
            fail_msg("\"%s\": returned %d, \"%s\"", bad[i].text, rc, why.text);
    }
    struct netblock block;
    struct why why;
    assert_int_equal(netblock_parse("10.0.0.1\0x", 10, &block, &why), -1);
}

static void test_contains(void **state) {
    static const struct {
        const char *block, *ip;
        bool inside;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "192.0.2.1", false},
        {"::/0", "2001:db8::1", true},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"2001:db8::/33", "2001:db8:7fff:ffff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::2", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct netblock block = block_of(rows[i].block);
        struct ip_address ip = ip_of(rows[i].ip);
        struct netset *set = netset_new(&block, 1);
        if (netblock_contains(&block, &ip) != rows[i].inside ||
            netset_contains(set, &ip) != rows[i].inside)
            fail_msg("%s in %s", rows[i].ip, rows[i].block);
        netset_free(set);
    }
    struct netblock all = block_of("0.0.0.0/0");
    struct ip_address none = {.family = IP_NONE};
    assert_false(netblock_contains(&all, &none));
}

/* Few distinct octets, so that blocks nest, touch and repeat. */
static struct ip_address random_ip(bool v6) {
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(rand() % 4 == 0 ? rand() % 256 : 0xfe + rand() % 2);
    return ip_from_bytes(v6 ? IP_V6 : IP_V4, bytes);
}

/* What a prefix means, bit by bit. */
static bool reference(const struct ip_address *base, unsigned prefix, const struct ip_address *ip) {
    if (base->family != ip->family)
        return false;
    for (unsigned bit = 0; bit < prefix; bit++)
        if (((base->bytes[bit / 8] ^ ip->bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0)
            return false;
    return true;
}

/* Through text, as an operator writes it: the address as it is, host bits and all. */
static void test_contains_equals_reference(void **state) {
    (void)state;
    srand(4632);
    for (int round = 0; round < 200000; round++) {
        bool v6 = rand() % 2;
        struct ip_address base = random_ip(v6), ip = random_ip(v6);
        unsigned prefix = (unsigned)rand() % (v6 ? 129 : 33);
        char text[IP_TEXT_SIZE], cidr[IP_TEXT_SIZE + 5];
        snprintf(cidr, sizeof cidr, "%s/%u", ip_format(&base, text), prefix);
        struct netblock block = block_of(cidr);
        if (netblock_contains(&block, &ip) != reference(&base, prefix, &ip))
            fail_msg("%s in %s", ip_format(&ip, text), cidr);
    }
}

static void test_set_equals_walk(void **state) {
    (void)state;
    srand(7208);
    for (int round = 0; round < 400; round++) {
        struct netblock blocks[60];
        size_t n = (size_t)(rand() % (int)COUNT(blocks));
        for (size_t i = 0; i < n; i++) {
            bool v6 = rand() % 2;
            blocks[i].base = random_ip(v6);
            blocks[i].prefix = (uint8_t)(rand() % (v6 ? 129 : 33));
            ip_mask(&blocks[i].base, blocks[i].prefix);
        }
        struct netset *set = netset_new(blocks, n);
        assert_non_null(set);
        for (int probe = 0; probe < 200; probe++) {
            struct ip_address ip = random_ip(rand() % 2);
            bool inside = false;
            for (size_t i = 0; i < n; i++)
                inside |= netblock_contains(&blocks[i], &ip);
            if (netset_contains(set, &ip) != inside) {
                char text[IP_TEXT_SIZE];
                fail_msg("round %d: %s, walk says %d", round, ip_format(&ip, text), inside);
            }
        }
        netset_free(set);
    }
}

static void test_format(void **state) {
    static const char *const rows[][2] = {
        {"192.0.2.1/32", "192.0.2.1"},      {"192.0.2.77/24", "192.0.2.0/24"},
        {"0.0.0.0/0", "0.0.0.0/0"},         {"2001:DB8:0::1", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8::/32"}, {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct netblock block = block_of(rows[i][0]);
        char text[NETBLOCK_TEXT_SIZE];
        assert_string_equal(netblock_format(&block, text), rows[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_contains_equals_reference),
        cmocka_unit_test(test_set_equals_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
