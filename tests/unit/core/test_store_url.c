/*
 * store_url: every form of the store setting, and what is none.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/store_url.h"

static void test_one_server(void **state) {
    static const struct {
        const char *text;
        enum store_kind kind;
        const char *host;
        int port; /* -1: refused */
        const char *path;
        int db;
    } rows[] = {
        {"redis://127.0.0.1:6379/0", STORE_REDIS, "127.0.0.1", 6379, "", 0},
        {"redis://redis.example", STORE_REDIS, "redis.example", 6379, "", 0},
        {"redis://redis.example:7000/5", STORE_REDIS, "redis.example", 7000, "", 5},
        {"redis://[::1]:7000/5", STORE_REDIS, "::1", 7000, "", 5},
        {"redis+unix:///run/redis.sock", STORE_REDIS_UNIX, "", 0, "/run/redis.sock", 0},
        {"redis+unix:///run/redis.sock?db=3", STORE_REDIS_UNIX, "", 0, "/run/redis.sock", 3},
        {"file:/etc/gatepost/policy", STORE_FILE, "", 0, "/etc/gatepost/policy", 0},
        {"redis://", STORE_REDIS, "", -1, "", 0},
        {"redis://host:0", STORE_REDIS, "", -1, "", 0},
        {"redis://host:x", STORE_REDIS, "", -1, "", 0},
        {"redis://host/x", STORE_REDIS, "", -1, "", 0},
        {"redis://a,b", STORE_REDIS, "a,b", 6379, "", 0}, /* a name like any other */
        {"redis://[::1", STORE_REDIS, "", -1, "", 0},
        {"redis://user:secret@host", STORE_REDIS, "", -1, "", 0},
        {"redis+unix://run/redis.sock", STORE_REDIS_UNIX, "", -1, "", 0},
        {"redis+unix:///run/redis.sock?x=1", STORE_REDIS_UNIX, "", -1, "", 0},
        {"file:", STORE_FILE, "", -1, "", 0},
        {"http://host", STORE_FILE, "", -1, "", 0},
        {"", STORE_FILE, "", -1, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct store_url got;
        struct why why;
        int rc = store_url_parse(rows[i].text, &got, &why);
        if ((rc != 0) != (rows[i].port < 0))
            fail_msg("%s: %d", rows[i].text, rc);
        if (rc != 0)
            continue;
        assert_int_equal(got.kind, rows[i].kind);
        assert_string_equal(got.host, rows[i].host);
        assert_string_equal(got.path, rows[i].path);
        assert_int_equal(got.port, rows[i].port);
        assert_int_equal(got.db, rows[i].db);
    }
}

static void test_several_servers(void **state) {
    static const struct {
        const char *text;
        enum store_kind kind;
        size_t n; /* 0: refused */
        const char *host;
        int port; /* host and port of the last */
        const char *master;
        int db;
    } rows[] = {
        {"redis+sentinel://a/mymaster", STORE_SENTINEL, 1, "a", 26379, "mymaster", 0},
        {"redis+sentinel://a:1,b:2,[::1]:3/my-master/4", STORE_SENTINEL, 3, "::1", 3, "my-master",
         4},
        {"redis+sentinel://a,b", STORE_SENTINEL, 0, "", 0, "", 0},
        {"redis+sentinel://a,b/", STORE_SENTINEL, 0, "", 0, "", 0},
        {"redis+sentinel://a,,b/m", STORE_SENTINEL, 0, "", 0, "", 0},
        {"redis+sentinel://a/m/x", STORE_SENTINEL, 0, "", 0, "", 0},
        {"redis+sentinel://:secret@a/m", STORE_SENTINEL, 0, "", 0, "", 0},
        {"redis+cluster://a", STORE_CLUSTER, 1, "a", 6379, "", 0},
        {"redis+cluster://a:7000,b:7001", STORE_CLUSTER, 2, "b", 7001, "", 0},
        {"redis+cluster://a,b/0", STORE_CLUSTER, 2, "b", 6379, "", 0},
        {"redis+cluster://a,b/1", STORE_CLUSTER, 0, "", 0, "", 0},
        {"redis+cluster://a,", STORE_CLUSTER, 0, "", 0, "", 0},
        {"redis+cluster://", STORE_CLUSTER, 0, "", 0, "", 0},
        {"redis+cluster://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", STORE_CLUSTER, 16, "a", 6379, "", 0},
        {"redis+cluster://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", STORE_CLUSTER, 0, "", 0, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct store_url got;
        struct why why;
        int rc = store_url_parse(rows[i].text, &got, &why);
        if ((rc != 0) != (rows[i].n == 0))
            fail_msg("%s: %d", rows[i].text, rc);
        if (rc != 0)
            continue;
        assert_int_equal(got.kind, rows[i].kind);
        assert_int_equal(got.n_seeds, rows[i].n);
        assert_string_equal(got.seeds[got.n_seeds - 1].host, rows[i].host);
        assert_int_equal(got.seeds[got.n_seeds - 1].port, rows[i].port);
        assert_string_equal(got.master, rows[i].master);
        assert_int_equal(got.db, rows[i].db);
    }
}

static void test_tls(void **state) {
    struct store_url got;
    struct why why;
    (void)state;
#ifdef HAVE_HIREDIS_SSL
    assert_int_equal(store_url_parse("rediss://redis.example:7000/2", &got, &why), 0);
    assert_true(got.tls);
    assert_string_equal(got.host, "redis.example");
#else
    assert_int_equal(store_url_parse("rediss://redis.example", &got, &why), -1);
    assert_non_null(strstr(why.text, "stunnel"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_server),
        cmocka_unit_test(test_several_servers),
        cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
