/*
 * The trace of a decision: for every case of tests/decision.table, and for random policies, it
 * names the step that has decided and ends there.
 */
#include "tests/unit/core/decision_table.h"

#define BIT(n) (1u << (n))

/* The reasons for which a step can decide, but for policy-malformed. */
static const unsigned reasons_of[RULES] = {
    [RULE_CONNECT] = BIT(REASON_NOT_ALLOWLISTED) | BIT(REASON_POLICY_UNAVAILABLE),
    [RULE_TRUSTED] = BIT(REASON_TRUSTED) | BIT(REASON_POLICY_UNAVAILABLE),
    [RULE_TLS] = BIT(REASON_TLS_REQUIRED),
    [RULE_AUTH] = BIT(REASON_AUTH_REQUIRED),
    [RULE_ACCOUNT] = BIT(REASON_UNKNOWN_SENDER) | BIT(REASON_UNKNOWN_LOGIN),
    [RULE_POLICY] = BIT(REASON_POLICY_UNAVAILABLE),
    [RULE_KNOWN] = BIT(REASON_UNKNOWN_SENDER) | BIT(REASON_UNKNOWN_LOGIN),
    [RULE_SERVICE] = BIT(REASON_PROTOCOL_DISABLED) | BIT(REASON_UNKNOWN_SERVICE),
    [RULE_ACCOUNT_TLS] = BIT(REASON_TLS_REQUIRED),
    [RULE_PASSWORD] = BIT(REASON_APP_PASSWORD_REQUIRED),
    [RULE_OWNED] = BIT(REASON_SENDER_NOT_OWNED) | BIT(REASON_SENDER_AMBIGUOUS),
    [RULE_PROVIDER] = BIT(REASON_ACCOUNT) | BIT(REASON_IP_NOT_AUTHORIZED) |
                      BIT(REASON_IP_AUTHORIZED) | BIT(REASON_SPF),
    [RULE_SOURCE] = BIT(REASON_ACCOUNT) | BIT(REASON_SPF_PASS) | BIT(REASON_SPF) |
                    BIT(REASON_IP_NOT_AUTHORIZED) | BIT(REASON_SPF_REQUIRED) |
                    BIT(REASON_SPF_TOO_WIDE),
    [RULE_LISTED] = BIT(REASON_ACCOUNT) | BIT(REASON_IP_NOT_AUTHORIZED) | BIT(REASON_IP_AUTHORIZED),
    [RULE_ACTION] = BIT(REASON_SPF),
};

/* How often a message can come to a step. */
static size_t times_asked(enum decision_rule rule) {
    return rule == RULE_SPF || rule == RULE_ACTION ? 2 : rule == RULE_PROVIDER ? PROVIDERS_MAX : 1;
}

static const struct decision_step *find(const struct decision *d, enum decision_rule rule) {
    for (size_t i = 0; i < d->n_steps; i++)
        if (d->steps[i].rule == rule)
            return &d->steps[i];
    return NULL;
}

static bool same(struct policy_origin a, struct policy_origin b) {
    return a.subject == b.subject && a.field == b.field;
}

/* The verdict comes from where its step says; `name` is that of the case. */
static void check_decider(const char *name, const struct decision *d) {
    static const struct policy_origin conf;
    const struct verdict *v = &d->verdict;
    const struct decision_step *decider = &d->steps[d->decider];
    const char *rule = decision_rule_name(decider->rule);
    struct policy_origin from = decider->from;
    bool malformed = decider->state == SETTING_MALFORMED ||
                     (decider->rule <= RULE_TRUSTED && decider->value == MEMBER_MALFORMED);
    if (malformed != (v->reason == REASON_POLICY_MALFORMED))
        fail_msg("%s: %s decided for %s", name, rule, reason_name(v->reason));
    if (!malformed && (reasons_of[decider->rule] & BIT(v->reason)) == 0)
        fail_msg("%s: %s cannot decide for %s", name, rule, reason_name(v->reason));
    if (v->reason == REASON_IP_NOT_AUTHORIZED && decider->rule != RULE_SOURCE)
        from = find(d, RULE_SOURCE)->from; /* that asks for a listed address */
    if (decider->rule == RULE_OWNED && !malformed)
        from = find(d, RULE_SENDER)->from;
    if (decider->rule == RULE_SOURCE && !malformed &&
        (decider->value == SOURCE_ANY || v->reason == REASON_ACCOUNT))
        from = conf; /* a login; or a null sender, of which the listener wants more */
    if (!same(v->from, from))
        fail_msg("%s: %s has another origin than the verdict", name, rule);
}

/* No trial lets one in. */
static bool is_wrong_password(const struct decision *d) {
    struct policy_origin from;
    int value = PASSWORD_ANY;
    return d->policy != NULL && d->listener->door != DOOR_MTA && !d->facts->app_password &&
           strcmp(d->listener->service, "webmail") != 0 &&
           (policy_setting(d->policy, FIELD_PASSWORD, &value, &from) == SETTING_MALFORMED ||
            value == PASSWORD_APPLICATION);
}

static void check_trace(const char *name, const struct decision *d) {
    size_t times[RULES] = {0};
    bool refused = d->verdict.kind != VERDICT_ACCEPT;
    assert_int_equal(d->next, DECISION_MADE);
    assert_in_range(d->n_steps, 1, DECISION_STEPS);
    assert_in_range(d->decider, 0, d->n_steps - 1);
    enum decision_rule first = d->steps[0].rule, last = d->steps[d->n_steps - 1].rule;
    bool elsewhere = d->listener->door != DOOR_MTA;
    if (elsewhere ? first != RULE_TLS : first != RULE_CONNECT && first != RULE_TRUSTED)
        fail_msg("%s: begins with %s", name, decision_rule_name(first));
    for (size_t i = 0; i < d->n_steps; i++)
        if (++times[d->steps[i].rule] > times_asked(d->steps[i].rule))
            fail_msg("%s: asks %s again", name, decision_rule_name(d->steps[i].rule));
    if (refused != (last == RULE_MODE) || times[RULE_MODE] != refused)
        fail_msg("%s: %s, but the last step is %s", name, verdict_name(d->verdict.kind),
                 decision_rule_name(last));
    if (refused && d->verdict.monitor !=
                       (d->steps[d->n_steps - 1].state != SETTING_MALFORMED &&
                        d->steps[d->n_steps - 1].value == MODE_MONITOR && !is_wrong_password(d)))
        fail_msg("%s: the mode is another one", name);
    /* trust, a list or a provider that cannot be known decides over what a later step refuses */
    enum decision_rule decider = d->steps[d->decider].rule;
    bool over = d->verdict.kind == VERDICT_DEFER &&
                (decider == RULE_TRUSTED || decider == RULE_LISTED || decider == RULE_PROVIDER);
    if (!over && d->n_steps != d->decider + 1 + (refused && d->steps[d->decider].rule != RULE_MODE))
        fail_msg("%s: goes on after %s", name, decision_rule_name(d->steps[d->decider].rule));
    check_decider(name, d);
}

/* Each step stands where the table says that it is asked. */
static void check_order(const char *name, const struct decision *d) {
    const char *at = table_order();
    for (size_t i = 0; i < d->n_steps; i++) {
        const char *step = decision_rule_name(d->steps[i].rule);
        size_t len = strlen(step);
        while (*at != '\0' && (strncmp(at, step, len) != 0 || (at[len] != ' ' && at[len] != '\0')))
            at += strcspn(at, " ") + (strchr(at, ' ') != NULL);
        if (*at == '\0')
            fail_msg("%s: %s stands where it is not asked", name, step);
        at += len + (at[len] == ' ');
    }
}

static void check_case(const struct row *row, const struct decision *d, const char *account) {
    (void)account;
    const char *decider = decision_rule_name(d->steps[d->decider].rule);
    check_trace(row->name, d);
    check_order(row->name, d);
    if (row->by[0] == '\0' || strcmp(decider, row->by) != 0)
        fail_msg("%s: decided by %s, not by %s", row->name, decider, row->by);
}

static void test_table(void **state) {
    (void)state;
    table_decide(check_case);
}

/* ---- one trace, step by step ---- */

static const struct decision_rules conf = {.spf = {VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_ACCEPT,
                                                   VERDICT_MARK, VERDICT_MARK, VERDICT_DEFER,
                                                   VERDICT_MARK},
                                           .on_store_error = VERDICT_DEFER,
                                           .source_services = table_source_services,
                                           .n_source_services = 3,
                                           .helo_always = true,
                                           .widest4 = 8};

static void add_fact(struct policy *policy, const char *field, const char *value) {
    assert_int_equal(policy_add(policy, field, strlen(field), value, strlen(value)), 0);
}

static void decide_mail(struct decision *d, const struct decision_listener *listener,
                        const struct decision_facts *facts, const struct policy_set *set,
                        enum spf_result helo, enum spf_result mail) {
    enum decision_next next = decision_mail(d, &conf, listener, facts);
    while (next != DECISION_MADE) {
        if (next == DECISION_WANTS_POLICY)
            next = set == NULL ? decision_policy_failed(d) : decision_policy(d, set);
        else
            next = next == DECISION_WANTS_PROVIDER
                       ? decision_provider(d, (enum spf_result)(rand() % SPF_RESULTS),
                                           (unsigned)(rand() % 33))
                       : decision_spf(d, next == DECISION_WANTS_SPF_HELO ? helo : mail, 32);
    }
}

/* The names of the steps, and the number of the decider. */
static void expect_steps(const struct decision *d, const char *steps) {
    char text[400] = "";
    for (size_t i = 0; i < d->n_steps; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s%s", i == 0 ? "" : " ",
                 i == d->decider ? "*" : "", decision_rule_name(d->steps[i].rule));
    }
    assert_string_equal(text, steps);
}

static void test_steps(void **state) {
    const struct decision_listener mx = {.service = "smtp"};
    struct decision_facts facts = {.has_account = true, .now = 1800000000};
    struct policy *policy = policy_new();
    struct policy_set set = {.subjects = {"account:a@x"}, .policies = {policy}};
    struct decision d;
    (void)state;
    add_fact(policy, "spf:neutral", "reject");

    /* HELO fails, which is only marked, so that MAIL FROM decides: the longest there is */
    decide_mail(&d, &mx, &facts, &set, RESULT_FAIL, RESULT_NEUTRAL);
    expect_steps(&d, "trusted tls auth account policy known service listed spf action spf source "
                     "*action mode");
    assert_int_equal(d.steps[8].value, RESULT_FAIL);
    assert_int_equal(d.steps[9].value, VERDICT_MARK);
    assert_int_equal(d.steps[9].state, SETTING_UNSET);
    assert_null(d.steps[9].from.subject);
    assert_int_equal(d.steps[12].state, SETTING_SET);
    assert_string_equal(d.steps[12].from.field, "spf:neutral");

    decide_mail(&d, &mx, &facts, NULL, RESULT_NONE, RESULT_NONE);
    expect_steps(&d, "trusted tls auth account *policy mode");
    assert_int_equal(d.steps[4].value, POLICY_UNAVAILABLE);

    add_fact(policy, "source", "authorized");
    add_fact(policy, "mode", "wrong");
    facts.logged_in = true;
    decide_mail(&d, &mx, &facts, &set, RESULT_NONE, RESULT_NONE);
    expect_steps(&d,
                 "trusted tls auth account policy known service account-tls source listed *mode");
    assert_int_equal(d.steps[9].value, false);
    policy_free(policy);
}

/* Trust that cannot be known or read decides over the step that refuses. */
static void test_trust(void **state) {
    const struct decision_listener door = {
        .service = "smtp", .tls_required = true, .has_connect_from = true};
    const struct decision_rules rejecting = {.on_store_error = VERDICT_REJECT};
    struct decision_facts facts = {
        .has_account = true,
        .allowed = {.membership = MEMBER_UNKNOWN},
        .trusted = {MEMBER_MALFORMED, {"network:relays", "10.0.0.0/33"}}};
    struct decision d;
    (void)state;
    decide_mail(&d, &door, &facts, NULL, RESULT_NONE, RESULT_NONE);
    expect_steps(&d, "*trusted tls mode");
    check_trace("tls", &d);
    decision_connect(&d, &rejecting, &door, &facts);
    expect_steps(&d, "connect *trusted mode");
    check_trace("connect", &d);
}

/* ---- random policies ---- */

static void test_random(void **state) {
    static const char *const fields[][2] = {{"protocol:smtp", "off"},
                                            {"protocol:submission", "off"},
                                            {"protocol:*", "perhaps"},
                                            {"source", "authorized"},
                                            {"source", "authorised"},
                                            {"tls", "required"},
                                            {"tls", "reqired"},
                                            {"mode", "monitor"},
                                            {"mode", "moniter"},
                                            {"ip:192.0.2.0/24", ""},
                                            {"ip:nowhere", ""},
                                            {"spf:fail", "reject"},
                                            {"spf:pass", "forbidden"},
                                            {"spf:softfail", "reject"},
                                            {"sender", "own"},
                                            {"sender", "owned"},
                                            {"as:b@x", ""},
                                            {"as:@y", "until=never"},
                                            {"ip:spf:p.example", ""},
                                            {"ip:spf:q.example", ""},
                                            {"ip:spf:nowhere", ""}};
    (void)state;
    srand(7208);
    for (int round = 0; round < 200000; round++) {
        struct policy *policies[ALL_SUBJECTS] = {NULL};
        for (int n = rand() % 6; n > 0; n--) {
            const char *const *field = fields[(size_t)rand() % COUNT(fields)];
            size_t subject = (size_t)rand() % ALL_SUBJECTS;
            if (policies[subject] == NULL)
                policies[subject] =
                    policy_new_of(subject == SUBJECT_SELF ? "self:a@x" : "account:");
            add_fact(policies[subject], field[0], field[1]);
            policies[subject]->wrong_type = rand() % 20 == 0;
        }
        struct policy_set set = {.subjects = {"account:a@x", "account:@x", "account:@.x",
                                              "account:@.y", "account:@.z", "account:@.w",
                                              "account:*", "self:a@x"},
                                 .now = 1800000000};
        memcpy(set.policies, policies, sizeof policies);
        const struct decision_listener listener = {.service = rand() % 2 ? "smtp" : "submission",
                                                   .tls_required = rand() % 8 == 0,
                                                   .auth_required = rand() % 8 == 0,
                                                   .reject_unknown = rand() % 4 == 0,
                                                   .reject_unknown_login = rand() % 4 == 0,
                                                   .mode = rand() % 8 == 0 ? MODE_MONITOR
                                                                           : MODE_ENFORCE};
        struct decision_facts facts = {.tls = rand() % 2,
                                       .logged_in = rand() % 2,
                                       .null_sender = rand() % 4 == 0,
                                       .misnamed = rand() % 8 == 0,
                                       .now = 1800000000};
        facts.null_sender &= !facts.logged_in;
        facts.has_account = !facts.null_sender || rand() % 4 != 0;
        ip_parse("192.0.2.1", 9, &facts.client);
        if (rand() % 4 == 0)
            facts.trusted.membership = (enum membership)(rand() % 4);
        if (facts.trusted.membership == MEMBER_MALFORMED)
            facts.trusted.from = (struct policy_origin){"network:relays", "10.0.0.0/33"};
        struct address senders[] = {{.text = "a@x", .domain = "x"},
                                    {.text = "b@x", .domain = "x"},
                                    {.text = "c@y", .domain = "y"},
                                    {.text = ""}};
        size_t first = (size_t)rand() % COUNT(senders);
        facts.senders = &senders[first];
        facts.n_senders = (size_t)rand() % (COUNT(senders) - first + 1);
        facts.more_senders = facts.n_senders > 0 && rand() % 8 == 0;
        struct decision d;
        decide_mail(&d, &listener, &facts, rand() % 16 == 0 ? NULL : &set,
                    (enum spf_result)(rand() % SPF_RESULTS),
                    (enum spf_result)(rand() % SPF_RESULTS));
        check_trace("random", &d);
        for (size_t i = 0; i < ALL_SUBJECTS; i++)
            policy_free(policies[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
