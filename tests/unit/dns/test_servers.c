/*
 * servers: resolv.conf is followed however it changes, and a silent server comes after the others
 * for a while.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/dns/servers.h"

static char folder[] = "/tmp/gatepost-test.XXXXXX", path[60], other[60];

static int setup(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/resolv.conf", folder);
    snprintf(other, sizeof other, "%s/resolv.conf.new", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(folder);
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(name, "w"); /* in place, if it is there */
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The addresses in the order in which to ask them, as words. */
static const char *order(struct dns_servers *servers, int64_t now) {
    static char words[500];
    struct dns_server list[DNS_SERVERS_MAX];
    size_t n = dns_servers_take(servers, now, list), len = 0;
    words[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const struct dns_address *address = &list[i].address;
        char text[INET6_ADDRSTRLEN];
        bool v6 = address->socket.any.sa_family == AF_INET6;
        const void *octets = v6 ? (const void *)&address->socket.v6.sin6_addr
                                : (const void *)&address->socket.v4.sin_addr;
        unsigned port = ntohs(v6 ? address->socket.v6.sin6_port : address->socket.v4.sin_port);
        unsigned scope = v6 ? address->socket.v6.sin6_scope_id : 0;
        inet_ntop(address->socket.any.sa_family, octets, text, sizeof text);
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i > 0 ? " " : "", text);
        if (scope != 0)
            len += (size_t)snprintf(words + len, sizeof words - len, "%%%u", scope);
        if (port != 53)
            len += (size_t)snprintf(words + len, sizeof words - len, "#%u", port);
    }
    return words;
}

static struct dns_servers *follow(void) {
    struct dns_servers *servers;
    struct why why;
    assert_int_equal(dns_servers_open(NULL, 0, path, &servers, &why), 0);
    return servers;
}

static int64_t now;

/* What is seen of a change after less than a second. */
static void assert_followed(struct dns_servers *servers, bool changed, const char *expected) {
    now += 999;
    assert_int_equal(dns_servers_follow(servers, now), changed);
    assert_string_equal(order(servers, now), expected);
}

static void test_followed(void **state) {
    (void)state;
    now = 1LL << 40; /* long after it was opened */
    write_file(path, "nameserver 192.0.2.1\n");
    struct dns_servers *servers = follow();
    assert_string_equal(order(servers, now), "192.0.2.1");
    assert_followed(servers, false, "192.0.2.1");
    write_file(path, "nameserver 192.0.2.2\n"); /* as large as before, perhaps in the same tick */
    assert_followed(servers, true, "192.0.2.2");
    write_file(other, "nameserver 192.0.2.3\nnameserver 192.0.2.2\n");
    assert_int_equal(rename(other, path), 0);
    assert_followed(servers, true, "192.0.2.3 192.0.2.2");
    /* on its way to another content; a list once had is kept */
    write_file(path, "");
    assert_followed(servers, false, "192.0.2.3 192.0.2.2");
    unlink(path);
    assert_followed(servers, false, "192.0.2.3 192.0.2.2");
    write_file(path, "nameserver 192.0.2.3\nnameserver 192.0.2.2\noptions timeout:1\n");
    assert_followed(servers, false, "192.0.2.3 192.0.2.2");
    write_file(path, "nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
    assert_followed(servers, true, "192.0.2.2 192.0.2.3");
    dns_servers_free(servers);
}

/* It is not looked at more than twice a second. */
static void test_looked_at_now_and_then(void **state) {
    (void)state;
    now = 1LL << 40;
    write_file(path, "nameserver 192.0.2.1\n");
    struct dns_servers *servers = follow();
    assert_followed(servers, false, "192.0.2.1");
    write_file(path, "nameserver 192.0.2.20\n");
    assert_false(dns_servers_follow(servers, now + 499));
    assert_string_equal(order(servers, now), "192.0.2.1");
    assert_followed(servers, true, "192.0.2.20");
    dns_servers_free(servers);
}

static void test_nothing_at_the_start(void **state) {
    (void)state;
    for (int empty = 0; empty < 2; empty++) {
        now = 1LL << 40;
        unlink(path);
        if (empty)
            write_file(path, "");
        struct dns_servers *servers = follow();
        assert_string_equal(order(servers, now), "127.0.0.1");
        assert_followed(servers, false, "127.0.0.1");
        write_file(path, "# written by DHCP\nnameserver 192.0.2.1\n");
        assert_followed(servers, true, "192.0.2.1");
        dns_servers_free(servers);
    }
}

static void test_lines(void **state) {
    unsigned lo = if_nametoindex("lo");
    char scoped[80];
    snprintf(scoped, sizeof scoped, "fe80::1%%%u fe80::2%%%u", lo, lo);
    const struct {
        const char *text, *servers;
    } rows[] = {
        {"nameserver\t192.0.2.1 \t# ours\nsearch example.com\nnameserver 2001:db8::1;x",
         "192.0.2.1 2001:db8::1"},
        {"#nameserver 192.0.2.1\n;nameserver 192.0.2.1\n nameserver 192.0.2.1\n", "127.0.0.1"},
        {"nameserver192.0.2.1\nnameserver\nnameserver x\nNAMESERVER 192.0.2.1\nnameserver "
         "192.0.2.9\r\n",
         "192.0.2.9"},
        {"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
         "192.0.2.1 192.0.2.2 192.0.2.3"},
        {"nameserver fe80::1%lo\nnameserver fe80::2%1\n", scoped},
        {"nameserver 192.0.2.1/24\nnameserver 192.0.2.1:53\nnameserver 1.2.3.4.5\n", "127.0.0.1"},
        {"options timeout:1 attempts:9 rotate use-vc\nnameserver ::1\n", "::1"},
    };
    (void)state;
    assert_int_equal(lo, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_file(path, rows[i].text);
        struct dns_servers *servers = follow();
        assert_string_equal(order(servers, 1), rows[i].servers);
        dns_servers_free(servers);
    }
}

/* An interface that comes later: the file is looked at until it is there. */
static void test_interface_not_there(void **state) {
    (void)state;
    now = 1LL << 40;
    write_file(path, "nameserver fe80::1%none0\nnameserver 192.0.2.1\n");
    struct dns_servers *servers = follow();
    assert_string_equal(order(servers, now), "192.0.2.1");
    assert_followed(servers, false, "192.0.2.1");
    dns_servers_free(servers);
}

/* ---- configured ones, and silence ---- */

static void test_configured(void **state) {
    static const char *const texts[] = {"192.0.2.1:53", "[2001:db8::1]:5353", "192.0.2.2:54"};
    static const char *const bad[] = {"192.0.2.1", "[2001:db8::1]", "x:53", "192.0.2.1:0", ""};
    const char *many[DNS_SERVERS_MAX + 1];
    struct dns_servers *servers;
    struct why why;
    (void)state;
    write_file(path, "nameserver 192.0.2.99\n");
    assert_int_equal(dns_servers_open(texts, COUNT(texts), path, &servers, &why), 0);
    assert_false(dns_servers_follow(servers, 1LL << 40));
    assert_string_equal(order(servers, 1), "192.0.2.1 2001:db8::1#5353 192.0.2.2#54");
    dns_servers_free(servers);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(dns_servers_open(&bad[i], 1, path, &servers, &why), -1);
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = texts[0];
    assert_int_equal(dns_servers_open(many, COUNT(many), path, &servers, &why), -1);
    assert_string_equal(why.text, "more than 16 name servers");
    assert_int_equal(dns_servers_open(many, COUNT(many) - 1, path, &servers, &why), 0);
    dns_servers_free(servers);
}

static struct dns_server first_of(struct dns_servers *servers) {
    struct dns_server list[DNS_SERVERS_MAX];
    assert_true(dns_servers_take(servers, now, list) > 1);
    return list[0];
}

static void test_silence(void **state) {
    static const char *const texts[] = {"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"};
    struct dns_servers *servers;
    struct why why;
    (void)state;
    now = 1000;
    assert_int_equal(dns_servers_open(texts, COUNT(texts), NULL, &servers, &why), 0);
    struct dns_server first = first_of(servers);
    assert_false(first.silent);
    dns_servers_silent(servers, &first, now);
    assert_string_equal(order(servers, now), "192.0.2.2 192.0.2.3 192.0.2.1");
    /* then one question tries it, and others leave it aside */
    now += 10000;
    first = first_of(servers);
    assert_true(first.tried);
    assert_string_equal(order(servers, now), "192.0.2.2 192.0.2.3 192.0.2.1");
    dns_servers_answered(servers, &first);
    assert_string_equal(order(servers, now), "192.0.2.1 192.0.2.2 192.0.2.3");
    assert_false(first_of(servers).tried);
    /* when all are silent, the order is the first again */
    for (int i = 0; i < 3; i++) {
        first = first_of(servers);
        dns_servers_silent(servers, &first, now);
    }
    assert_string_equal(order(servers, now), "192.0.2.1 192.0.2.2 192.0.2.3");
    dns_servers_free(servers);
}

/* What is known of a server outlives a change of the file. */
static void test_silence_over_a_change(void **state) {
    (void)state;
    now = 1LL << 40;
    write_file(path, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    struct dns_servers *servers = follow();
    struct dns_server first = first_of(servers);
    dns_servers_silent(servers, &first, now);
    write_file(path, "nameserver 192.0.2.1\nnameserver 192.0.2.3\n");
    assert_followed(servers, true, "192.0.2.3 192.0.2.1");
    dns_servers_free(servers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_looked_at_now_and_then, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_at_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configured, setup, teardown),
        cmocka_unit_test(test_silence),
        cmocka_unit_test_setup_teardown(test_silence_over_a_change, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
