/*
 * patch: what a change asks for, read strictly.
 */
#include "tests/unit/unit.h"

#include "milter/settings/patch.h"

static void test_results(void **state) {
    static const struct {
        const char *text;
        enum patch_result result;
        const char *field; /* of PATCH_REFUSED */
    } rows[] = {
        {"{}", PATCH_GOOD, NULL},
        {"{\"protocols\":{}}", PATCH_GOOD, NULL},
        {"{\"protocols\":{\"pop3\":\"off\",\"imap\":null,\"caldav\":\"on\"}}", PATCH_GOOD, NULL},
        {"{\"source\":\"authorized\",\"ips\":{\"192.0.2.1\":\"\"},\"confirm\":true}", PATCH_GOOD,
         NULL},
        {"", PATCH_BAD, NULL},
        {"[]", PATCH_BAD, NULL},
        {"null", PATCH_BAD, NULL},
        {"\"{}\"", PATCH_BAD, NULL},
        {"{", PATCH_BAD, NULL},
        {"{} {}", PATCH_BAD, NULL},
        {"{\"source\":null,\"source\":null}", PATCH_BAD, NULL},
        {"{\"protocols\":{\"a\":\"off\",\"a\":\"on\"}}", PATCH_BAD, NULL},
        {"{\"tls\":\"required\"}", PATCH_BAD, NULL},
        {"{\"account\":\"bob@example.com\"}", PATCH_BAD, NULL},
        {"{\"protocols\":[],\"mode\":\"monitor\"}", PATCH_BAD, NULL},
        {"{\"a\\u0000b\":1}", PATCH_BAD, NULL},
        {"{\"source\":\"\xff\"}", PATCH_BAD, NULL},
        {"{\"protocols\":[\"pop3\"]}", PATCH_REFUSED, "protocols"},
        {"{\"protocols\":null}", PATCH_REFUSED, "protocols"},
        {"{\"protocols\":{\"pop3\":\"OFF\"}}", PATCH_REFUSED, "protocols.pop3"},
        {"{\"protocols\":{\"pop3\":false}}", PATCH_REFUSED, "protocols.pop3"},
        {"{\"protocols\":{\"pop3\":{\"status\":\"off\"}}}", PATCH_REFUSED, "protocols.pop3"},
        {"{\"source\":\"none\"}", PATCH_REFUSED, "source"},
        {"{\"source\":true}", PATCH_REFUSED, "source"},
        {"{\"password\":\"secret\"}", PATCH_REFUSED, "password"},
        {"{\"confirm\":\"true\"}", PATCH_REFUSED, "confirm"},
        {"{\"confirm\":null}", PATCH_REFUSED, "confirm"},
        {"{\"ips\":\"192.0.2.1\"}", PATCH_REFUSED, "ips"},
        {"{\"ips\":{\"192.0.2.1\":true}}", PATCH_REFUSED, "ips.192.0.2.1"},
        {"{\"ips\":{\"192.0.2.1\":\"a\\nb\"}}", PATCH_REFUSED, "ips.192.0.2.1"},
        {"{\"ips\":{\"192.0.2.1\":\"until=2020-01-01T00:00:00Z x\"}}", PATCH_REFUSED,
         "ips.192.0.2.1"},
        {"{\"ips\":{\"192.0.2.1\":\"from=2020-01-01T00:00:00Z x\"}}", PATCH_REFUSED,
         "ips.192.0.2.1"},
        {"{\"source\":\"x\",\"password\":\"y\"}", PATCH_REFUSED, "source"}, /* the first */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct patch patch;
        struct why why = {""};
        enum patch_result got = patch_read(rows[i].text, strlen(rows[i].text), &patch, &why);
        if (got != rows[i].result)
            fail_msg("%s: %d, %s", rows[i].text, got, why.text);
        assert_int_equal(why.text[0] == '\0', got == PATCH_GOOD);
        if (got == PATCH_REFUSED)
            assert_string_equal(patch.field, rows[i].field);
        patch_clear(&patch);
    }
    struct patch patch;
    struct why why;
    assert_int_equal(patch_read(NULL, 0, &patch, &why), PATCH_BAD);
    patch_clear(&patch);
}

static void test_wishes(void **state) {
    static const char text[] =
        "{\"protocols\":{\"pop3\":\"off\",\"imap\":\"on\",\"sieve\":null},\"source\":null,"
        "\"password\":\"application\",\"ips\":{\"192.0.2.1\":\"office\",\"2001:db8::/48\":null}}";
    struct patch patch;
    struct why why;
    (void)state;
    assert_int_equal(patch_read(text, strlen(text), &patch, &why), PATCH_GOOD);
    assert_int_equal(patch.n_protocols, 3);
    assert_string_equal(patch.protocols[0].name, "pop3");
    assert_int_equal(patch.protocols[0].wish, SELF_RESTRICT);
    assert_int_equal(patch.protocols[1].wish, SELF_OPEN);
    assert_int_equal(patch.protocols[2].wish, SELF_UNSET);
    assert_int_equal(patch.source, SELF_UNSET);
    assert_int_equal(patch.password, SELF_RESTRICT);
    assert_false(patch.confirm);
    assert_int_equal(patch.n_ips, 2);
    assert_string_equal(patch.ips[0].note, "office");
    assert_null(patch.ips[1].note);
    patch_clear(&patch);
    assert_int_equal(patch_read("{}", 2, &patch, &why), PATCH_GOOD);
    assert_int_equal(patch.source, SELF_LEAVE);
    assert_int_equal(patch.password, SELF_LEAVE);
    patch_clear(&patch);
}

/* One more than there may be, of each group; and a note that is one octet too long. */
static void test_limits(void **state) {
    static const char *const groups[] = {"protocols", "ips"};
    char text[8000], note[SELF_NOTE_MAX + 2];
    struct patch patch;
    struct why why;
    (void)state;
    for (size_t g = 0; g < COUNT(groups); g++)
        for (int n = PATCH_MEMBERS_MAX; n <= PATCH_MEMBERS_MAX + 1; n++) {
            int len = sprintf(text, "{\"%s\":{", groups[g]);
            for (int i = 0; i < n; i++)
                len += sprintf(text + len, "%s\"m%d\":null", i == 0 ? "" : ",", i);
            len += sprintf(text + len, "}}");
            assert_int_equal(patch_read(text, (size_t)len, &patch, &why),
                             n > PATCH_MEMBERS_MAX ? PATCH_REFUSED : PATCH_GOOD);
            patch_clear(&patch);
        }
    memset(note, 'n', sizeof note);
    note[SELF_NOTE_MAX + 1] = '\0';
    assert_false(patch_is_note(note, &why));
    note[SELF_NOTE_MAX] = '\0';
    assert_true(patch_is_note(note, &why));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
