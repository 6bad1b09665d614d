/*
 * app_password: what is typed, what is stored, and where one is good.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/app_password.h"

static void test_typed(void **state) {
    static const struct {
        const char *typed;
        bool good;
    } rows[] = {
        {"abcd-efgh-jkmn-pqrs-tuvw-xyz2-3456", true},
        {"abcdefghjkmnpqrstuvwxyz23456", true},
        {" ABCD efgh JKMN pqrs tuvw xyz2 3456 ", true},
        {"abcdefghjkmnpqrstuvwxyz2345", false},
        {"abcdefghjkmnpqrstuvwxyz234567", false},
        {"abcdefghijkmnpqrstuvwxyz2345", false}, /* i, l, o, 0 and 1 are no letters of it */
        {"abcdefghjkmnpqrstuvwxyz23450", false},
        {"abcdefghjkmnpqrstuvwxyz2345\n", false},
        {"abcdefghjkmnpqrstuvwxyz2345\xc3\xa4", false},
        {"----------------------------", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char secret[APP_PASSWORD_SIZE], shown[APP_PASSWORD_SHOWN_SIZE];
        assert_int_equal(app_password_normalize(rows[i].typed, secret), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_string_equal(secret, "abcdefghjkmnpqrstuvwxyz23456");
        app_password_group(secret, shown);
        assert_string_equal(shown, rows[0].typed);
    }
}

#define CREATED " created=2026-11-28T00:00:00Z"

static void test_stored(void **state) {
    static const struct {
        const char *value, *note;
        int64_t until;
    } rows[] = {
        {"id=x protocols=a services=b" CREATED, "", 0},
        {"id=x protocols=a services=b" CREATED " ", "", 0},
        {"id=x protocols=a services=b" CREATED " phone of id=y", "phone of id=y", 0},
        {"id=x protocols=a services=b" CREATED " until=2027-01-01T00:00:00Z phone", "phone",
         1798761600},
        {"id=x protocols=a services=b" CREATED " until=2027-01-01T00:00:00Z", "", 1798761600},
        {"id=x protocols=a services=b" CREATED " until=soon phone", NULL, 0},
        {"id=x protocols=a services=b" CREATED " from=2027-01-01T00:00:00Z phone", "phone", 0},
        {"id=x protocols=a services=b" CREATED
         " from=2026-12-01T00:00:00Z until=2027-01-01T00:00:00Z phone",
         "phone", 1798761600},
        {"id=x protocols=a services=b" CREATED " from=soon phone", NULL, 0},
        {"id=x protocols=a services=b" CREATED " from= phone", NULL, 0},
        {"id=x protocols=a services=b" CREATED " from=1970-01-01T00:00:00Z", NULL, 0},
        {"id=x protocols=a services=b" CREATED " until=1970-01-01T00:00:00Z", NULL, 0},
        {"id=x protocols=a services=b created=now", NULL, 0},
        {"id=x protocols=a services=b", NULL, 0},
        {"id= protocols=a services=b" CREATED, NULL, 0},
        {"id=x protocols= services=b" CREATED, NULL, 0},
        {"protocols=a id=x services=b" CREATED, NULL, 0},
        {" id=x protocols=a services=b" CREATED, NULL, 0},
        {"", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct app_password password;
        bool good = app_password_read(rows[i].value, strlen(rows[i].value), &password);
        if (good != (rows[i].note != NULL))
            fail_msg("%s: %d", rows[i].value, good);
        if (!good)
            continue;
        assert_int_equal(password.until, rows[i].until);
        assert_int_equal(password.note.len, strlen(rows[i].note));
        assert_memory_equal(password.note.text, rows[i].note, password.note.len);
        assert_memory_equal(password.id.text, "x", 1);
    }
}

static void test_covers(void **state) {
    static const char *const imap[] = {"imap", "submission"}, *const pop[] = {"pop3", "submission"};
    static const struct protocol protocols[] = {{"imap4-smtp", imap, 2}, {"pop3-smtp", pop, 2}};
    static const struct decision_rules rules = {.protocols = protocols, .n_protocols = 2};
    static const struct {
        const char *protocols, *services, *until, *service;
        bool good;
    } rows[] = {
        {"imap4-smtp", "imap,submission", "", "imap", true},
        {"imap4-smtp", "imap,submission", "", "submission", true},
        {"imap4-smtp", "imap,submission", "", "pop3", false},
        {"imap4-smtp", "submission", "", "imap", false}, /* the protocol has got it since */
        {"pop3-smtp", "imap,pop3", "", "imap", false},   /* and this one has lost it */
        {"imap4-smtp,pop3-smtp", "imap,pop3", "", "pop3", true},
        {"imap4", "imap", "", "imap", false},
        {"sieve", "sieve", "", "sieve", true}, /* no section names it */
        {"imap", "imap", "", "imap", false},   /* a section names it, so it is no protocol */
        {"webmail", "webmail", "", "webmail", false},
        {"imap4-smtp", "imap", " until=2027-01-15T08:00:00Z", "imap", false},
        {"imap4-smtp", "imap", " until=2027-01-15T08:00:01Z", "imap", true},
        {"imap4-smtp", "imap", " from=2027-01-15T08:00:00Z", "imap", true},
        {"imap4-smtp", "imap", " from=2027-01-15T08:00:01Z", "imap", false},
        {"imap4-smtp", "imap", " from=2027-01-15T07:00:00Z until=2027-01-15T08:00:00Z", "imap",
         false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct app_password password;
        char value[200];
        snprintf(value, sizeof value, "id=x protocols=%s services=%s" CREATED "%s note",
                 rows[i].protocols, rows[i].services, rows[i].until);
        assert_true(app_password_read(value, strlen(value), &password));
        if (app_password_covers(&password, &rules, rows[i].service, 1800000000) != rows[i].good)
            fail_msg("row %zu: %s", i, value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_covers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
