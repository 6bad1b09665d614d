/*
 * decision and reply: drives the pure core with every case of tests/decision.table, and checks
 * what must hold for any policy at all.
 */
#include "tests/unit/core/decision_table.h"

#include "gatepost/core/reply.h"

static void expect_reply(const struct row *row, const struct verdict *verdict,
                         const char *account) {
    const struct reply_values values = {.account = account,
                                        .service = "smtp",
                                        .client = row->client,
                                        .domain = "sender.example",
                                        .session = "5e551014-1"};
    struct reply reply = {0};
    reply_render(verdict, NULL, &values, &reply);
    assert_string_equal(reply.code, row->code);
    assert_string_equal(reply.enhanced, row->enhanced);
    assert_non_null(strstr(reply.text, "; session 5e551014-1"));
    if (verdict->reason != REASON_NOT_ALLOWLISTED && strstr(reply.text, account) == NULL)
        fail_msg("%s: the reply does not name %s: %s", row->name, account, reply.text);
}

static void check_case(const struct row *row, const struct decision *d, const char *account) {
    const struct verdict *v = &d->verdict;
    char from[200] = "conf";
    if (v->from.subject != NULL)
        snprintf(from, sizeof from, "%s:%s", v->from.subject, v->from.field);
    enum verdict_kind kind = row->monitored ? row->would : row->kind;
    if (v->kind != kind || verdict_applied(v) != row->kind || v->reason != row->reason ||
        v->monitor != row->monitored || strcmp(from, row->from) != 0)
        fail_msg("%s: got %s %s from %s, monitored %d", row->name, verdict_name(v->kind),
                 reason_name(v->reason), from, v->monitor);
    if (row->account[0] != '\0')
        assert_string_equal(account[0] == '\0' ? "<>" : account, row->account);
    if (row->code[0] != '\0')
        expect_reply(row, v, account);
}

static void test_table(void **state) {
    (void)state;
    table_decide(check_case);
}

/* The verdict on a random message under a policy given as facts. */
struct fact {
    const char *subject_index; /* one digit */
    const char *field, *value;
};

/* What every provider's record says. */
static enum spf_result provider_result;

static enum verdict_kind judge(const struct fact *facts_of, size_t n, const struct fact *extra,
                               const struct decision_facts *facts,
                               const struct decision_listener *listener, enum spf_result spf) {
    static const struct decision_rules rules = {
        .spf = {VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_MARK, VERDICT_REJECT,
                VERDICT_DEFER, VERDICT_MARK},
        .on_store_error = VERDICT_DEFER,
        .source_services = table_source_services,
        .n_source_services = 3};
    struct policy *policies[ALL_SUBJECTS] = {NULL};
    struct decision d;
    for (size_t i = 0; i < n + (extra != NULL); i++) {
        const struct fact *f = i < n ? &facts_of[i] : extra;
        size_t subject = (size_t)(f->subject_index[0] - '0');
        if (policies[subject] == NULL)
            policies[subject] = policy_new_of(subject == SUBJECT_SELF ? "self:a@x" : "account:a@x");
        policy_add(policies[subject], f->field, strlen(f->field), f->value, strlen(f->value));
    }
    struct policy_set set = {.subjects = {[SUBJECT_SELF] = "self:a@x"}, .now = facts->now};
    memcpy(set.policies, policies, sizeof policies);
    enum decision_next next = decision_mail(&d, &rules, listener, facts);
    while (next != DECISION_MADE)
        next = next == DECISION_WANTS_POLICY     ? decision_policy(&d, &set)
               : next == DECISION_WANTS_PROVIDER ? decision_provider(&d, provider_result, 32)
                                                 : decision_spf(&d, spf, 32);
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        policy_free(policies[i]);
    return verdict_applied(&d.verdict);
}

/* A policy that only adds an `off`, or `sender own`, never turns a refusal into an acceptance. */
static void test_restrictions_never_open(void **state) {
    static const char *const subjects[] = {"0", "1", "2", "5", "6"};
    static const char *const fields[][2] = {
        {"protocol:smtp", "on"},  {"protocol:submission", "on"},
        {"protocol:*", "on"},     {"protocol:smtp", "off"},
        {"source", "authorized"}, {"source", "any"},
        {"ip:192.0.2.0/24", ""},  {"tls", "required"},
        {"spf:fail", "accept"},   {"spf:none", "reject"},
        {"mode", "enforce"},      {"protocol:submission", "off"},
        {"sender", "own"},        {"sender", "any"},
        {"as:b@x", ""},           {"as:@y", ""},
        {"ip:spf:p.example", ""}};
    static const char *const offs[][2] = {{"protocol:smtp", "off"},
                                          {"protocol:submission", "off"},
                                          {"protocol:*", "off"},
                                          {"sender", "own"}};
    static const struct address senders[] = {
        {"a@x", NULL, false}, {"b@x", NULL, false}, {"c@y", NULL, false}, {"", NULL, false}};
    (void)state;
    srand(5322);
    for (int round = 0; round < 200000; round++) {
        struct fact facts_of[4];
        size_t n = (size_t)(rand() % 5);
        for (size_t i = 0; i < n; i++) {
            const char *const *field = fields[(size_t)rand() % COUNT(fields)];
            facts_of[i] =
                (struct fact){subjects[(size_t)rand() % COUNT(subjects)], field[0], field[1]};
        }
        const char *const *added = offs[(size_t)rand() % COUNT(offs)];
        struct fact off = {subjects[(size_t)rand() % COUNT(subjects)], added[0], added[1]};
        /* adding a second value of a field that is there would be a change, not an addition */
        bool there = false;
        for (size_t i = 0; i < n; i++)
            there |= facts_of[i].subject_index == off.subject_index &&
                     strcmp(facts_of[i].field, off.field) == 0;
        /* two that contradict each other are malformed, for which a more specific one makes up */
        size_t rules = 0;
        for (size_t i = 0; i < n; i++)
            rules += strcmp(facts_of[i].field, "sender") == 0;
        there |= rules > 1;
        /* an `off` that makes a stranger a registered sender is an addition of more than `off` */
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known |= facts_of[i].subject_index[0] != '0' + SUBJECT_DEFAULT;
        struct decision_listener listener = {.service = rand() % 2 ? "smtp" : "submission",
                                             .reject_unknown = known && rand() % 2};
        struct decision_facts facts = {
            .tls = rand() % 2, .logged_in = rand() % 2, .has_account = true, .now = 1800000000};
        facts.null_sender = !facts.logged_in && rand() % 2;
        ip_parse(rand() % 2 ? "192.0.2.1" : "203.0.113.1", rand() % 2 ? 9 : 9, &facts.client);
        enum spf_result spf = (enum spf_result)(rand() % SPF_RESULTS);
        provider_result = (enum spf_result)(rand() % SPF_RESULTS);
        facts.senders = &senders[(size_t)rand() % COUNT(senders)];
        facts.n_senders = facts.logged_in;
        if (there)
            continue;
        enum verdict_kind before = judge(facts_of, n, NULL, &facts, &listener, spf);
        enum verdict_kind after = judge(facts_of, n, &off, &facts, &listener, spf);
        if (before >= VERDICT_DEFER && after < VERDICT_DEFER)
            fail_msg("round %d: %s %s on subject %s turned %s into %s", round, off.field, off.value,
                     off.subject_index, verdict_name(before), verdict_name(after));
    }
}

/*
 * Where only registered senders may send, a null sender gets in by a listed address or a HELO pass
 * and by nothing else, whatever the policy of the name that it says.
 */
static void test_null_sender_proves_its_name(void **state) {
    static const char *const subjects[] = {"0", "1", "2", "5", "6"};
    static const char *const fields[][2] = {
        {"source", "any"},      {"source", "authorized"},   {"spf:fail", "accept"},
        {"spf:none", "accept"}, {"spf:temperror", "mark"},  {"spf:neutral", "accept"},
        {"tls", "optional"},    {"ip:192.0.2.0/24", "one"}, {"protocol:smtp", "on"}};
    const struct decision_listener listener = {.service = "smtp", .reject_unknown = true};
    struct decision_facts facts = {.null_sender = true, .has_account = true};
    size_t in = 0;
    (void)state;
    srand(7208);
    ip_parse("192.0.2.1", 9, &facts.client);
    for (int round = 0; round < 100000; round++) {
        struct fact facts_of[5];
        size_t n = (size_t)(rand() % 6);
        bool known = false, listed = false;
        for (size_t i = 0; i < n; i++) {
            const char *const *field = fields[(size_t)rand() % COUNT(fields)];
            facts_of[i] =
                (struct fact){subjects[(size_t)rand() % COUNT(subjects)], field[0], field[1]};
            known |= facts_of[i].subject_index[0] != '0' + SUBJECT_DEFAULT;
            listed |= field[0][0] == 'i';
        }
        enum spf_result spf = (enum spf_result)(rand() % SPF_RESULTS);
        enum verdict_kind kind = judge(facts_of, n, NULL, &facts, &listener, spf);
        bool contradiction = kind == VERDICT_DEFER && spf != RESULT_TEMPERROR;
        bool may = known && (listed || spf == RESULT_PASS);
        if (!contradiction && (kind < VERDICT_DEFER) != may)
            fail_msg("round %d: %s with SPF %s", round, verdict_name(kind), spf_result_name(spf));
        in += kind < VERDICT_DEFER;
    }
    assert_in_range(in, 1000, 99000);
}

/* Networks that cannot be had or read: only what would be refused for them has to wait. */
static void test_networks_in_trouble(void **state) {
    static const struct {
        bool gated, logged_in, off;
        enum membership allowed, trusted;
        enum spf_result spf;
        enum verdict_kind kind;
        enum reason reason;
    } rows[] = {
        {true, 0, 0, MEMBER_UNKNOWN, MEMBER_NO, 0, VERDICT_DEFER, REASON_POLICY_UNAVAILABLE},
        {true, 0, 0, MEMBER_MALFORMED, MEMBER_NO, 0, VERDICT_DEFER, REASON_POLICY_MALFORMED},
        {true, 0, 0, MEMBER_NO, MEMBER_MALFORMED, 0, VERDICT_REJECT, REASON_NOT_ALLOWLISTED},
        {0, 0, 0, MEMBER_NO, MEMBER_UNKNOWN, RESULT_PASS, VERDICT_ACCEPT, REASON_SPF},
        {0, 0, 0, MEMBER_NO, MEMBER_UNKNOWN, RESULT_FAIL, VERDICT_DEFER, REASON_POLICY_UNAVAILABLE},
        {0, 0, 0, MEMBER_NO, MEMBER_MALFORMED, RESULT_PASS, VERDICT_ACCEPT, REASON_SPF},
        {0, 0, 0, MEMBER_NO, MEMBER_MALFORMED, RESULT_SOFTFAIL, VERDICT_MARK, REASON_SPF},
        {0, 0, 0, MEMBER_NO, MEMBER_MALFORMED, RESULT_FAIL, VERDICT_DEFER, REASON_POLICY_MALFORMED},
        {0, true, true, MEMBER_NO, MEMBER_MALFORMED, 0, VERDICT_REJECT, REASON_PROTOCOL_DISABLED},
    };
    static const struct decision_rules rules = {
        .spf = {VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_MARK, VERDICT_REJECT,
                VERDICT_DEFER, VERDICT_MARK},
        .on_store_error = VERDICT_DEFER,
        .source_services = table_source_services,
        .n_source_services = 3};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct policy_origin from = {"network:relays", "10.0.0.0/33"};
        const struct decision_listener listener = {.service = "smtp",
                                                   .has_connect_from = rows[i].gated};
        const struct decision_facts facts = {.allowed = {rows[i].allowed, from},
                                             .trusted = {rows[i].trusted, from},
                                             .logged_in = rows[i].logged_in,
                                             .has_account = true};
        struct policy *policy = policy_new();
        if (rows[i].off)
            policy_add(policy, "protocol:*", 10, "off", 3);
        struct policy_set set = {.subjects = {"account:a@x"}, .policies = {policy}};
        struct decision d;
        decision_connect(&d, &rules, &listener, &facts);
        if (d.verdict.kind == VERDICT_ACCEPT) {
            enum decision_next next = decision_mail(&d, &rules, &listener, &facts);
            while (next != DECISION_MADE)
                next = next == DECISION_WANTS_POLICY ? decision_policy(&d, &set)
                                                     : decision_spf(&d, rows[i].spf, 32);
        }
        if (d.verdict.kind != rows[i].kind || d.verdict.reason != rows[i].reason)
            fail_msg("row %zu: %s %s", i, verdict_name(d.verdict.kind),
                     reason_name(d.verdict.reason));
        if (d.verdict.reason == REASON_POLICY_MALFORMED)
            assert_string_equal(d.verdict.from.field, "10.0.0.0/33");
        policy_free(policy);
    }
}

/* A header that refuses a message does so also where a provider could not be asked. */
static void test_header_of_a_provided_sender(void **state) {
    static const struct decision_rules rules;
    const struct decision_listener listener = {.service = "smtp"};
    const struct decision_facts facts = {.has_account = true};
    struct policy *policy = policy_new();
    struct policy_set set = {.subjects = {"account:a@x", "account:@x"}, .policies = {policy}};
    struct decision d;
    (void)state;
    policy_add(policy, "ip:spf:p.example", 16, "", 0);
    assert_int_equal(decision_mail(&d, &rules, &listener, &facts), DECISION_WANTS_POLICY);
    assert_int_equal(decision_policy(&d, &set), DECISION_WANTS_PROVIDER);
    assert_string_equal(decision_provider_domain(&d), "p.example");
    assert_int_equal(decision_evaluations_left(&d), 1);
    assert_int_equal(decision_provider(&d, RESULT_TEMPERROR, 0), DECISION_WANTS_SPF_MAILFROM);
    assert_int_equal(decision_evaluations_left(&d), 0);
    assert_int_equal(decision_spf(&d, RESULT_NONE, 0), DECISION_MADE);
    assert_int_equal(d.verdict.kind, VERDICT_ACCEPT);
    decision_header_forged(&d);
    assert_int_equal(d.verdict.kind, VERDICT_REJECT);
    assert_int_equal(d.verdict.reason, REASON_HEADER_FORGED);
    policy_free(policy);
}

/* Each way to read a login's sender must be one of its own; the first that is not is told. */
static void test_readings_of_a_login(void **state) {
    static const struct address senders[] = {
        {"a@x", "x", false}, {"b@x", "x", false}, {"c@y", "y", false}, {"d@z", "z", false}};
    static const struct {
        size_t first, n;
        bool more;
        enum reason reason, read_as;
        size_t unowned;
    } rows[] = {
        {0, 1, false, REASON_ACCOUNT, 0, 1},
        {0, 3, false, REASON_ACCOUNT, 0, 3},
        {0, 3, true, REASON_SENDER_AMBIGUOUS, REASON_SENDER_AMBIGUOUS, 3},
        {0, 4, true, REASON_SENDER_AMBIGUOUS, REASON_SENDER_NOT_OWNED, 3},
        {2, 2, false, REASON_SENDER_AMBIGUOUS, REASON_SENDER_NOT_OWNED, 1},
        {3, 1, true, REASON_SENDER_NOT_OWNED, 0, 0},
    };
    static const struct decision_rules rules;
    const struct decision_listener listener = {.service = "submission"};
    struct policy *policy = policy_new();
    struct policy_set set = {.subjects = {"account:a@x", "account:@x", "account:*"},
                             .policies = {policy}};
    (void)state;
    policy_add(policy, "sender", 6, "own", 3);
    policy_add(policy, "as:b@x", 6, "", 0);
    policy_add(policy, "as:@y", 5, "", 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct decision_facts facts = {.logged_in = true,
                                             .has_account = true,
                                             .senders = &senders[rows[i].first],
                                             .n_senders = rows[i].n,
                                             .more_senders = rows[i].more};
        struct decision d;
        assert_int_equal(decision_mail(&d, &rules, &listener, &facts), DECISION_WANTS_POLICY);
        assert_int_equal(decision_policy(&d, &set), DECISION_MADE);
        if (d.verdict.reason != rows[i].reason || d.unowned != rows[i].unowned)
            fail_msg("row %zu: %s, %zu", i, reason_name(d.verdict.reason), d.unowned);
        if (d.verdict.reason == REASON_SENDER_AMBIGUOUS)
            assert_int_equal(d.verdict.read_as, rows[i].read_as);
    }
    policy_free(policy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_null_sender_proves_its_name),
        cmocka_unit_test(test_networks_in_trouble),
        cmocka_unit_test(test_restrictions_never_open),
        cmocka_unit_test(test_readings_of_a_login),
        cmocka_unit_test(test_header_of_a_provided_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
