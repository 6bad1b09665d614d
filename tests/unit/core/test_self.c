/*
 * What a user has set himself: how it is read, when it holds, and that it only ever restricts.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/decision.h"
#include "gatepost/core/store_key.h"

#define NOW 1800000000 /* 2027-01-15T08:00:00Z */
#define PAST "2027-01-01T00:00:00Z"
#define FUTURE "2027-02-01T00:00:00Z"

static void add(struct policy *policy, const char *field, const char *value) {
    assert_int_equal(policy_add(policy, field, strlen(field), value, strlen(value)), 0);
}

static void test_values(void **state) {
    static const struct {
        const char *field, *value, *why; /* why NULL: it is good */
        enum policy_fault_kind kind;
    } rows[] = {
        {"protocol:pop3", "off", NULL, 0},
        {"protocol:pop3", "OFF", NULL, 0},
        {"protocol:pop3", "no until=" FUTURE, NULL, 0},
        {"protocol:pop3", "off until=" FUTURE " from=" PAST " a note", NULL, 0},
        {"protocol:pop3", "off from=" PAST " until=" FUTURE, NULL, 0},
        {"protocol:*", "off", NULL, 0},
        {"protocol:pop3", "on", "the value must be off", FAULT_MALFORMED},
        {"protocol:pop3", "", "the value is empty: it must be off", FAULT_MALFORMED},
        {"protocol:pop3", "off until=tomorrow", "must be UTC times", FAULT_MALFORMED},
        {"protocol:pop3", "off until=" FUTURE " until=" PAST, "must be UTC times", FAULT_MALFORMED},
        {"protocol:pop3", "until=" FUTURE, "the value must be off", FAULT_MALFORMED},
        {"source", "authorized", NULL, 0},
        {"source", "authorized until=" FUTURE, NULL, 0},
        {"source", "any", "the value must be authorized", FAULT_MALFORMED},
        {"password", "application", NULL, 0},
        {"password", "any", "the value must be application", FAULT_MALFORMED},
        {"ip:192.0.2.0/24", "", NULL, 0},
        {"ip:192.0.2.0/24", "from=" FUTURE " the office", NULL, 0},
        {"ip:192.0.2.0/24", "from=soon the office", "must be UTC times", FAULT_MALFORMED},
        {"ip:192.0.2.0/33", "", "from 0 to 32", FAULT_MALFORMED},
        {"ip:spf:example.com", "", "no user can set this", FAULT_UNKNOWN_FIELD},
        {"mode", "monitor", "no user can set this", FAULT_UNKNOWN_FIELD},
        {"tls", "required", "no user can set this", FAULT_UNKNOWN_FIELD},
        {"as:bob@example.com", "", "no user can set this", FAULT_UNKNOWN_FIELD},
        {"spf:fail", "accept", "no user can set this", FAULT_UNKNOWN_FIELD},
        {"sorce", "authorized", "no such field", FAULT_UNKNOWN_FIELD},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy *policy = policy_new_of("self:alice@example.com");
        add(policy, rows[i].field, rows[i].value);
        const char *why = policy->n_faults == 0 ? NULL : policy->faults[0].why;
        if ((why == NULL) != (rows[i].why == NULL) ||
            (why != NULL && strstr(why, rows[i].why) == NULL))
            fail_msg("%s \"%s\": %s", rows[i].field, rows[i].value, why == NULL ? "taken" : why);
        if (why != NULL)
            assert_int_equal(policy->faults[0].kind, rows[i].kind);
        policy_free(policy);
    }
}

/* Two spellings that end at different times contradict each other; the host knows no such times. */
static void test_times_of_one_field(void **state) {
    struct policy *own = policy_new_of("self:alice@example.com");
    struct policy *host = policy_new_of("account:alice@example.com");
    (void)state;
    add(own, "source", "authorized until=" FUTURE);
    add(own, "Source", "authorized until=" FUTURE " again");
    assert_int_equal(own->n_faults, 0);
    add(own, "SOURCE", "authorized");
    assert_int_equal(own->settings[FIELD_SOURCE].state, SETTING_MALFORMED);
    add(host, "protocol:pop3", "off until=" FUTURE);
    assert_int_equal(host->protocols[0].on.state, SETTING_MALFORMED);
    policy_free(own);
    policy_free(host);
}

static void test_made_values(void **state) {
    static const struct {
        const char *word, *note, *want;
        struct fact_time time;
    } rows[] = {
        {"off", "", "off", {0, 0}},
        {"off", "", "off until=" FUTURE, {0, 1801440000}},
        {NULL, "the office", "the office", {0, 0}},
        {NULL, "the office", "from=" PAST " the office", {1798761600, 0}},
        {NULL, "", "from=" PAST, {1798761600, 0}},
        {"off", "x", "off until=" FUTURE " from=" PAST " x", {1798761600, 1801440000}},
        {NULL, "", "", {0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct self_value read;
        char *value =
            self_value_make(rows[i].word, &rows[i].time, rows[i].note, strlen(rows[i].note));
        assert_string_equal(value, rows[i].want);
        assert_int_equal(self_value_parse(value, strlen(value), rows[i].word != NULL, &read), 0);
        assert_int_equal(read.time.from, rows[i].time.from);
        assert_int_equal(read.time.until, rows[i].time.until);
        assert_int_equal(read.note_len, strlen(rows[i].note));
        free(value);
    }
}

/* The stricter of host and self, in each of their states. */
static void test_stricter(void **state) {
    static const struct {
        const char *host, *own; /* NULL: not set */
        const char *want;       /* "unset", "on", "off", "malformed" */
        const char *whose;      /* the first letter of the subject; "" for nobody */
    } rows[] = {
        {NULL, NULL, "unset", ""},
        {"on", NULL, "on", "a"},
        {NULL, "off", "off", "s"},
        {"on", "off", "off", "s"},
        {"off", "off", "off", "a"},
        {"off", "on", "off", "a"}, /* what he cannot set does not matter there */
        {"on", "on", "malformed", "s"},
        {NULL, "maybe", "malformed", "s"},
        {"maybe", "off", "malformed", "a"},
        {"on", "off until=" PAST, "on", "a"},
        {"on", "off until=" FUTURE, "off", "s"},
        {"on", "off from=" FUTURE, "on", "a"},
        {"on", "off from=" PAST, "off", "s"},
        {NULL, "off from=" PAST " until=" FUTURE, "off", "s"},
        {NULL, "off until=2027-01-15T08:00:00Z", "unset", ""}, /* now: no longer */
        {NULL, "off from=2027-01-15T08:00:00Z", "off", "s"},   /* now: already */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy *host = policy_new(), *own = policy_new_of("self:a@x");
        struct policy_set set = {
            .subjects = {[SUBJECT_ACCOUNT] = "account:a@x", [SUBJECT_SELF] = "self:a@x"},
            .policies = {[SUBJECT_ACCOUNT] = host, [SUBJECT_SELF] = own},
            .now = NOW};
        struct policy_origin origin;
        int value = -1;
        if (rows[i].host != NULL)
            add(host, "protocol:pop3", rows[i].host);
        if (rows[i].own != NULL)
            add(own, "protocol:pop3", rows[i].own);
        enum setting_state got = policy_protocol(&set, "pop3", &value, &origin);
        const char *name = got == SETTING_UNSET       ? "unset"
                           : got == SETTING_MALFORMED ? "malformed"
                           : value                    ? "on"
                                                      : "off";
        if (strcmp(name, rows[i].want) != 0 ||
            (origin.subject == NULL ? '\0' : origin.subject[0]) != rows[i].whose[0])
            fail_msg("row %zu: %s of %s", i, name, origin.subject);
        policy_free(host);
        policy_free(own);
    }
}

/* A key of self facts that cannot be read stops what the host allows, and names itself. */
static void test_unreadable(void **state) {
    struct policy *own = policy_new_of("self:a@x");
    struct policy_set set = {.subjects = {[SUBJECT_SELF] = "self:a@x"},
                             .policies = {[SUBJECT_SELF] = own}};
    struct policy_origin origin;
    int value = 0;
    (void)state;
    own->wrong_type = true;
    assert_int_equal(policy_protocol(&set, "pop3", &value, &origin), SETTING_MALFORMED);
    assert_string_equal(origin.subject, "self:a@x");
    assert_string_equal(origin.field, "(wrong type)");
    assert_int_equal(policy_source(&set, &value, &origin), SETTING_MALFORMED);
    /* of what he cannot set it says nothing */
    assert_int_equal(policy_setting(&set, FIELD_TLS, &value, &origin), SETTING_UNSET);
    assert_int_equal(policy_mode(&set, &value, &origin), SETTING_UNSET);
    assert_false(policy_is_known(&set));
    policy_free(own);
}

/* Own addresses count where he demands them himself, and nowhere else. */
static void test_own_addresses(void **state) {
    static const struct {
        const char *host_source, *own_source, *own_ip;
        bool listed;
    } rows[] = {
        {NULL, "authorized", "", true},
        {"any", "authorized", "", true},
        {"authorized", "authorized", "", false},
        {"authorized", NULL, "", false},
        {NULL, NULL, "", false},
        {NULL, "authorized until=" PAST, "", false},
        {NULL, "authorized until=" FUTURE, "", true},
        {NULL, "authorized", "from=" FUTURE, false},
        {NULL, "authorized", "from=" PAST, true},
        {NULL, "authorized", "until=" PAST, false},
    };
    struct ip_address ip;
    (void)state;
    ip_parse("192.0.2.7", 9, &ip);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy *host = policy_new(), *own = policy_new_of("self:a@x");
        struct policy_set set = {.subjects = {"account:a@x"},
                                 .policies = {[SUBJECT_DOMAIN] = host, [SUBJECT_SELF] = own},
                                 .now = NOW};
        struct policy_origin origin;
        set.subjects[SUBJECT_SELF] = "self:a@x";
        if (rows[i].host_source != NULL)
            add(host, "source", rows[i].host_source);
        if (rows[i].own_source != NULL)
            add(own, "source", rows[i].own_source);
        add(own, "ip:192.0.2.0/24", rows[i].own_ip);
        bool listed = policy_ip_listed(&set, &ip, NOW, &origin) == SETTING_SET;
        if (listed != rows[i].listed)
            fail_msg("row %zu: %s", i, listed ? "listed" : "not listed");
        policy_free(host);
        policy_free(own);
    }
}

/* What has ended, or is to come, of one protocol leaves what holds of all of them. */
static void test_all_together(void **state) {
    static const struct {
        const char *all, *one; /* protocol:*, protocol:pop3 */
        enum setting_state state;
        const char *field;
    } rows[] = {
        {"off", NULL, SETTING_SET, "protocol:*"},
        {"off", "off", SETTING_SET, "protocol:pop3"},
        {"off", "off until=" PAST, SETTING_SET, "protocol:*"},
        {"off", "off from=" FUTURE, SETTING_SET, "protocol:*"},
        {"off until=" PAST, "off from=" FUTURE, SETTING_UNSET, NULL},
        {"off until=" PAST, "off", SETTING_SET, "protocol:pop3"},
        {"off", "off until=soon", SETTING_MALFORMED, "protocol:pop3"},
        {"maybe", "off until=" PAST, SETTING_MALFORMED, "protocol:*"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy *own = policy_new_of("self:a@x");
        struct policy_set set = {.policies = {[SUBJECT_SELF] = own}, .now = NOW};
        struct policy_origin origin;
        int on = 1;
        set.subjects[SUBJECT_SELF] = "self:a@x";
        add(own, "protocol:*", rows[i].all);
        if (rows[i].one != NULL)
            add(own, "protocol:pop3", rows[i].one);
        enum setting_state told = policy_protocol(&set, "pop3", &on, &origin);
        if (told != rows[i].state || (told == SETTING_SET && on))
            fail_msg("row %zu: %d, %d", i, (int)told, on);
        if (rows[i].field == NULL)
            assert_null(origin.field);
        else
            assert_string_equal(origin.field, rows[i].field);
        policy_free(own);
    }
}

/* ---- they only restrict ---- */

struct random_case {
    struct policy *policies[ALL_SUBJECTS];
    struct decision_rules rules;
    struct decision_listener listener;
    struct decision_facts facts;
    enum spf_result spf, provider;
    unsigned width;
};

static void fill(struct policy **policy, const char *subject, const char *const (*fields)[2],
                 size_t n) {
    for (int i = rand() % 4; i > 0; i--) {
        const char *const *field = fields[(size_t)rand() % n];
        if (*policy == NULL)
            *policy = policy_new_of(subject);
        add(*policy, field[0], field[1]);
    }
}

static void make_case(struct random_case *c) {
    static const char *const fields[][2] = {
        {"protocol:smtp", "on"},    {"protocol:smtp", "off"},
        {"protocol:mail", "off"},   {"protocol:submission", "off"},
        {"source", "authorized"},   {"source", "any"},
        {"source", "maybe"},        {"ip:192.0.2.0/24", ""},
        {"ip:nowhere", ""},         {"ip:spf:p.example", ""},
        {"password", "any"},        {"password", "application"},
        {"mode", "monitor"},        {"spf:fail", "accept"},
        {"spf:none", "reject"},     {"spf:pass", "reject"},
        {"spf:temperror", "reject"}};
    static const char *const owns[][2] = {{"protocol:smtp", "off"},
                                          {"protocol:mail", "off until=" FUTURE},
                                          {"protocol:submission", "off"},
                                          {"protocol:imap", "maybe"},
                                          {"protocol:*", "off from=" PAST},
                                          {"source", "authorized"},
                                          {"source", "authorized until=" FUTURE},
                                          {"source", "any"},
                                          {"ip:192.0.2.0/24", ""},
                                          {"ip:192.0.2.1", "from=" PAST},
                                          {"ip:elsewhere", ""},
                                          {"password", "application"},
                                          {"mode", "monitor"},
                                          {"spf:fail", "accept"},
                                          {"ip:spf:q.example", ""}};
    static const char *const mail[] = {"smtp", "submission"}, *const source[] = {"submission"};
    static const struct protocol protocols[] = {{"mail", mail, 2}};
    static const char *const services[] = {"smtp", "submission", "imap", "webmail"};
    *c = (struct random_case){.spf = (enum spf_result)(rand() % SPF_RESULTS),
                              .provider = (enum spf_result)(rand() % SPF_RESULTS),
                              .width = rand() % 4 == 0 ? 0 : 32};
    fill(&c->policies[SUBJECT_ACCOUNT], "account:a@x", fields, COUNT(fields));
    fill(&c->policies[SUBJECT_DEFAULT], "account:*", fields, COUNT(fields));
    fill(&c->policies[SUBJECT_SELF], "self:a@x", owns, COUNT(owns));
    if (c->policies[SUBJECT_SELF] != NULL)
        c->policies[SUBJECT_SELF]->too_large = rand() % 20 == 0;
    c->rules = (struct decision_rules){.protocols = protocols,
                                       .n_protocols = (size_t)rand() % 2,
                                       .source_services = source,
                                       .n_source_services = 1,
                                       .helo_always = rand() % 2,
                                       .widest4 = 8};
    for (size_t i = 0; i < SPF_RESULTS; i++)
        c->rules.spf[i] = (enum verdict_kind)(rand() % 4);
    c->listener = (struct decision_listener){.service = services[rand() % 4],
                                             .door = rand() % 2 ? DOOR_MTA : DOOR_DOVECOT,
                                             .reject_unknown = rand() % 4 == 0,
                                             .reject_unknown_login = rand() % 4 == 0};
    c->facts = (struct decision_facts){.logged_in = c->listener.door != DOOR_MTA || rand() % 2,
                                       .has_account = true,
                                       .app_password = rand() % 2,
                                       .now = NOW};
    c->facts.null_sender = !c->facts.logged_in && rand() % 4 == 0;
    const char *client = rand() % 2 ? "192.0.2.1" : "192.0.9.1";
    ip_parse(client, strlen(client), &c->facts.client);
}

static enum verdict_kind decide(const struct random_case *c, bool with_own) {
    struct policy_set set = {.subjects = {"account:a@x"}, .now = NOW};
    struct decision d;
    set.subjects[SUBJECT_DEFAULT] = "account:*";
    set.subjects[SUBJECT_SELF] = "self:a@x";
    for (size_t i = 0; i < (with_own ? ALL_SUBJECTS : SUBJECTS); i++)
        set.policies[i] = c->policies[i];
    enum decision_next next = c->listener.door == DOOR_MTA
                                  ? decision_mail(&d, &c->rules, &c->listener, &c->facts)
                                  : decision_login(&d, &c->rules, &c->listener, &c->facts);
    while (next != DECISION_MADE)
        next = next == DECISION_WANTS_POLICY     ? decision_policy(&d, &set)
               : next == DECISION_WANTS_PROVIDER ? decision_provider(&d, c->provider, c->width)
                                                 : decision_spf(&d, c->spf, c->width);
    return verdict_applied(&d.verdict);
}

/* Whatever the host's policy says, and whatever is in the key of self facts. */
static void test_self_only_restricts(void **state) {
    size_t stricter = 0;
    (void)state;
    srand(8601);
    for (int round = 0; round < 300000; round++) {
        struct random_case c;
        make_case(&c);
        enum verdict_kind without = decide(&c, false), with = decide(&c, true);
        if (without >= VERDICT_DEFER ? with < VERDICT_DEFER : with < without)
            fail_msg("round %d: %s became %s", round, verdict_name(without), verdict_name(with));
        stricter += with > without;
        for (size_t i = 0; i < ALL_SUBJECTS; i++)
            policy_free(c.policies[i]);
    }
    assert_true(stricter > 10000); /* and it does restrict */
}

static void test_keys(void **state) {
    static const struct {
        const char *prefix, *subject, *key;
    } rows[] = {
        {"gatepost:", "account:a@x", "gatepost:account:a@x"},
        {"gatepost:", "network:relays", "gatepost:network:relays"},
        {"gatepost:", "history", "gatepost:history"},
        {"gatepost:", "self:a@x", "gatepost-self:a@x"},
        {"gatepost:", "self:history", "gatepost-self:history"},
        {"mail:gatepost:", "self:a@x", "mail:gatepost-self:a@x"},
        {"{gatepost}:", "self:a@x", "{gatepost}-self:a@x"},
        {"gp", "self:a@x", "gp-self:a@x"},
        {"a:b", "self:a@x", "a-self:ba@x"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *key = store_key_make(rows[i].prefix, rows[i].subject);
        assert_string_equal(key, rows[i].key);
        free(key);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_times_of_one_field),
        cmocka_unit_test(test_made_values),  cmocka_unit_test(test_stricter),
        cmocka_unit_test(test_unreadable),   cmocka_unit_test(test_own_addresses),
        cmocka_unit_test(test_all_together), cmocka_unit_test(test_self_only_restricts),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
