/*
 * door: which listener a login elsewhere comes to, and what its answer says.
 */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "gatepost/session/door.h"

static const char conf[] =
    "store = \"file:%s\"\n"
    "log = stderr\n"
    "log_level = error\n"
    "default_domain = \"example.com\"\n"
    "network \"webmail\" { members = { \"192.0.2.80\" } }\n"
    "listener \"imap\" { door = dovecot service = imap }\n"
    "listener \"subs465\" { door = dovecot daemon_port = 465 service = submissions }\n"
    "listener \"subs587\" { door = dovecot daemon_port = 587 daemon_addr = \"192.0.2.25\"\n"
    "                     service = submission tls = required }\n"
    "listener \"webmail\" { door = dovecot service = webmail real_client_from = { \"webmail\" }\n"
    "                     tls = offloaded }\n"
    "listener \"dav\" { door = http service = caldav }\n"
    "reply \"protocol-disabled\" { text = \"100%% off\" }\n";

static const char policy[] = "account:alice@example.com protocol:submissions off\n"
                             "account:alice@example.com protocol:caldav off\n"
                             "account:alice@example.com tls required\n";

static struct ip_address ip(const char *text) {
    struct ip_address address = {.family = IP_NONE};
    if (text != NULL)
        assert_int_equal(ip_parse(text, strlen(text), &address), 0);
    return address;
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char path[60], policy_path[60];

static int setup(void **state) {
    char text[sizeof conf + 60];
    struct config *config;
    struct runtime *runtime = NULL;
    struct why why;
    snprintf(path, sizeof path, "/tmp/gatepost-door-%d.conf", (int)getpid());
    snprintf(policy_path, sizeof policy_path, "/tmp/gatepost-door-%d.policy", (int)getpid());
    write_file(policy_path, policy);
    snprintf(text, sizeof text, conf, policy_path);
    write_file(path, text);
    if (config_load(path, &config, &why) != 0 || runtime_open(config, NULL, &runtime, &why) != 0)
        fail_msg("%s", why.text);
    *state = runtime;
    return 0;
}

static int teardown(void **state) {
    runtime_release(*state);
    unlink(path);
    unlink(policy_path);
    return 0;
}

static void test_listeners(void **state) {
    static const struct {
        enum door door;
        const char *service, *real_client, *local;
        int port;
        bool tls;
        const char *listener, *judged_for;
        enum verdict_kind kind;
        enum reason reason;
    } rows[] = {
        {DOOR_DOVECOT, "imap", NULL, NULL, 993, true, "imap", "imap", VERDICT_ACCEPT,
         REASON_ACCOUNT},
        {DOOR_DOVECOT, "imap", NULL, NULL, 143, false, "imap", "imap", VERDICT_REJECT,
         REASON_TLS_REQUIRED},
        /* a webmail is one by the client that is connected, whatever it asks for */
        {DOOR_DOVECOT, "imap", "192.0.2.80", NULL, 993, false, "webmail", "webmail", VERDICT_ACCEPT,
         REASON_ACCOUNT},
        {DOOR_DOVECOT, "sieve", "192.0.2.80", NULL, 4190, false, "webmail", "webmail",
         VERDICT_ACCEPT, REASON_ACCOUNT},
        {DOOR_DOVECOT, "webmail", "192.0.2.81", NULL, 143, true, NULL, "", VERDICT_REJECT,
         REASON_UNKNOWN_SERVICE},
        {DOOR_DOVECOT, "submission", NULL, NULL, 465, true, "subs465", "submissions",
         VERDICT_REJECT, REASON_PROTOCOL_DISABLED},
        {DOOR_DOVECOT, "submission", NULL, "192.0.2.25", 587, true, "subs587", "submission",
         VERDICT_ACCEPT, REASON_ACCOUNT},
        /* there are listeners of the service, and this is none of them */
        {DOOR_DOVECOT, "submission", NULL, "192.0.2.26", 587, true, NULL, "", VERDICT_REJECT,
         REASON_UNKNOWN_SERVICE},
        /* a service without any */
        {DOOR_DOVECOT, "pop3", NULL, NULL, 995, true, NULL, "pop3", VERDICT_ACCEPT, REASON_ACCOUNT},
        {DOOR_HTTP, "imap", NULL, NULL, 0, true, NULL, "imap", VERDICT_ACCEPT, REASON_ACCOUNT},
        {DOOR_HTTP, "CalDAV", NULL, NULL, 0, true, "dav", "caldav", VERDICT_REJECT,
         REASON_PROTOCOL_DISABLED},
        {DOOR_HTTP, "gopher", NULL, NULL, 0, true, NULL, "", VERDICT_REJECT,
         REASON_UNKNOWN_SERVICE},
        {DOOR_HTTP, "", NULL, NULL, 0, true, NULL, "", VERDICT_REJECT, REASON_UNKNOWN_SERVICE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct door_question question = {.door = rows[i].door,
                                               .service = rows[i].service,
                                               .login = "Alice+phone",
                                               .client = ip("198.51.100.1"),
                                               .real_client = ip(rows[i].real_client),
                                               .local = ip(rows[i].local),
                                               .port = rows[i].port,
                                               .tls = rows[i].tls};
        struct door_answer answer;
        door_ask(*state, &question, &answer);
        const char *name = answer.listener == NULL ? NULL : answer.listener->rules.name;
        if (answer.kind != rows[i].kind || answer.reason != rows[i].reason ||
            (name == NULL) != (rows[i].listener == NULL) ||
            (name != NULL && strcmp(name, rows[i].listener) != 0))
            fail_msg("row %zu: %s %s at %s", i, verdict_name(answer.kind),
                     reason_name(answer.reason), name == NULL ? "none" : name);
        assert_string_equal(answer.service, rows[i].judged_for);
        assert_true((answer.text[0] == '\0') == (answer.kind == VERDICT_ACCEPT));
    }
}

static void test_text(void **state) {
    const struct door_question question = {.door = DOOR_HTTP,
                                           .service = "caldav",
                                           .login = "alice",
                                           .client = ip("198.51.100.1"),
                                           .tls = true,
                                           .session = "Xyz1"};
    struct door_answer answer;
    door_ask(*state, &question, &answer);
    assert_string_equal(answer.text, "100% off; session Xyz1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listeners, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
