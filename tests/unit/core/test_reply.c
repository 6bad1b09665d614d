/*
 * reply: templates, placeholders, and safety whatever the values hold.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gatepost/core/reply.h"

static const struct verdict disabled = {.kind = VERDICT_REJECT, .reason = REASON_PROTOCOL_DISABLED};

static void test_check(void **state) {
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"plain text", NULL},
        {"{account} may not, says {reason}: {spf} {explanation}", NULL},
        {"100% sure, %s %n", NULL},
        {"closing } alone", NULL},
        {"", "empty"},
        {"{acount}", "unknown placeholder {acount"},
        {"{account", "unknown placeholder"},
        {"{}", "unknown placeholder"},
        {"two\nlines", "one line"},
        {"caf\xc3\xa9", "US-ASCII"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why = {""};
        int rc = reply_check_template(rows[i].text, &why);
        if ((rc == 0) != (rows[i].why == NULL) ||
            (rc != 0 && strstr(why.text, rows[i].why) == NULL))
            fail_msg("\"%s\": %d %s", rows[i].text, rc, why.text);
    }
}

static void test_own_text(void **state) {
    const struct reply_values values = {
        .account = "a%b@example.com", .service = "submission", .session = "1-2"};
    struct reply reply;
    (void)state;
    reply_render(&disabled, "No {service} for {account}, {login}: %s 100%", &values, &reply);
    assert_string_equal(reply.text,
                        "No submission for a%%b@example.com, -: %%s 100%%; session 1-2");
}

static void test_explanation_is_marked(void **state) {
    const struct verdict fail = {.kind = VERDICT_REJECT,
                                 .reason = REASON_SPF,
                                 .identity = IDENTITY_MAILFROM,
                                 .spf = RESULT_FAIL};
    struct reply_values values = {.account = "bob@sender.example",
                                  .client = "192.0.2.1",
                                  .domain = "sender.example",
                                  .explanation = "Go away\r\n250 ok",
                                  .session = "1-2"};
    struct reply reply;
    (void)state;
    reply_render(&fail, NULL, &values, &reply);
    assert_string_equal(reply.text, "sender.example does not authorize 192.0.2.1 to send mail as "
                                    "bob@sender.example (SPF fail). sender.example explains: "
                                    "Go away??250 ok; session 1-2");
    values.explanation = NULL;
    reply_render(&fail, NULL, &values, &reply);
    assert_null(strstr(reply.text, "explains"));
}

static void random_text(char *out, size_t max) {
    size_t len = (size_t)rand() % max;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(rand() % 4 == 0 ? '%' : 1 + rand() % 255);
    out[len] = '\0';
}

/* Any octets anywhere, for every reason: one safe line that ends with the session id. */
static void test_any_octets(void **state) {
    (void)state;
    srand(822);
    for (int round = 0; round < 30000; round++) {
        char texts[6][1200];
        struct reply reply;
        struct verdict verdict = {.kind = rand() % 2 ? VERDICT_REJECT : VERDICT_DEFER,
                                  .reason = (enum reason)(rand() % REASONS),
                                  .identity = (enum spf_identity)(rand() % 3),
                                  .spf = (enum spf_result)(rand() % SPF_RESULTS)};
        for (size_t i = 0; i < 6; i++)
            random_text(texts[i], rand() % 2 ? 20 : sizeof texts[i]);
        const struct reply_values values = {.account = texts[0],
                                            .client = texts[1],
                                            .helo = texts[2],
                                            .domain = texts[3],
                                            .explanation = texts[4],
                                            .service = texts[5],
                                            .session = "0123abcd-4f"};
        reply_render(&verdict, round % 3 == 0 ? "{account}{helo}{explanation}{domain}" : NULL,
                     &values, &reply);
        size_t len = strlen(reply.text);
        assert_true(len < sizeof reply.text);
        assert_string_equal(reply.text + len - strlen("; session 0123abcd-4f"),
                            "; session 0123abcd-4f");
        for (size_t i = 0; i < len; i++) {
            assert_in_range((unsigned char)reply.text[i], 0x20, 0x7e);
            if (reply.text[i] == '%')
                assert_int_equal(reply.text[++i], '%');
        }
        assert_int_equal(reply.code[0], reply.enhanced[0]);
        assert_int_equal(reply.code[0], verdict.kind == VERDICT_REJECT ? '5' : '4');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_own_text),
        cmocka_unit_test(test_explanation_is_marked),
        cmocka_unit_test(test_any_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
