/*
 * host_port: every spelling, with what it means to people and to the system.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "gatepost/base/host_port.h"

static void test_parse(void **state) {
    static const struct {
        const char *text, *formatted; /* NULL: refused */
    } rows[] = {
        {"127.0.0.1:9478", "127.0.0.1:9478"},
        {"127.0.0.1", "127.0.0.1:0"},
        {"[::1]:1", "[::1]:1"},
        {"[::1]", "[::1]:0"},
        {"::1", "[::1]:0"},
        {"2001:DB8::0025", "[2001:db8::25]:0"},
        {"[2001:db8:0:1:2:3:4:5]:65535", "[2001:db8:0:1:2:3:4:5]:65535"},
        {"[127.0.0.1]:80", "127.0.0.1:80"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},
        {"127.0.0.1:00080", "127.0.0.1:80"},
        {"127.0.0.1:000080", NULL},
        {"127.0.0.1:0", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:-1", NULL},
        {"127.0.0.1:+1", NULL},
        {"127.0.0.1: 1", NULL},
        {"127.0.0.1:80x", NULL},
        {"127.0.0.1:", NULL},
        {":80", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[::1]:", NULL},
        {"[]:80", NULL},
        {"localhost:80", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct host_port got;
        char text[HOST_PORT_SIZE];
        int rc = host_port_parse(rows[i].text, &got);
        if ((rc == 0) != (rows[i].formatted != NULL))
            fail_msg("%s: %d", rows[i].text, rc);
        if (rc == 0)
            assert_string_equal(host_port_format(&got, text), rows[i].formatted);
    }
}

static void test_sockaddr(void **state) {
    struct sockaddr_storage address;
    const struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    struct host_port where;
    char text[INET6_ADDRSTRLEN];
    (void)state;
    assert_int_equal(host_port_parse("192.0.2.1:9478", &where), 0);
    assert_int_equal(host_port_sockaddr(&where, &address), sizeof *v4);
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 9478);
    assert_string_equal(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text), "192.0.2.1");
    assert_int_equal(host_port_parse("[2001:db8::1]:53", &where), 0);
    assert_int_equal(host_port_sockaddr(&where, &address), sizeof *v6);
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6->sin6_port), 53);
    assert_string_equal(inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text), "2001:db8::1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_sockaddr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
