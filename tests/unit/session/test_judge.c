/*
 * The judge: questions of a door that is neither session nor message, with a policy file for a
 * store, and with a store that is not there.
 */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "gatepost/session/judge.h"

static char folder[] = "/tmp/test-judge-XXXXXX", conf_path[64], policy_path[64];

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct runtime *open_runtime(const char *store) {
    char text[400];
    struct config *config;
    struct runtime *runtime = NULL;
    struct why why;
    snprintf(text, sizeof text,
             "socket = \"unix:%s/socket\"\nstore = \"%s\"\nstore_timeout = \"200ms\"\n"
             "log = stderr\nauthserv_id = \"mx.example\"\ndefault_domain = \"example.com\"\n"
             "trusted = {}\nspf { nameservers = { \"127.0.0.1:9\" } timeout = \"200ms\" }\n",
             folder, store);
    write_file(conf_path, text);
    if (config_load(conf_path, &config, &why) != 0 ||
        runtime_open(config, NULL, &runtime, &why) != 0)
        fail_msg("%s", why.text);
    return runtime;
}

static int set_up(void **state) {
    char store[80];
    assert_non_null(mkdtemp(folder));
    snprintf(conf_path, sizeof conf_path, "%s/conf", folder);
    snprintf(policy_path, sizeof policy_path, "%s/policy", folder);
    snprintf(store, sizeof store, "file:%s", policy_path);
    write_file(policy_path, "account:alice@example.com protocol:pop3 off\n"
                            "account:alice@example.com source authorized\n"
                            "account:alice@example.com ip:192.0.2.0/24 office\n"
                            "account:@example.com tls required\n"
                            "account:@.partner.example ip:192.0.2.0/24 outbound\n");
    *state = open_runtime(store);
    return 0;
}

static int tear_down(void **state) {
    runtime_release(*state);
    unlink(conf_path);
    unlink(policy_path);
    rmdir(folder);
    return 0;
}

static struct judgement question(const struct runtime *runtime,
                                 const struct decision_listener *door, const char *client) {
    struct judgement j = {.runtime = runtime,
                          .listener = door,
                          .facts = {.tls = true, .now = 1800000000},
                          .session = "door-1"};
    assert_int_equal(ip_parse(client, strlen(client), &j.facts.client), 0);
    return j;
}

/* A login by any service, which need not be the MTA's. */
static void test_logins(void **state) {
    static const struct {
        const char *service, *login, *client, *account;
        bool no_tls;
        enum verdict_kind kind;
        enum reason reason;
        enum decision_rule by;
    } rows[] = {
        {"submission", "alice@example.com", "192.0.2.1", "alice@example.com", false, VERDICT_ACCEPT,
         REASON_ACCOUNT, RULE_LISTED},
        {"submission", "Alice+x", "192.0.2.1", "alice@example.com", false, VERDICT_ACCEPT,
         REASON_ACCOUNT, RULE_LISTED},
        {"submission", "alice", "203.0.113.1", "alice@example.com", false, VERDICT_REJECT,
         REASON_IP_NOT_AUTHORIZED, RULE_LISTED},
        {"imap", "alice", "203.0.113.1", "alice@example.com", false, VERDICT_ACCEPT, REASON_ACCOUNT,
         RULE_SOURCE},
        {"pop3", "alice", "192.0.2.1", "alice@example.com", false, VERDICT_REJECT,
         REASON_PROTOCOL_DISABLED, RULE_SERVICE},
        {"pop3", "bob", "203.0.113.1", "bob@example.com", false, VERDICT_ACCEPT, REASON_ACCOUNT,
         RULE_SOURCE},
        {"pop3", "bob", "203.0.113.1", "bob@example.com", true, VERDICT_REJECT, REASON_TLS_REQUIRED,
         RULE_ACCOUNT_TLS},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct decision_listener door = {.service = rows[i].service};
        struct judgement j = question(*state, &door, rows[i].client);
        j.facts.tls = !rows[i].no_tls;
        judge_decide(&j, &(struct judge_question){.login = rows[i].login});
        const struct verdict *v = &j.decision.verdict;
        if (v->kind != rows[i].kind || v->reason != rows[i].reason ||
            j.decision.steps[j.decision.decider].rule != rows[i].by)
            fail_msg("row %zu: %s %s by %s", i, verdict_name(v->kind), reason_name(v->reason),
                     decision_rule_name(j.decision.steps[j.decision.decider].rule));
        assert_string_equal(j.account.text, rows[i].account);
        assert_true(j.facts.logged_in && j.facts.has_account);
        judge_clear(&j);
    }
}

/* What the observer has seen. */
struct seen {
    size_t unavailable, done;
    enum spf_identity identity;
    enum spf_result result;
};

static void on_unavailable(void *context, const char *why) {
    assert_true(why[0] != '\0');
    ((struct seen *)context)->unavailable++;
}

static void on_spf(void *context, const char *line) {
    (void)context;
    (void)line;
}

static void on_spf_done(void *context, enum spf_identity identity,
                        const struct spf_answer *answer) {
    struct seen *seen = context;
    seen->done++;
    seen->identity = identity;
    seen->result = answer->result;
}

static void test_null_sender(void **state) {
    const struct decision_listener door = {.service = "smtp"};
    struct seen seen = {0};
    const struct judge_observer observer = {&seen, on_unavailable, on_spf, on_spf_done};
    struct judgement j = question(*state, &door, "192.0.2.1");
    j.helo = "localhost"; /* nobody asks for the record of such a name */
    j.sender = "";
    j.observer = &observer;
    judge_decide(&j, &(struct judge_question){.given = "<>"});
    assert_int_equal(j.decision.verdict.kind, VERDICT_ACCEPT);
    assert_int_equal(j.decision.verdict.reason, REASON_SPF);
    assert_int_equal(j.decision.verdict.identity, IDENTITY_HELO);
    assert_false(j.facts.logged_in || j.facts.has_account);
    assert_string_equal(j.account.text, "");
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.identity, IDENTITY_HELO);
    assert_int_equal(seen.result, RESULT_NONE);
    judge_clear(&j);
}

/* The null sender by its HELO name; a signed sender. SPF is asked for what was said. */
static void test_accounts_of_senders(void **state) {
    static const struct {
        const char *helo, *sender, *account;
        bool null_sender;
        enum verdict_kind kind;
        enum reason reason;
    } rows[] = {
        {"Mx1.B.Partner.Example", "", "postmaster@mx1.b.partner.example", true, VERDICT_ACCEPT,
         REASON_IP_AUTHORIZED},
        {"partner.example", "", "postmaster@partner.example", true, VERDICT_REJECT,
         REASON_UNKNOWN_SENDER},
        {"[192.0.2.1]", "", "", true, VERDICT_REJECT, REASON_UNKNOWN_SENDER},
        {"b.partner.example", "prvs=0123abcdef=Alice@example.com", "alice@example.com", false,
         VERDICT_ACCEPT, REASON_IP_AUTHORIZED},
    };
    const struct decision_listener door = {.service = "smtp", .reject_unknown = true};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct judgement j = question(*state, &door, "192.0.2.1");
        j.helo = rows[i].helo;
        j.sender = rows[i].sender;
        judge_decide(&j, &(struct judge_question){.given = rows[i].sender});
        assert_string_equal(j.account.text, rows[i].account);
        assert_int_equal(j.facts.null_sender, rows[i].null_sender);
        assert_int_equal(j.decision.verdict.kind, rows[i].kind);
        assert_int_equal(j.decision.verdict.reason, rows[i].reason);
        judge_clear(&j);
    }
}

static void test_store_not_there(void **state) {
    const struct decision_listener door = {.service = "imap"};
    struct runtime *runtime = open_runtime("redis://127.0.0.1:1/0");
    struct seen seen = {0};
    const struct judge_observer observer = {&seen, on_unavailable, on_spf, on_spf_done};
    struct judgement j = question(runtime, &door, "192.0.2.1");
    (void)state;
    j.observer = &observer;
    judge_decide(&j, &(struct judge_question){.login = "alice"});
    assert_int_equal(j.decision.verdict.kind, VERDICT_DEFER);
    assert_int_equal(j.decision.verdict.reason, REASON_POLICY_UNAVAILABLE);
    assert_int_equal(j.decision.steps[j.decision.decider].rule, RULE_POLICY);
    assert_int_equal(seen.unavailable, 1);
    assert_int_equal(seen.done, 0);
    judge_clear(&j);
    runtime_release(runtime);
}

/* What SPF said once, or that nobody knows; the name server of the configuration is never asked. */
struct recalled {
    int result; /* -1: it is not known */
    size_t asked;
};

static bool recall(void *context, const struct judgement *j, enum spf_identity identity,
                   enum spf_result *result, unsigned *prefix) {
    struct recalled *r = context;
    r->asked++;
    assert_string_equal(j->sender, "carol@c.example");
    assert_int_equal(identity, IDENTITY_MAILFROM);
    *prefix = 32;
    if (r->result >= 0)
        *result = (enum spf_result)r->result;
    return r->result >= 0;
}

static void test_past(void **state) {
    static const struct {
        int result;
        enum verdict_kind kind;
        enum reason reason;
    } rows[] = {{RESULT_FAIL, VERDICT_REJECT, REASON_SPF},
                {RESULT_PASS, VERDICT_ACCEPT, REASON_SPF},
                {-1, VERDICT_DEFER, REASON_POLICY_UNAVAILABLE}};
    const struct decision_listener door = {.service = "smtp"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct recalled recalled = {.result = rows[i].result};
        struct seen seen = {0};
        const struct judge_observer observer = {&seen, on_unavailable, on_spf, on_spf_done};
        const struct judge_past past = {&recalled, recall};
        struct judgement j = question(*state, &door, "192.0.2.1");
        j.sender = "carol@c.example";
        j.past = &past;
        j.observer = &observer;
        judge_decide(&j, &(struct judge_question){.given = j.sender});
        assert_int_equal(j.decision.verdict.kind, rows[i].kind);
        assert_int_equal(j.decision.verdict.reason, rows[i].reason);
        assert_int_equal(recalled.asked, 1);
        assert_int_equal(seen.done, 0);
        judge_clear(&j);
    }
}

/* Without memory the question has to come again. */
static void test_defer(void **state) {
    const struct decision_listener door = {.service = "imap"};
    struct judgement j = question(*state, &door, "192.0.2.1");
    judge_defer(&j);
    assert_int_equal(j.decision.verdict.kind, VERDICT_DEFER);
    assert_int_equal(j.decision.verdict.reason, REASON_POLICY_UNAVAILABLE);
    assert_null(j.account.text);
    judge_clear(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_null_sender),
        cmocka_unit_test(test_accounts_of_senders),
        cmocka_unit_test(test_store_not_there),
        cmocka_unit_test(test_past),
        cmocka_unit_test(test_defer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
