/*
 * config: every mistake is reported with file and line, and what a good file means.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "gatepost/config/config.h"
#include "gatepost/config/config_check.h"
#include "gatepost/core/duration.h"

static char path[] = "/tmp/gatepost-test-config-XXXXXX";

static int write_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static struct config *load(const char *text, struct why *why) {
    struct config *config = NULL;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    why->text[0] = '\0';
    return config_load(path, &config, why) == 0 ? config : NULL;
}

static void test_errors(void **state) {
    static const struct {
        const char *text;
        int line; /* 0: the file is named without a line */
        const char *why;
    } rows[] = {
        {"\nsockt = \"unix:/x\"\n", 2, "'sockt'"},
        {"mode = enforce\nmode = monitor\n", 2, "mode: given a second time"},
        {"trusted = {}\nnetwork \"a\" { members = {} }\nnetwork \"a\" { members = {} }\n", 3,
         "'a'"},
        {"network \"a\" { members = { \"192.0.2.0/33\" } }\n", 1,
         "members: \"192.0.2.0/33\": the prefix length must be a number from 0 to 32"},
        {"network \"a\" {\n  members = { \"10.0.0.0/8\",\n \"mail.example\" }\n}\n", 3,
         "members: \"mail.example\": not an IPv4 or IPv6"},
        {"network \"a\" { members = { \"10.0.0.0/8\" } members = { \"10.0.0.0/8\" } }\n", 1,
         "members: given a second time"},
        {"spf { fail = reject }\nspf { fail = accept }\n", 2, "given a second time"},
        {"spf { fail = reject }\nspf { none = mark }\n", 2, "spf: given a second time"},
        {"spf { fail = drop }\n", 1, "fail: \"drop\": it must be accept, mark, defer or reject"},
        {"spf { fail = reject fail = mark }\n", 1, "fail: given a second time"},
        {"spf { timeout = 8 }\n", 1, "timeout: \"8\": it must be a duration"},
        {"spf { timeout = \"0s\" }\n", 1, "above 0"},
        {"spf { widest_ipv4 = 33 }\n", 1, "widest_ipv4: 33: it must be from 0 (no limit) to 32"},
        {"spf { widest_ipv6 = -1 }\n", 1, "widest_ipv6: -1: it must be from 0 (no limit) to 128"},
        {"spf { nameservers = { \"dns.example\" } }\n", 1, "nameservers: \"dns.example\""},
        {"spf { nameservers = { \"127.0.0.1:99999\" } }\n", 1, "nameservers"},
        {"spf { helo = never }\n", 1, "null_sender or always"},
        {"store = \"mysql://x\"\n", 1, "it must begin with redis://"},
        {"store = \"redis://user:secret@x\"\n", 1, "store_password_file"},
        {"store = \"file:relative\"\n", 1, "absolute"},
        {"socket = \"/run/x.sock\"\n", 1, "socket"},
        {"socket = \"inet:0@127.0.0.1\"\n", 1, "socket"},
        {"socket_mode = \"0999\"\n", 1, "octal"},
        {"mode = watch\n", 1, "mode: \"watch\": it must be enforce or monitor"},
        {"on_store_error = mark\n", 1, "accept, defer or reject"},
        {"cache_entries = 100000001\n", 1, "cache_entries"},
        {"cache_ttl = 0s\n", 1, "above 0"},
        {"stale_max = -1s\n", 1, "duration"},
        {"http_listen = \"127.0.0.1\"\n", 1, "http_listen: \"127.0.0.1\": it must be"},
        {"http_listen = \"127.0.0.1:0\"\n", 1, "http_listen"},
        {"http_listen = \"localhost:9478\"\n", 1, "http_listen"},
        {"http_listen = \"::1:9478\"\n", 1, "like 127.0.0.1:9478"},
        {"http_listen = \"[::1]\"\n", 1, "http_listen"},
        {"http_listen = \":9478\"\n", 1, "http_listen"},
        {"log_level = notice\n", 1, "error, warning, info or debug"},
        {"authentication_results = maybe\n", 1, "authentication_results"},
        {"listener \"mx\" { service = submision }\n", 1, "smtp, submission, submissions, imap"},
        {"listener \"mx\" { door = imap }\n", 1, "mta, dovecot or http"},
        {"listener \"mx\" { tls = off }\n", 1, "required, optional or offloaded"},
        {"listener \"i\" {\n door = dovecot\n connect_from = {\"a\"} }\n", 3, "door = mta"},
        {"listener \"i\" { door = http\n daemon_port = 443 }\n", 2, "door = mta or dovecot"},
        {"listener \"i\" {\n real_client_from = {\"a\"} }\n", 2, "door = dovecot"},
        {"listener \"i\" { door = dovecot backend = \"127.0.0.1:143\" }\n", 1, "door = http"},
        {"listener \"i\" { door = http backend = \"localhost:143\" }\n", 1, "ADDRESS:PORT"},
        {"listener \"i\" { authenticated = on }\n", 1, "door = http"},
        {"doors_listen = {\"0.0.0.0:9479\"}\n", 1, "loopback"},
        {"doors_listen = {\"unix:doors\"}\n", 1, "absolute"},
        {"doors_listen = {\"unix:/a\",\n\"127.0.0.1:9479\"}\n", 1, "doors_token_file"},
        {"settings { listen = \"0.0.0.0:9480\" }\n", 1, "loopback"},
        {"settings {\n token_file = \"tokens\" }\n", 2, "absolute"},
        {"settings { origin = \"https://mail.example.com/\" }\n", 1, "origin"},
        {"settings { origin = \"mail.example.com\" }\n", 1, "like https://mail.example.com"},
        {"settings { origin = \"https://Mail.example.com\" }\n", 1, "lower case"},
        {"settings { loosen_after = 3 }\n", 1, "duration"},
        {"settings { suggested_ips = {\"the office\"} }\n", 1, "suggested_ips"},
        {"settings { suggested_ips = {\"192.0.2.1/24 the office\"} }\n", 1, "write 192.0.2.0/24"},
        {"settings { suggested_ips = {\"192.0.2.0/24 the\\noffice\"} }\n", 1, "one line"},
        {"settings { passwords = application }\n", 1, "passwords"},
        {"settings {\n store_user = \"settings\" }\n", 2, "needs a store_password_file of its own"},
        {"settings { }\nsettings { }\n", 2, "settings: given a second time"},
        {"passwords_listen = \"127.0.0.1:9479\"\n", 1, "unix:/PATH"},
        {"source_services = {\"imap\", \"smpt\"}\n", 1, "smpt"},
        {"listener \"mx\" { unknown_login = defer }\n", 1,
         "unknown_login: \"defer\": it must be accept or reject"},
        {"listener \"mx\" { daemon_port = 0 }\n", 1, "daemon_port: 0 is not a port"},
        {"listener \"mx\" { daemon_port = smtp }\n", 1, "daemon_port"},
        {"listener \"mx\" { daemon_addr = \"example\" }\n", 1, "daemon_addr"},
        {"# one\n// two\n/* three\n four */ # {\nstore_user = \"x\"\n", 5,
         "store_user: \"x\" needs a store_password_file"},
        {"# one\n# two\n/* three\n four */\nmode = watch\n", 5, "mode"},
        {"reply \"spf\" { }\n", 1, "reply \"spf\": text is missing or empty"},
        {"protocol \"IMAP\" { services = { \"imap\" } }\n", 1, "protocol: \"IMAP\""},
        {"protocol \"imap\" { services = { \"imaps\" } }\n", 1, "services: \"imaps\": unknown"},
        {"protocol \"imap\" { }\n", 1, "protocol \"imap\": services is missing or empty"},
        {"reply \"account\" { text = \"x\" }\n", 1, "reply: \"account\""},
        {"reply \"spf\" { text = \"{nobody}\" }\n", 1, "unknown placeholder {nobody"},
        {"default_domain = \"a@b\"\n", 1, "default_domain"},
        {"mode = {\n", 1, ""},
        {"# {\nspf {\n  fail = reject /* } */\n", 2, "is not closed"},
        {"network \"}\" { members = {} }\nlistener \"mx\" {\n  tls = required\n", 2, "not closed"},
        {"mode = \"enforce\n", 2, ""},
        {"mode = monitor\n/* the doors\nlistener \"a\" { auth = required }\n", 2, "not closed"},
        {"mode = monitor /*/\n", 1, "not closed"},
        {"reply \"SPF\" { text = \"x\" }\n", 1, "reply: \"SPF\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why;

        char place[120];
        struct config *config = load(rows[i].text, &why);
        if (config != NULL)
            fail_msg("taken: %s", rows[i].text);
        snprintf(place, sizeof place, rows[i].line > 0 ? "%s:%d: " : "%s: ", path, rows[i].line);
        if (strncmp(why.text, place, strlen(place)) != 0 || strstr(why.text, rows[i].why) == NULL)
            fail_msg("%s gives: %s", rows[i].text, why.text);
    }
}

static void test_missing_file(void **state) {
    struct config *config;
    struct why why;
    (void)state;
    assert_int_equal(config_load("/nonexistent/gatepost.conf", &config, &why), -1);
    assert_string_equal(why.text, "/nonexistent/gatepost.conf: No such file or directory");
}

static void test_defaults(void **state) {
    struct why why;
    struct config *config = load("", &why);
    (void)state;
    assert_non_null(config);
    assert_string_equal(config->store, "redis://127.0.0.1:6379/0");
    assert_int_equal(config->store_timeout, 200);
    assert_int_equal(config->spf_timeout, 8000);
    assert_int_equal(config->rules.widest4, 8);
    assert_int_equal(config->rules.widest6, 16);
    assert_int_equal(config->socket_mode, 0660);
    assert_true(config->authentication_results);
    assert_false(config->received_spf);
    assert_int_equal(config->rules.spf[RESULT_SOFTFAIL], VERDICT_MARK);
    assert_int_equal(config->rules.spf[RESULT_FAIL], VERDICT_REJECT);
    assert_int_equal(config->rules.spf[RESULT_TEMPERROR], VERDICT_DEFER);
    assert_int_equal(config->n_listeners, 1);
    assert_string_equal(config_listener(config, "x", "25", "127.0.0.1")->rules.service, "smtp");
    assert_false(config->listeners[0].rules.reject_unknown_login);
    config_free(config);
    config = load("listener \"mx\" { }\nlistener \"in\" { unknown_login = reject }\n", &why);
    assert_non_null(config);
    assert_false(config->listeners[0].rules.reject_unknown_login);
    assert_true(config->listeners[1].rules.reject_unknown_login);
    assert_false(config->listeners[1].rules.reject_unknown);
    config_free(config);
}

static void test_listeners(void **state) {
    static const struct {
        const char *name, *port, *addr, *listener;
    } rows[] = {
        {"ANY", "25", "192.0.2.1", "mx"},
        {"ANY", "587", "192.0.2.1", "submission"},
        {"ORIGINATING", NULL, NULL, "named"},
        {"ANY", "25", "IPv6:2001:db8::25", "six"},
        {"ANY", "2525", "192.0.2.1", "mx"},
        {NULL, NULL, NULL, "mx"},
        {"ORIGINATING", "587", NULL, "submission"},
        {"BOTH", "26", NULL, "both"},
        {"BOTH", "27", NULL, "mx"},
    };
    struct why why;
    struct config *config = load("listener \"mx\" { }\n"
                                 "listener \"six\" { daemon_addr = \"2001:db8::25\" }\n"
                                 "listener \"submission\" { daemon_port = 587 }\n"
                                 "listener \"named\" { daemon_name = \"ORIGINATING\" }\n"
                                 "listener \"both\" { daemon_name = \"BOTH\" daemon_port = 26 }\n",
                                 &why);
    (void)state;
    if (config == NULL)
        fail_msg("%s", why.text);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct config_listener *got =
            config_listener(config, rows[i].name, rows[i].port, rows[i].addr);
        assert_string_equal(got->rules.name, rows[i].listener);
    }
    config_free(config);
}

static void test_print_changed(void **state) {
    struct why why;

    char text[500] = "";
    struct config *config =
        load("mode = enforce\nstore_timeout = \"300ms\"\nspf { fail = mark }\n", &why);
    (void)state;
    FILE *out = fmemopen(text, sizeof text, "w");
    config_print_changed(config, out);
    fclose(out);
    assert_string_equal(text, "store_timeout=\"300ms\"\nspf {\n  fail=\"mark\"\n}\n");
    config_free(config);
}

/* What is written but is the default is no change. */
static void test_print_defaults(void **state) {
    static const char *const rows[][2] = {
        {"trusted = { \"relays\" }\nspf { nameservers = {} }\n", ""},
        {"trusted = {}\n", "trusted = {}\n"},
        {"trusted = { \"relays\", \"more\" }\n", "trusted = {\"relays\", \"more\"}\n"},
        {"trusted = { \"relay\" }\n", "trusted = {\"relay\"}\n"},
        {"listener \"mx\" { connect_from = {} }\n", "listener \"mx\" {\n}\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why;

        char text[500] = "";
        struct config *config = load(rows[i][0], &why);
        FILE *out = fmemopen(text, sizeof text, "w");
        config_print_changed(config, out);
        fclose(out);
        assert_string_equal(text, rows[i][1]);
        config_free(config);
    }
}

/* Two slashes inside a word begin no comment. */
static void test_slashes(void **state) {
    struct why why;
    struct config *config = load("store = file:/tmp//policy // comment\n", &why);
    (void)state;
    assert_non_null(config);
    assert_string_equal(config->store, "file:/tmp//policy");
    config_free(config);
}

/* A section without a word in it says that it stands there. */
static void test_settings(void **state) {
    struct why why;
    char text[500] = "";
    struct config *config = load("mode = enforce\n", &why);
    (void)state;
    assert_non_null(config);
    assert_false(config->self_facts);
    config_free(config);
    config = load("settings { }\n", &why);
    assert_non_null(config);
    assert_true(config->self_facts);
    assert_string_equal(config->settings.listen, "unix:/run/gatepost/settings.sock");
    assert_string_equal(config->settings.token_file, "/etc/gatepost/tokens");
    assert_int_equal(config->settings.socket_mode, 0660);
    assert_int_equal(config->settings.loosen_after, 0);
    assert_true(config->settings.passwords);
    FILE *out = fmemopen(text, sizeof text, "w");
    config_print_changed(config, out);
    fclose(out);
    assert_string_equal(text, "settings {\n}\n");
    config_free(config);
    config = load("settings { listen = \"127.0.0.1:9480\" loosen_after = 2d passwords = off\n"
                  "  origin = \"https://mail.example.com:8443\" }\n",
                  &why);
    assert_non_null(config);
    assert_int_equal(config->settings.loosen_after, 172800000);
    assert_false(config->settings.passwords);
    assert_string_equal(config->settings.origin, "https://mail.example.com:8443");
    config_free(config);
}

static void test_too_many_settings(void **state) {
    char *text = malloc(500000);
    struct why why;
    size_t len = 0;
    (void)state;
    for (int i = 0; i < 10100; i++)
        len += (size_t)sprintf(text + len, "network \"n%d\" { members = { \"::1\" } }\n", i);
    assert_null(load(text, &why));
    assert_non_null(strstr(why.text, "members: there are more than 10000 settings"));
    free(text);
}

static void test_durations(void **state) {
    static const struct {
        const char *text;
        int64_t milliseconds; /* -1: refused */
    } rows[] = {{"200ms", 200},      {"8s", 8000},      {"5m", 300000}, {"1h", 3600000},
                {"2d", 172800000},   {"0s", 0},         {"8", -1},      {"s", -1},
                {"8 s", -1},         {"-1s", -1},       {"1.5s", -1},   {"8S", -1},
                {"1234567890s", -1}, {"2w", 1209600000}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t got = 0;
        int rc = duration_parse(rows[i].text, &got);
        assert_int_equal(rc, rows[i].milliseconds < 0 ? -1 : 0);
        if (rc == 0)
            assert_int_equal(got, rows[i].milliseconds);
    }
}

static void test_nameservers(void **state) {
    static const struct {
        const char *text, *formatted;
    } rows[] = {{"127.0.0.1", "127.0.0.1:53"},
                {"127.0.0.1:5353", "127.0.0.1:5353"},
                {"[::1]:5353", "[::1]:5353"},
                {"[::1]", "[::1]:53"},
                {"::1", "[::1]:53"},
                {"localhost", NULL},
                {"127.0.0.1:", NULL},
                {"127.0.0.1:0", NULL},
                {"[::1", NULL},
                {"[::1]x", NULL},
                {"", NULL}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[80];
        int rc = nameserver_format(rows[i].text, out, sizeof out);
        assert_int_equal(rc, rows[i].formatted == NULL ? -1 : 0);
        if (rc == 0)
            assert_string_equal(out, rows[i].formatted);
    }
}

/* What only libsystemd can do is no setting where it is missing: nothing would be logged. */
static void test_journal(void **state) {
    struct why why;
    struct config *config = load("log = journal\n", &why);
    (void)state;
    assert_int_equal(config != NULL, log_has_journal());
    if (config != NULL)
        assert_int_equal(config->log, LOG_TO_JOURNAL);
    else
        assert_non_null(strstr(why.text, "built without it: it must be syslog or stderr"));
    config_free(config);
    assert_null(load("log = paper\n", &why));
    assert_non_null(strstr(why.text, "it must be syslog"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_print_changed), cmocka_unit_test(test_print_defaults),
        cmocka_unit_test(test_slashes),       cmocka_unit_test(test_too_many_settings),
        cmocka_unit_test(test_durations),     cmocka_unit_test(test_nameservers),
        cmocka_unit_test(test_journal),       cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, write_file, remove_file);
}
