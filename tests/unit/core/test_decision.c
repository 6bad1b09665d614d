/*
 * decision and reply: drives the pure core with every case of tests/decision.table, and checks
 * what must hold for any policy at all.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "gatepost/base/idna.h"
#include "gatepost/core/address.h"
#include "gatepost/core/decision.h"
#include "gatepost/core/reply.h"

#define MAX 24

struct network {
    char name[40];
    struct netblock blocks[8];
    size_t n;
};

struct door {
    char name[40], service[20], connect_from[40];
    struct decision_listener rules;
};

static struct network networks[MAX];
static struct door doors[MAX];
static size_t n_networks, n_doors;

/* One case of the table. */
struct row {
    char name[200], door[40], client[60], login[100], sender[200], account[200], from[200];
    char delimiters[8], default_domain[60];
    bool tls, store_down, monitored;
    enum spf_result spf, helo_spf;
    enum verdict_kind kind, would;
    enum reason reason;
    char code[8], enhanced[12];
    struct decision_rules rules;
    struct protocol protocols[4];
    char texts[4][8][24];
    const char *services[4][8];
    struct policy *policies[SUBJECTS];
    char subjects[SUBJECTS][200];
};

static const char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " \t");
    size_t len = strcspn(word, " \t");
    *rest = word + len + (word[len] != '\0');
    word[len] = '\0';
    return word;
}

static bool member(const char *network, const char *client) {
    struct ip_address ip;
    assert_int_equal(ip_parse(client, strlen(client), &ip), 0);
    for (size_t i = 0; i < n_networks; i++)
        for (size_t j = 0; strcmp(networks[i].name, network) == 0 && j < networks[i].n; j++)
            if (netblock_contains(&networks[i].blocks[j], &ip))
                return true;
    return false;
}

static void read_network(char *rest) {
    struct network *network = &networks[n_networks++];
    snprintf(network->name, sizeof network->name, "%s", next_word(&rest));
    for (const char *block = next_word(&rest); *block != '\0'; block = next_word(&rest)) {
        struct why why;
        assert_int_equal(netblock_parse(block, strlen(block), &network->blocks[network->n++], &why),
                         0);
    }
}

static void read_door(char *rest) {
    struct door *door = &doors[n_doors++];
    snprintf(door->name, sizeof door->name, "%s", next_word(&rest));
    for (const char *option = next_word(&rest); *option != '\0'; option = next_word(&rest)) {
        const char *value = strchr(option, '=') + 1;
        if (strncmp(option, "service=", 8) == 0)
            snprintf(door->service, sizeof door->service, "%s", value);
        else if (strcmp(option, "tls=required") == 0)
            door->rules.tls_required = true;
        else if (strcmp(option, "auth=required") == 0)
            door->rules.auth_required = true;
        else if (strcmp(option, "unknown_sender=reject") == 0)
            door->rules.reject_unknown = true;
        else if (strcmp(option, "mode=monitor") == 0)
            door->rules.mode = MODE_MONITOR;
        else if (strncmp(option, "connect_from=", 13) == 0)
            snprintf(door->connect_from, sizeof door->connect_from, "%s", value);
        else
            fail_msg("door %s: %s", door->name, option);
    }
    door->rules.name = door->name;
    door->rules.service = door->service;
    door->rules.has_connect_from = door->connect_from[0] != '\0';
}

static void begin_case(struct row *row, const char *name) {
    static const enum verdict_kind actions[SPF_RESULTS] = {
        [RESULT_NONE] = VERDICT_ACCEPT,    [RESULT_NEUTRAL] = VERDICT_ACCEPT,
        [RESULT_PASS] = VERDICT_ACCEPT,    [RESULT_SOFTFAIL] = VERDICT_MARK,
        [RESULT_FAIL] = VERDICT_REJECT,    [RESULT_TEMPERROR] = VERDICT_DEFER,
        [RESULT_PERMERROR] = VERDICT_MARK,
    };
    *row = (struct row){.rules = {.on_store_error = VERDICT_DEFER}};
    memcpy(row->rules.spf, actions, sizeof actions);
    snprintf(row->name, sizeof row->name, "%s", name);
    strcpy(row->door, "mx");
    strcpy(row->client, "192.0.2.1");
    strcpy(row->sender, "bob@sender.example");
    strcpy(row->from, "conf");
    strcpy(row->delimiters, "+");
}

static struct policy *subject_policy(struct row *row, const char *subject) {
    size_t i = strcmp(subject, "account:*") == 0       ? SUBJECT_DEFAULT
               : strncmp(subject, "account:@", 9) == 0 ? SUBJECT_DOMAIN
                                                       : SUBJECT_ACCOUNT;
    if (row->policies[i] == NULL) {
        row->policies[i] = policy_new();
        snprintf(row->subjects[i], sizeof row->subjects[i], "%s", subject);
    }
    assert_string_equal(row->subjects[i], subject);
    return row->policies[i];
}

static void read_conf(struct row *row, char *rest) {
    const char *key = next_word(&rest), *value = rest;
    if (strcmp(key, "mode") == 0)
        row->rules.mode = (enum mode)words_find(&mode_words, value, strlen(value));
    else if (strcmp(key, "on_store_error") == 0)
        row->rules.on_store_error =
            (enum verdict_kind)words_find(&verdict_words, value, strlen(value));
    else if (strcmp(key, "helo") == 0)
        row->rules.helo_always = strcmp(value, "always") == 0;
    else if (strcmp(key, "address_delimiter") == 0)
        snprintf(row->delimiters, sizeof row->delimiters, "%s", value);
    else if (strcmp(key, "default_domain") == 0)
        snprintf(row->default_domain, sizeof row->default_domain, "%s", value);
    else if (strncmp(key, "spf:", 4) == 0)
        row->rules.spf[words_find(&spf_result_words, key + 4, strlen(key + 4))] =
            (enum verdict_kind)words_find(&verdict_words, value, strlen(value));
    else
        fail_msg("%s: conf %s", row->name, key);
}

static void read_protocol(struct row *row, char *rest) {
    size_t i = row->rules.n_protocols++, n = 0;
    snprintf(row->texts[i][7], sizeof row->texts[i][7], "%s", next_word(&rest));
    for (const char *word = next_word(&rest); *word != '\0'; word = next_word(&rest), n++) {
        snprintf(row->texts[i][n], sizeof row->texts[i][n], "%s", word);
        row->services[i][n] = row->texts[i][n];
    }
    row->protocols[i] = (struct protocol){row->texts[i][7], row->services[i], n};
    row->rules.protocols = row->protocols;
}

static void read_expect(struct row *row, char *rest) {
    const char *kind = next_word(&rest), *reason = next_word(&rest);
    row->kind = (enum verdict_kind)words_find(&verdict_words, kind, strlen(kind));
    row->reason = (enum reason)words_find(&reason_words, reason, strlen(reason));
    snprintf(row->code, sizeof row->code, "%s", next_word(&rest));
    snprintf(row->enhanced, sizeof row->enhanced, "%s", next_word(&rest));
}

#define COPY(field, text) snprintf(row->field, sizeof row->field, "%s", text)

/* One line of a case; true when the case is complete. */
static bool read_line(struct row *row, const char *key, char *rest) {
    if (strcmp(key, "conf") == 0)
        read_conf(row, rest);
    else if (strcmp(key, "protocol") == 0)
        read_protocol(row, rest);
    else if (strcmp(key, "policy") == 0) {
        struct policy *policy = subject_policy(row, next_word(&rest));
        const char *field = next_word(&rest);
        assert_int_equal(policy_add(policy, field, strlen(field), rest, strlen(rest)), 0);
    } else if (strcmp(key, "wrong-type") == 0)
        subject_policy(row, rest)->wrong_type = true;
    else if (strcmp(key, "store") == 0)
        row->store_down = true;
    else if (strcmp(key, "at") == 0)
        COPY(door, rest);
    else if (strcmp(key, "client") == 0)
        COPY(client, rest);
    else if (strcmp(key, "tls") == 0)
        row->tls = true;
    else if (strcmp(key, "login") == 0)
        COPY(login, rest);
    else if (strcmp(key, "sender") == 0)
        COPY(sender, rest);
    else if (strcmp(key, "account") == 0)
        COPY(account, rest);
    else if (strcmp(key, "from") == 0)
        COPY(from, rest);
    else if (strcmp(key, "spf") == 0)
        row->spf = (enum spf_result)words_find(&spf_result_words, rest, strlen(rest));
    else if (strcmp(key, "helo-spf") == 0)
        row->helo_spf = (enum spf_result)words_find(&spf_result_words, rest, strlen(rest));
    else if (strcmp(key, "would") == 0) {
        row->monitored = true;
        row->would = (enum verdict_kind)words_find(&verdict_words, rest, strlen(rest));
    } else if (strcmp(key, "expect") == 0) {
        read_expect(row, rest);
        return true;
    } else if (strcmp(key, "helo") != 0)
        fail_msg("%s: %s", row->name, key);
    return false;
}

static void decide(const struct row *row, const struct address *account,
                   const struct decision_facts *facts, const struct door *door,
                   struct decision *d) {
    struct policy_set set = {{NULL}, {NULL}};
    for (size_t i = 0; i < SUBJECTS; i++) {
        set.subjects[i] = row->subjects[i];
        set.policies[i] = row->policies[i];
    }
    /* a domain's policy is not asked for an account without one */
    if (account->domain == NULL)
        set.policies[SUBJECT_DOMAIN] = NULL;
    enum decision_next next = decision_mail(d, &row->rules, &door->rules, facts);
    while (next != DECISION_MADE) {
        if (next == DECISION_WANTS_POLICY)
            next = row->store_down ? decision_policy_failed(d) : decision_policy(d, &set);
        else
            next = decision_spf(d, next == DECISION_WANTS_SPF_HELO ? row->helo_spf : row->spf);
    }
}

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

static void run_case(struct row *row) {
    const struct address_rules rules = {.default_domain = row->default_domain,
                                        .delimiters = row->delimiters,
                                        .domain_to_ascii = idna_domain_to_ascii,
                                        .lower_case = idna_lower_case};
    const struct door *door = NULL;
    struct decision d;
    struct address account;
    for (size_t i = 0; i < n_doors; i++)
        if (strcmp(doors[i].name, row->door) == 0)
            door = &doors[i];
    if (door == NULL)
        fail_msg("%s: no door %s", row->name, row->door);
    bool logged_in = row->login[0] != '\0';
    int rc = logged_in ? address_from_login(row->login, &rules, &account)
                       : address_from_sender(row->sender, &rules, &account);
    assert_int_equal(rc, 0);
    struct decision_facts facts = {
        .allowed = {.membership = member(door->connect_from, row->client) ? MEMBER_YES : MEMBER_NO},
        .trusted = {.membership = member("relays", row->client) ? MEMBER_YES : MEMBER_NO},
        .tls = row->tls,
        .logged_in = logged_in,
        .has_account = account.text[0] != '\0',
        .now = 1800000000};
    ip_parse(row->client, strlen(row->client), &facts.client);
    decision_connect(&d, &row->rules, &door->rules, &facts);
    if (d.verdict.kind == VERDICT_ACCEPT)
        decide(row, &account, &facts, door, &d);
    const struct verdict *v = &d.verdict;
    char from[200] = "conf";
    if (v->from.subject != NULL)
        snprintf(from, sizeof from, "%s:%s", v->from.subject, v->from.field);
    enum verdict_kind kind = row->monitored ? row->would : row->kind;
    if (v->kind != kind || verdict_applied(v) != row->kind || v->reason != row->reason ||
        v->monitor != row->monitored || strcmp(from, row->from) != 0)
        fail_msg("%s: got %s %s from %s, monitored %d", row->name, verdict_name(v->kind),
                 reason_name(v->reason), from, v->monitor);
    if (row->account[0] != '\0')
        assert_string_equal(account.text, row->account);
    if (row->code[0] != '\0')
        expect_reply(row, v, account.text);
    address_clear(&account);
    for (size_t i = 0; i < SUBJECTS; i++)
        policy_free(row->policies[i]);
}

static void test_table(void **state) {
    char line[500];
    struct row row = {0};
    size_t cases = 0;
    FILE *file = fopen(TESTS_DIR "/decision.table", "r");
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        const char *key = next_word(&rest);
        if (key[0] == '\0' || key[0] == '#')
            continue;
        if (strcmp(key, "network") == 0)
            read_network(rest);
        else if (strcmp(key, "door") == 0)
            read_door(rest);
        else if (strcmp(key, "case") == 0)
            begin_case(&row, rest);
        else if (read_line(&row, key, rest)) {
            run_case(&row);
            cases++;
        }
    }
    fclose(file);
    print_message("%zu cases\n", cases);
    assert_true(cases > 100);
}

/* The verdict on a random message under a policy given as facts. */
struct fact {
    const char *subject_index; /* one digit */
    const char *field, *value;
};

static enum verdict_kind judge(const struct fact *facts_of, size_t n, const struct fact *extra,
                               const struct decision_facts *facts,
                               const struct decision_listener *listener, enum spf_result spf) {
    static const struct decision_rules rules = {
        .spf = {VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_ACCEPT, VERDICT_MARK, VERDICT_REJECT,
                VERDICT_DEFER, VERDICT_MARK},
        .on_store_error = VERDICT_DEFER};
    struct policy *policies[SUBJECTS] = {NULL};
    struct decision d;
    for (size_t i = 0; i < n + (extra != NULL); i++) {
        const struct fact *f = i < n ? &facts_of[i] : extra;
        size_t subject = (size_t)(f->subject_index[0] - '0');
        if (policies[subject] == NULL)
            policies[subject] = policy_new();
        policy_add(policies[subject], f->field, strlen(f->field), f->value, strlen(f->value));
    }
    struct policy_set set = {{"account:a@x", "account:@x", "account:*"},
                             {policies[0], policies[1], policies[2]}};
    enum decision_next next = decision_mail(&d, &rules, listener, facts);
    while (next != DECISION_MADE)
        next = next == DECISION_WANTS_POLICY ? decision_policy(&d, &set) : decision_spf(&d, spf);
    for (size_t i = 0; i < SUBJECTS; i++)
        policy_free(policies[i]);
    return verdict_applied(&d.verdict);
}

/* A policy that only adds an `off` never turns a refusal into an acceptance. */
static void test_off_never_opens(void **state) {
    static const char *const subjects[] = {"0", "1", "2"};
    static const char *const fields[][2] = {
        {"protocol:smtp", "on"},  {"protocol:submission", "on"}, {"protocol:*", "on"},
        {"protocol:smtp", "off"}, {"source", "authorized"},      {"source", "any"},
        {"ip:192.0.2.0/24", ""},  {"tls", "required"},           {"spf:fail", "accept"},
        {"spf:none", "reject"},   {"mode", "enforce"},           {"protocol:submission", "off"}};
    static const char *const offs[] = {"protocol:smtp", "protocol:submission", "protocol:*"};
    (void)state;
    srand(5322);
    for (int round = 0; round < 200000; round++) {
        struct fact facts_of[4];
        size_t n = (size_t)(rand() % 5);
        for (size_t i = 0; i < n; i++) {
            const char *const *field = fields[(size_t)rand() % COUNT(fields)];
            facts_of[i] = (struct fact){subjects[rand() % 3], field[0], field[1]};
        }
        struct fact off = {subjects[rand() % 3], offs[(size_t)rand() % COUNT(offs)], "off"};
        /* adding a second value of a field that is there would be a change, not an addition */
        bool there = false;
        for (size_t i = 0; i < n; i++)
            there |= facts_of[i].subject_index == off.subject_index &&
                     strcmp(facts_of[i].field, off.field) == 0;
        /* an `off` that makes a stranger a registered sender is an addition of more than `off` */
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known |= facts_of[i].subject_index[0] != '2';
        struct decision_listener listener = {.service = rand() % 2 ? "smtp" : "submission",
                                             .reject_unknown = known && rand() % 2};
        struct decision_facts facts = {
            .tls = rand() % 2, .logged_in = rand() % 2, .has_account = true, .now = 1800000000};
        ip_parse(rand() % 2 ? "192.0.2.1" : "203.0.113.1", rand() % 2 ? 9 : 9, &facts.client);
        enum spf_result spf = (enum spf_result)(rand() % SPF_RESULTS);
        if (there)
            continue;
        enum verdict_kind before = judge(facts_of, n, NULL, &facts, &listener, spf);
        enum verdict_kind after = judge(facts_of, n, &off, &facts, &listener, spf);
        if (before >= VERDICT_DEFER && after < VERDICT_DEFER)
            fail_msg("round %d: %s off on subject %s turned %s into %s", round, off.field,
                     off.subject_index, verdict_name(before), verdict_name(after));
    }
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
        .on_store_error = VERDICT_DEFER};
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
        struct policy_set set = {{"account:a@x", "account:@x", "account:*"}, {policy, NULL, NULL}};
        struct decision d;
        decision_connect(&d, &rules, &listener, &facts);
        if (d.verdict.kind == VERDICT_ACCEPT) {
            enum decision_next next = decision_mail(&d, &rules, &listener, &facts);
            while (next != DECISION_MADE)
                next = next == DECISION_WANTS_POLICY ? decision_policy(&d, &set)
                                                     : decision_spf(&d, rows[i].spf);
        }
        if (d.verdict.kind != rows[i].kind || d.verdict.reason != rows[i].reason)
            fail_msg("row %zu: %s %s", i, verdict_name(d.verdict.kind),
                     reason_name(d.verdict.reason));
        if (d.verdict.reason == REASON_POLICY_MALFORMED)
            assert_string_equal(d.verdict.from.field, "10.0.0.0/33");
        policy_free(policy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_networks_in_trouble),
        cmocka_unit_test(test_off_never_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
