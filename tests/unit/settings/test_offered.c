/*
 * What a host offers: each sign of it, and what is none.
 */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "milter/settings/offered.h"

static const char *const both[] = {"imap", "submission"};
static const struct protocol sections[] = {{"imap4-smtp", both, 2}};
static struct config_listener listeners[] = {{.rules = {.name = "mx", .service = "smtp"}},
                                             {.rules = {.name = "dav", .service = "caldav"}}};

/* What is marked, of one protocol with that service, origin and own setting; `used` also by whom.
 */
static bool marked(const char *name, const char *service, const char *from, const char *set,
                   bool used) {
    const struct config config = {.rules = {.protocols = sections, .n_protocols = 1},
                                  .listeners = listeners,
                                  .n_listeners = COUNT(listeners)};
    json_t *shown = json_pack("{s:{s:{s:s?, s:s?, s:[s], s:{}}}}", "protocols", name, "from", from,
                              "set", set, "services", service, "last_use");
    json_t *protocol = json_object_get(json_object_get(shown, "protocols"), name);
    assert_non_null(protocol);
    if (used)
        json_object_set_new(json_object_get(protocol, "last_use"), service,
                            json_string("2026-11-28T00:00:00Z"));
    offered_mark(shown, &config);
    json_t *offered = json_object_get(protocol, "offered");
    assert_true(json_is_boolean(offered));
    bool is = json_is_true(offered);
    json_decref(shown);
    return is;
}

static void test_signs(void **state) {
    (void)state;
    assert_true(marked("imap4-smtp", "imap", NULL, NULL, false));
    assert_true(marked("caldav", "caldav", NULL, NULL, false));
    assert_true(marked("jmap", "jmap", NULL, NULL, true));
    assert_true(marked("jmap", "jmap", "account:@example.com:protocol:jmap", NULL, false));
    assert_true(marked("jmap", "jmap", "self:a@example.com:protocol:jmap", "off", false));
    assert_true(marked("jmap", "jmap", "account:*:protocol:*", "off", false));
}

static void test_no_signs(void **state) {
    (void)state;
    assert_false(marked("jmap", "jmap", NULL, NULL, false));
    assert_false(marked("jmap", "jmap", "account:*:protocol:*", NULL, false));
    assert_false(marked("carddav", "carddav", NULL, NULL, false));
}

static void test_without_an_account(void **state) {
    const struct config config = {0};
    (void)state;
    offered_mark(NULL, &config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_no_signs),
        cmocka_unit_test(test_without_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
