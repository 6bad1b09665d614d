/*
 * policy: the meaning of each field, what is malformed, and which subject answers.
 */
#include "tests/unit/unit.h"

#include "gatepost/core/policy.h"

/* A policy from "FIELD=VALUE" texts, ended by NULL; the last '=' of the field name's parts. */
static struct policy *policy_of(const char *const *facts) {
    struct policy *policy = policy_new();
    for (; *facts != NULL; facts++) {
        const char *equals = strchr(*facts, '=');
        assert_non_null(equals);
        assert_int_equal(
            policy_add(policy, *facts, (size_t)(equals - *facts), equals + 1, strlen(equals + 1)),
            0);
    }
    return policy;
}

#define POLICY(...) policy_of((const char *const[]){__VA_ARGS__, NULL})

static void test_values(void **state) {
    static const struct {
        const char *field, *value, *why; /* why NULL: it is good */
    } rows[] = {
        {"protocol:pop3", "off", NULL},
        {"protocol:pop3", "OFF", NULL},
        {"protocol:pop3", "Disabled", NULL},
        {"PROTOCOL:POP3", "no", NULL},
        {"protocol:*", "0", NULL},
        {"protocol:pop3", "", "the value is empty: it must be on or off"},
        {"protocol:pop3", "maybe", "must be on or off"},
        {"protocol:pop3", "off ", "must be on or off"},
        {"protocol:", "off", "name is missing"},
        {"source", "authorized", NULL},
        {"source", "Any", NULL},
        {"source", "authorised", "must be any or authorized"},
        {"source", "", "the value is empty"},
        {"tls", "required", NULL},
        {"tls", "on", "must be required or optional"},
        {"mode", "monitor", NULL},
        {"mode", "off", "must be enforce or monitor"},
        {"spf:softfail", "reject", NULL},
        {"spf:SoftFail", "Mark", NULL},
        {"spf:softfail", "drop", "must be accept, mark, defer or reject"},
        {"spf:hardfail", "reject", "no such field"},
        {"ip:192.0.2.0/24", "", NULL},
        {"ip:192.0.2.0/24", "HQ mail server", NULL},
        {"ip:192.0.2.0/24", "until=2027-01-31T00:00:00Z HQ", NULL},
        {"ip:192.0.2.0/24", "until=2027-01-31T00:00:00Z", NULL},
        {"ip:192.0.2.0/24", "until=tomorrow", "until= must be a UTC time"},
        {"ip:192.0.2.0/24", "until=", "until= must be a UTC time"},
        {"ip:192.0.2.0/24", "until=2027-01-31T00:00:00ZHQ", "until= must be a UTC time"},
        {"ip:192.0.2.0/33", "", "from 0 to 32"},
        {"ip:", "", "empty"},
        {"ip:mail.example.com", "", "not an IPv4 or IPv6"},
        {"sorce", "authorized", "no such field"},
        {"", "x", "no such field"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy *policy = policy_new();
        assert_int_equal(policy_add(policy, rows[i].field, strlen(rows[i].field), rows[i].value,
                                    strlen(rows[i].value)),
                         0);
        bool good = policy->n_faults == 0;
        if (good != (rows[i].why == NULL))
            fail_msg("%s \"%s\": %s", rows[i].field, rows[i].value,
                     good ? "taken" : policy->faults[0].why);
        if (!good && strstr(policy->faults[0].why, rows[i].why) == NULL)
            fail_msg("%s \"%s\": says \"%s\"", rows[i].field, rows[i].value, policy->faults[0].why);
        if (!good)
            assert_string_equal(policy->faults[0].field, rows[i].field);
        policy_free(policy);
    }
}

static void test_octets_behind_nul_count(void **state) {
    struct policy *policy = policy_new();
    (void)state;
    assert_int_equal(policy_add(policy, "source", 6, "any\0x", 5), 0);
    assert_int_equal(policy->settings[FIELD_SOURCE].state, SETTING_MALFORMED);
    policy_free(policy);
}

static void test_contradiction(void **state) {
    struct policy *policy =
        POLICY("protocol:pop3=off", "protocol:POP3=on", "Source=any", "source=any");
    (void)state;
    assert_int_equal(policy->n_protocols, 1);
    assert_int_equal(policy->protocols[0].on.state, SETTING_MALFORMED);
    assert_string_equal(policy->faults[0].why, "contradicts protocol:pop3");
    assert_int_equal(policy->faults[0].kind, FAULT_CONTRADICTION);
    assert_int_equal(policy->settings[FIELD_SOURCE].state, SETTING_SET);
    assert_int_equal(policy->n_faults, 1);
    policy_free(policy);
}

/* With one parent, the second: what is nearer is absent. */
#define PARENT (SUBJECT_PARENT + 1)
#define USED 4

static struct policy_set set_of(struct policy *account, struct policy *domain,
                                struct policy *everybody) {
    return (struct policy_set){
        .subjects = {[SUBJECT_ACCOUNT] = "account:a@x",
                     [SUBJECT_DOMAIN] = "account:@x",
                     [PARENT] = "account:@.x",
                     [SUBJECT_DEFAULT] = "account:*"},
        .policies = {
            [SUBJECT_ACCOUNT] = account, [SUBJECT_DOMAIN] = domain, [SUBJECT_DEFAULT] = everybody}};
}

/* Where the answer comes from, as "subject:field"; "conf" when no subject has the setting. */
static void expect_origin(const struct policy_origin *origin, const char *want) {
    char got[200] = "conf";
    if (origin->subject != NULL)
        snprintf(got, sizeof got, "%s:%s", origin->subject, origin->field);
    assert_string_equal(got, want);
}

/* Each subject says unset, on or off for a protocol and for the others: all 3^8 combinations. */
static void test_protocol_inheritance(void **state) {
    static const char *const values[] = {NULL, "on", "off"};
    (void)state;
    for (int code = 0; code < 6561; code++) {
        struct policy *policies[USED];
        int want = -1, digits = code; /* -1: unset */
        for (size_t i = 0; i < USED; i++) {
            const char *own = values[digits % 3], *others = values[digits / 3 % 3];
            digits /= 9;
            policies[i] = policy_new();
            if (others != NULL)
                policy_add(policies[i], "protocol:*", 10, others, strlen(others));
            if (own != NULL)
                policy_add(policies[i], "protocol:imap", 13, own, strlen(own));
            const char *says = own != NULL ? own : others;
            if (want < 0 && says != NULL)
                want = strcmp(says, "on") == 0;
        }
        struct policy_set set = set_of(policies[0], policies[1], policies[3]);
        set.policies[PARENT] = policies[2];
        struct policy_origin origin;
        int got = -1;
        enum setting_state state_got = policy_protocol(&set, "imap", &got, &origin);
        if (want < 0)
            assert_int_equal(state_got, SETTING_UNSET);
        else
            assert_true(state_got == SETTING_SET && got == want);
        for (size_t i = 0; i < USED; i++)
            policy_free(policies[i]);
    }
}

/* Every setting, unset, malformed or one of two values on each subject. */
static void check_setting_inheritance(const struct policy_field *field, size_t number) {
    const char *name = policy_field_setting_name(field, number);
    const char *const values[] = {field->words->names[0], field->words->names[1], "nonsense"};
    for (int code = 0; code < 256; code++) { /* two bits a subject: 3 is unset */
        struct policy *policies[USED];
        int first = 3;
        for (size_t i = 0; i < USED; i++) {
            int says = code >> (2 * i) & 3;
            policies[i] = policy_new();
            if (says < 3)
                policy_add(policies[i], name, strlen(name), values[says], strlen(values[says]));
            if (first == 3)
                first = says;
        }
        struct policy_set set = set_of(policies[0], policies[1], policies[3]);
        set.policies[PARENT] = policies[2];
        struct policy_origin origin;
        int value = -1;
        enum setting_state got = policy_setting(&set, (size_t)field->id + number, &value, &origin);
        assert_int_equal(got, first == 3   ? SETTING_UNSET
                              : first == 2 ? SETTING_MALFORMED
                                           : SETTING_SET);
        if (first < 2)
            assert_int_equal(value, first);
        for (size_t i = 0; i < USED; i++)
            policy_free(policies[i]);
    }
}

static void test_setting_inheritance(void **state) {
    (void)state;
    for (size_t i = 0; i < POLICY_FIELDS; i++)
        for (size_t number = 0; number < policy_field_settings(&policy_fields[i]); number++)
            check_setting_inheritance(&policy_fields[i], number);
}

/* The look-ups by name ask for the field of their name. */
static void test_settings_by_name(void **state) {
    static const struct {
        const char *field, *values[2];
        enum setting_state (*ask)(const struct policy_set *, int *, struct policy_origin *);
        int meaning[2];
    } settings[] = {
        {"source", {"any", "authorized"}, policy_source, {SOURCE_ANY, SOURCE_AUTHORIZED}},
        {"mode", {"enforce", "monitor"}, policy_mode, {MODE_ENFORCE, MODE_MONITOR}},
    };
    (void)state;
    for (size_t s = 0; s < COUNT(settings); s++) {
        for (size_t i = 0; i < 2; i++) {
            struct policy *domain = policy_new();
            struct policy_set set = set_of(NULL, domain, NULL);
            struct policy_origin origin;
            int value = -1;
            policy_add(domain, settings[s].field, strlen(settings[s].field), settings[s].values[i],
                       strlen(settings[s].values[i]));
            assert_int_equal(settings[s].ask(&set, &value, &origin), SETTING_SET);
            assert_int_equal(value, settings[s].meaning[i]);
            assert_string_equal(origin.field, settings[s].field);
            policy_free(domain);
        }
    }
}

static void test_most_specific_answers(void **state) {
    struct policy *account = POLICY("protocol:imap=off");
    struct policy *domain = POLICY("source=authorized", "spf:fail=mark");
    struct policy *everybody = POLICY("source=any", "tls=required", "spf:fail=reject");
    struct policy_set set = set_of(account, domain, everybody);
    struct policy_origin origin;
    int value = -1;
    (void)state;
    assert_int_equal(policy_source(&set, &value, &origin), SETTING_SET);
    assert_int_equal(value, SOURCE_AUTHORIZED);
    expect_origin(&origin, "account:@x:source");
    assert_int_equal(policy_setting(&set, FIELD_TLS, &value, &origin), SETTING_SET);
    assert_int_equal(value, NEED_REQUIRED);
    expect_origin(&origin, "account:*:tls");
    assert_int_equal(policy_spf(&set, RESULT_FAIL, &value, &origin), SETTING_SET);
    assert_int_equal(value, VERDICT_MARK);
    assert_int_equal(policy_spf(&set, RESULT_NONE, &value, &origin), SETTING_UNSET);
    assert_int_equal(policy_mode(&set, &value, &origin), SETTING_UNSET);
    expect_origin(&origin, "conf");
    policy_free(account);
    policy_free(domain);
    policy_free(everybody);
}

static void test_malformed_stops_at_its_subject(void **state) {
    struct policy *account = POLICY("source=somewhere");
    struct policy *domain = POLICY("source=any", "tls=required");
    struct policy_set set = set_of(account, domain, NULL);
    struct policy_origin origin;
    int value;
    (void)state;
    assert_int_equal(policy_source(&set, &value, &origin), SETTING_MALFORMED);
    expect_origin(&origin, "account:a@x:source");
    assert_int_equal(policy_setting(&set, FIELD_TLS, &value, &origin), SETTING_SET);
    account->wrong_type = true;
    assert_int_equal(policy_setting(&set, FIELD_TLS, &value, &origin), SETTING_MALFORMED);
    expect_origin(&origin, "account:a@x:(wrong type)");
    policy_free(account);
    policy_free(domain);
}

static void test_ip_entries_add_up(void **state) {
    static const struct {
        const char *ip;
        int64_t now;
        enum setting_state state;
        const char *from;
    } rows[] = {
        {"192.0.2.9", 0, SETTING_SET, "account:a@x:ip:192.0.2.0/24"},
        {"2001:db8::9", 0, SETTING_SET, "account:@x:ip:2001:db8::/32"},
        {"198.51.100.1", 0, SETTING_SET, "account:*:ip:198.51.100.1"},
        {"198.51.100.2", 0, SETTING_UNSET, "conf"},
        {"203.0.113.5", 1801353599, SETTING_SET, "account:a@x:ip:203.0.113.0/24"},
        {"203.0.113.5", 1801353600, SETTING_UNSET, "conf"},
        {"233.252.0.1", 1801353599, SETTING_UNSET, "conf"},
    };
    struct policy *account =
        POLICY("ip:192.0.2.0/24=", "ip:203.0.113.0/24=until=2027-01-31T00:00:00Z partner");
    struct policy *domain =
        POLICY("ip:2001:db8::/32=office", "ip:233.252.0.1=until=1970-01-01T00:00:00Z");
    struct policy *everybody = POLICY("ip:198.51.100.1=monitoring");
    struct policy_set set = set_of(account, domain, everybody);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ip_address ip;
        struct policy_origin origin;
        assert_int_equal(ip_parse(rows[i].ip, strlen(rows[i].ip), &ip), 0);
        assert_int_equal(policy_ip_listed(&set, &ip, rows[i].now, &origin), rows[i].state);
        expect_origin(&origin, rows[i].from);
    }
    policy_free(account);
    policy_free(domain);
    policy_free(everybody);
}

/* The account, its domain and each parent make it known; everybody's default does not. */
static void test_known(void **state) {
    struct policy *policy = policy_new();
    (void)state;
    for (size_t i = 0; i < SUBJECTS; i++) {
        struct policy_set set = set_of(NULL, NULL, NULL);
        assert_false(policy_is_known(&set));
        set.policies[i] = policy;
        assert_int_equal(policy_is_known(&set), i != SUBJECT_DEFAULT);
    }
    policy_free(policy);
}

static void test_malformed_ip_hides_nothing(void **state) {
    struct policy *account = POLICY("ip:192.0.2.0/33=typo", "ip:198.51.100.0/24=good");
    struct policy_set set = set_of(account, NULL, NULL);
    struct policy_origin origin;
    struct ip_address listed, other;
    (void)state;
    ip_parse("198.51.100.7", 12, &listed);
    ip_parse("192.0.2.7", 9, &other);
    assert_int_equal(policy_ip_listed(&set, &listed, 0, &origin), SETTING_SET);
    assert_int_equal(policy_ip_listed(&set, &other, 0, &origin), SETTING_MALFORMED);
    expect_origin(&origin, "account:a@x:ip:192.0.2.0/33");
    policy_free(account);
}

/* ---- as: ---- */

/* Every way to write an entry, and every address that might match one. */
static const char *const hosts[] = {"x", "y.x", "z.y.x", "yx", "x.y", "a.x"};

/* As README.md says it, without a thought for speed. */
static bool matches(const char *entry, const char *sender) {
    const char *domain = strchr(sender, '@') + 1;
    char tail[40];
    if (entry[0] != '@')
        return strcmp(entry, sender) == 0;
    if (entry[1] != '.')
        return strcmp(entry + 1, domain) == 0;
    for (const char *label = domain; *label != '\0'; label++) {
        snprintf(tail, sizeof tail, "@%s", label);
        if (label > domain && strcmp(entry, tail) == 0)
            return true;
    }
    return false;
}

static void random_entry(char out[40]) {
    static const char *const heads[] = {"a@", "b@", "@", "@."};
    snprintf(out, 40, "%s%s", heads[rand() % 4], hosts[(size_t)rand() % COUNT(hosts)]);
}

static void test_sends_as(void **state) {
    (void)state;
    srand(6409);
    for (int round = 0; round < 50000; round++) {
        struct policy *policies[SUBJECTS] = {NULL};
        char sender[40], entry[40], field[48], until[32] = "";
        struct policy_origin origin;
        bool expected, ended;
        snprintf(sender, sizeof sender, "%s@%s", rand() % 2 ? "a" : "b",
                 hosts[(size_t)rand() % COUNT(hosts)]);
        expected = strcmp(sender, "a@x") == 0;
        for (int n = rand() % 4; n > 0; n--) {
            struct policy **policy = &policies[rand() % 3];
            random_entry(entry);
            ended = rand() % 4 == 0;
            snprintf(until, sizeof until, "%s", ended ? "until=2020-01-01T00:00:00Z x" : "x");
            snprintf(field, sizeof field, "%s%s", rand() % 2 ? "as:" : "AS:", entry);
            expected |= !ended && matches(entry, sender);
            *policy = *policy == NULL ? policy_new() : *policy;
            assert_int_equal(policy_add(*policy, field, strlen(field), until, strlen(until)), 0);
        }
        struct policy_set set = set_of(policies[0], policies[1], policies[2]);
        const struct address address = {.text = sender, .domain = strchr(sender, '@') + 1};
        enum setting_state is = policy_sends_as(&set, &address, 1800000000, &origin);
        if (is != (expected ? SETTING_SET : SETTING_UNSET))
            fail_msg("round %d: %s: %d", round, sender, is);
        for (size_t i = 0; i < SUBJECTS; i++)
            policy_free(policies[i]);
    }
}

static void test_malformed_as_hides_nothing(void **state) {
    struct policy *account = POLICY("as:=nobody", "as:b@x=until=soon", "as:c@x=good");
    struct policy_set set = set_of(account, NULL, NULL);
    struct policy_origin origin;
    struct address good = {.text = "c@x", .domain = "x"}, other = {.text = "d@x", .domain = "x"};
    (void)state;
    assert_int_equal(policy_sends_as(&set, &good, 0, &origin), SETTING_SET);
    expect_origin(&origin, "account:a@x:as:c@x");
    assert_int_equal(policy_sends_as(&set, &other, 0, &origin), SETTING_MALFORMED);
    expect_origin(&origin, "account:a@x:as:");
    policy_free(account);
}

/* ---- ip:spf: ---- */

static void test_providers(void **state) {
    struct policy *account = POLICY(
        "ip:spf:q.example=", "ip:spf:P.example=", "ip:spf:gone.example=until=2020-01-01T00:00:00Z",
        "ip:spf:bad=", "ip:192.0.2.1=");
    struct policy *domain = POLICY("ip:spf:p.example=", "ip:spf:z.example=");
    struct policy *everybody = POLICY("ip:spf:b.example=", "ip:spf:a.example=");
    struct policy_set set = set_of(account, domain, everybody);
    struct policy_provider providers[PROVIDERS_MAX];
    (void)state;
    assert_int_equal(policy_providers(&set, 1800000000, providers), 4);
    assert_string_equal(providers[0].domain, "p.example");
    expect_origin(&providers[0].from, "account:a@x:ip:spf:P.example");
    assert_string_equal(providers[1].domain, "q.example");
    assert_string_equal(providers[2].domain, "z.example");
    expect_origin(&providers[3].from, "account:*:ip:spf:a.example");
    struct policy_set none = set_of(NULL, NULL, NULL);
    assert_int_equal(policy_providers(&none, 1800000000, providers), 0);
    policy_free(account);
    policy_free(domain);
    policy_free(everybody);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_octets_behind_nul_count),
        cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_protocol_inheritance),
        cmocka_unit_test(test_setting_inheritance),
        cmocka_unit_test(test_settings_by_name),
        cmocka_unit_test(test_most_specific_answers),
        cmocka_unit_test(test_malformed_stops_at_its_subject),
        cmocka_unit_test(test_ip_entries_add_up),
        cmocka_unit_test(test_malformed_ip_hides_nothing),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_sends_as),
        cmocka_unit_test(test_malformed_as_hides_nothing),
        cmocka_unit_test(test_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
