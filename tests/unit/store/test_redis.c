/*
 * What of the Redis store needs no server: slots, redirections, the meaning of error answers.
 */
#include "tests/unit/unit.h"

#include "gatepost/store/cluster/slot.h"
#include "gatepost/store/redis/errors.h"
#include "gatepost/store/redis/scan.h"

static void test_slots(void **state) {
    static const struct {
        const char *key;
        unsigned slot; /* as CLUSTER KEYSLOT says */
    } rows[] = {
        {"123456789", 12739},         {"", 0},         {"foo", 12182},    {"{foo}bar", 12182},
        {"bar{foo}", 12182},          {"foo{}", 5542}, {"{}{foo}", 2263}, {"{foo", 13308},
        {"gatepost:account:*", 7332},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned slot = redis_slot(rows[i].key, strlen(rows[i].key));
        if (slot != rows[i].slot)
            fail_msg("%s: %u", rows[i].key, slot);
    }
}

static void test_redirects(void **state) {
    static const struct {
        const char *error;
        int kind;
        const char *host;
        int port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", REDIRECT_MOVED, "127.0.0.1", 6381},
        {"ASK 3999 redis-2.example:6381", REDIRECT_ASK, "redis-2.example", 6381},
        {"MOVED 3999 :6381", REDIRECT_MOVED, "", 6381},
        {"MOVED 3999 ?:6381", REDIRECT_MOVED, "", 6381},
        {"MOVED 3999 2001:db8::1:6381", REDIRECT_MOVED, "2001:db8::1", 6381},
        {"MOVED 3999 127.0.0.1:0", REDIRECT_NONE, "", 0},
        {"MOVED 3999 127.0.0.1", REDIRECT_NONE, "", 0},
        {"MOVED", REDIRECT_NONE, "", 0},
        {"ERR no", REDIRECT_NONE, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct redis_redirect got = {.kind = REDIRECT_NONE};
        int rc = redis_redirect_read(rows[i].error, &got);
        if ((rc == 0) != (rows[i].kind != REDIRECT_NONE) || (int)got.kind != rows[i].kind)
            fail_msg("%s", rows[i].error);
        if (rc != 0)
            continue;
        assert_string_equal(got.host, rows[i].host);
        assert_int_equal(got.port, rows[i].port);
    }
}

static void test_errors(void **state) {
    static const struct {
        const char *answer;
        enum redis_fault fault;
        const char *advice;
    } rows[] = {
        {"LOADING Redis is loading the dataset in memory", FAULT_LATER,
         "loading its data from disk"},
        {"WRONGTYPE Operation against a key", FAULT_TYPE, "WRONGTYPE"},
        {"NOPERM this user has no permissions", FAULT_REFUSED, "gatepost.acl"},
        {"NOAUTH Authentication required.", FAULT_LOGIN, "store_password_file"},
        {"WRONGPASS invalid username-password pair", FAULT_LOGIN, "store_password_file"},
        {"MOVED 1 h:1", FAULT_MOVED, "redis+cluster://"},
        {"ASK 1 h:1", FAULT_ASK, "redis+cluster://"},
        {"ERR max number of clients reached", FAULT_LATER, "maxclients"},
        {"MISCONF Redis is configured to save", FAULT_REFUSED, "save"},
        {"ERR unknown command", FAULT_REFUSED, "rename-command"},
        {"OOM command not allowed", FAULT_REFUSED, "maxmemory"},
        {"READONLY You can't write against a read only replica.", FAULT_REFUSED, "the master"},
        {"NOREPLICAS Not enough good replicas to write.", FAULT_REFUSED, "min-replicas-to-write"},
        {"EXECABORT Transaction discarded because of: NOPERM this user", FAULT_REFUSED,
         "gatepostctl.acl"},
        {"ERR anything", FAULT_REFUSED, "ERR anything"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why;
        assert_int_equal(redis_error_judge(rows[i].answer, "HGETALL", "gatepost:x", &why),
                         rows[i].fault);
        assert_non_null(strstr(why.text, "HGETALL gatepost:x: "));
        assert_non_null(strstr(why.text, rows[i].advice));
    }
}

static void test_scan_patterns(void **state) {
    static const struct {
        const char *prefix, *rest, *pattern;
    } rows[] = {
        {"gatepost:", "account:*", "gatepost:account:*"},
        {"", "*", "*"},
        {"a*b?[c]^-\\:", "*", "a\\*b\\?\\[c\\]\\^\\-\\\\:*"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *pattern = redis_scan_pattern(rows[i].prefix, rows[i].rest);
        assert_string_equal(pattern, rows[i].pattern);
        free(pattern);
    }
}

/* What no Redis says is no page, and nothing of it is looked at. */
static void test_scan_pages(void **state) {
    static const struct {
        const char *reply;
        bool page;
    } rows[] = {
        {"*2\r\n$1\r\n0\r\n*0\r\n", true},
        {"*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n", true},
        {"*2\r\n$1\r\n0\r\n*1\r\n$-1\r\n", false},
        {"*2\r\n$1\r\n0\r\n*1\r\n:1\r\n", false},
        {"*2\r\n$1\r\n0\r\n*1\r\n*0\r\n", false},
        {"*2\r\n:0\r\n*0\r\n", false},
        {"*2\r\n$1\r\n0\r\n$1\r\na\r\n", false},
        {"*1\r\n$1\r\n0\r\n", false},
        {"$1\r\n0\r\n", false},
        {"-ERR no\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        redisReader *reader = redisReaderCreate();
        void *reply = NULL;
        redisReaderFeed(reader, rows[i].reply, strlen(rows[i].reply));
        assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
        if (redis_scan_is_page(reply) != rows[i].page)
            fail_msg("%s", rows[i].reply);
        freeReplyObject(reply);
        redisReaderFree(reader);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_patterns), cmocka_unit_test(test_scan_pages),
        cmocka_unit_test(test_slots),         cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
