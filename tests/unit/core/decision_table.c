/*
 * Reads tests/decision.table, whose head says what its lines mean, and drives the core with it.
 */
#include "tests/unit/core/decision_table.h"

#include "gatepost/base/idna.h"
#include "gatepost/core/address.h"

#define MAX 24

const char *const table_source_services[3] = {"smtp", "submission", "submissions"};

struct network {
    char name[40];
    struct netblock blocks[8];
    size_t n;
};

struct table_door {
    char name[40], service[20], connect_from[40];
    struct decision_listener rules;
};

static struct network networks[MAX];
static struct table_door doors[MAX];
static size_t n_networks, n_doors;
static char order[500];

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
    struct table_door *door = &doors[n_doors++];
    snprintf(door->name, sizeof door->name, "%s", next_word(&rest));
    for (const char *option = next_word(&rest); *option != '\0'; option = next_word(&rest)) {
        const char *value = strchr(option, '=') + 1;
        if (strncmp(option, "service=", 8) == 0)
            snprintf(door->service, sizeof door->service, "%s", value);
        else if (strncmp(option, "door=", 5) == 0)
            door->rules.door = (enum door)words_find(&door_words, value, strlen(value));
        else if (strcmp(option, "tls=offloaded") == 0)
            door->rules.tls_offloaded = true;
        else if (strcmp(option, "tls=required") == 0)
            door->rules.tls_required = true;
        else if (strcmp(option, "auth=required") == 0)
            door->rules.auth_required = true;
        else if (strcmp(option, "unknown_sender=reject") == 0)
            door->rules.reject_unknown = true;
        else if (strcmp(option, "unknown_login=reject") == 0)
            door->rules.reject_unknown_login = true;
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
    *row = (struct row){.width = 32,
                        .helo_width = 32,
                        .rules = {.on_store_error = VERDICT_DEFER,
                                  .widest4 = 8,
                                  .widest6 = 16,
                                  .source_services = row->source_services,
                                  .n_source_services = 3}};
    memcpy(row->source_services, table_source_services, sizeof table_source_services);
    memcpy(row->rules.spf, actions, sizeof actions);
    snprintf(row->name, sizeof row->name, "%s", name);
    strcpy(row->door, "mx");
    strcpy(row->client, "192.0.2.1");
    strcpy(row->sender, "bob@sender.example");
    strcpy(row->helo, "client.example");
    strcpy(row->from, "conf");
    strcpy(row->delimiters, "+");
}

static struct policy *subject_policy(struct row *row, const char *subject) {
    struct stored *stored = row->store;
    while (stored->policy != NULL && strcmp(stored->subject, subject) != 0)
        stored++;
    assert_true(stored < row->store + STORED_MAX - 1);
    if (stored->policy == NULL) {
        stored->policy = policy_new_of(subject);
        snprintf(stored->subject, sizeof stored->subject, "%s", subject);
    }
    return stored->policy;
}

static void read_conf(struct row *row, char *rest) {
    const char *key = next_word(&rest);
    char *value = rest;
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
    else if (strcmp(key, "source_services") == 0) {
        row->rules.n_source_services = 0;
        for (const char *word = next_word(&rest); *word != '\0'; word = next_word(&rest))
            row->source_services[row->rules.n_source_services++] =
                service_words.names[words_find(&service_words, word, strlen(word))];
    } else if (strcmp(key, "widest_ipv4") == 0)
        row->rules.widest4 = (unsigned)atoi(value);
    else if (strcmp(key, "widest_ipv6") == 0)
        row->rules.widest6 = (unsigned)atoi(value);
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

/* A result, and of a pass how many bits it looks at: "pass", "pass /8". */
static enum spf_result read_result(char *rest, unsigned *width) {
    const char *result = next_word(&rest), *bits = next_word(&rest);
    *width = bits[0] == '/' ? (unsigned)atoi(bits + 1) : 32;
    return (enum spf_result)words_find(&spf_result_words, result, strlen(result));
}

static void read_provider(struct row *row, char *rest) {
    size_t i = row->n_providers++;
    snprintf(row->providers[i].domain, sizeof row->providers[i].domain, "%s", next_word(&rest));
    row->providers[i].result = read_result(rest, &row->providers[i].width);
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
    else if (strcmp(key, "app-password") == 0)
        row->app_password = true;
    else if (strcmp(key, "login") == 0)
        COPY(login, rest);
    else if (strcmp(key, "sender") == 0)
        COPY(sender, rest);
    else if (strcmp(key, "account") == 0)
        COPY(account, rest);
    else if (strcmp(key, "from") == 0)
        COPY(from, rest);
    else if (strcmp(key, "by") == 0)
        COPY(by, rest);
    else if (strcmp(key, "spf") == 0)
        row->spf = read_result(rest, &row->width);
    else if (strcmp(key, "helo-spf") == 0)
        row->helo_spf = read_result(rest, &row->helo_width);
    else if (strcmp(key, "provider") == 0)
        read_provider(row, rest);
    else if (strcmp(key, "would") == 0) {
        row->monitored = true;
        row->would = (enum verdict_kind)words_find(&verdict_words, rest, strlen(rest));
    } else if (strcmp(key, "expect") == 0) {
        read_expect(row, rest);
        return true;
    } else if (strcmp(key, "helo") == 0)
        COPY(helo, rest);
    else
        fail_msg("%s: %s", row->name, key);
    return false;
}

static enum decision_next answer_provider(const struct row *row, struct decision *d) {
    const char *domain = decision_provider_domain(d);
    for (size_t i = 0; i < row->n_providers; i++)
        if (strcmp(row->providers[i].domain, domain) == 0)
            return decision_provider(d, row->providers[i].result, row->providers[i].width);
    return decision_provider(d, RESULT_NONE, 0);
}

/* The decision of a case, at connect or at MAIL FROM; `set` is its policy. */
static void decide(const struct row *row, const struct policy_set *set,
                   const struct decision_facts *facts, const struct table_door *door,
                   struct decision *d) {
    enum decision_next next;
    if (door->rules.door == DOOR_MTA) {
        decision_connect(d, &row->rules, &door->rules, facts);
        if (d->verdict.kind != VERDICT_ACCEPT)
            return;
        next = decision_mail(d, &row->rules, &door->rules, facts);
    } else {
        next = decision_login(d, &row->rules, &door->rules, facts);
    }
    while (next != DECISION_MADE) {
        if (next == DECISION_WANTS_POLICY)
            next = row->store_down ? decision_policy_failed(d) : decision_policy(d, set);
        else if (next == DECISION_WANTS_PROVIDER)
            next = answer_provider(row, d);
        else if (next == DECISION_WANTS_SPF_HELO)
            next = decision_spf(d, row->helo_spf, row->helo_width);
        else
            next = decision_spf(d, row->spf, row->width);
    }
}

static const struct table_door *door_of(const struct row *row) {
    for (size_t i = 0; i < n_doors; i++)
        if (strcmp(doors[i].name, row->door) == 0)
            return &doors[i];
    fail_msg("%s: no door %s", row->name, row->door);
    return NULL;
}

/* What the store has for the subject of this name takes its place in the set. */
static void find_policy(const struct row *row, struct policy_set *set, size_t place,
                        const char *before, const char *name) {
    char subject[300];
    snprintf(subject, sizeof subject, "%s%s", before, name);
    for (const struct stored *stored = row->store; stored->policy != NULL; stored++) {
        if (strcmp(stored->subject, subject) != 0)
            continue;
        set->subjects[place] = stored->subject;
        set->policies[place] = stored->policy;
    }
}

static void find_policies(const struct row *row, const struct address *account,
                          struct policy_set *set) {
    const char *parents[PARENTS_MAX];
    find_policy(row, set, SUBJECT_ACCOUNT, "account:", account->text);
    find_policy(row, set, SUBJECT_SELF, SELF_SUBJECT, account->text);
    find_policy(row, set, SUBJECT_DEFAULT, "account:", "*");
    if (account->domain == NULL)
        return;
    find_policy(row, set, SUBJECT_DOMAIN, "account:@", account->domain);
    for (size_t i = 0, n = parents_of(account->domain, parents); i < n; i++)
        find_policy(row, set, SUBJECT_PARENT + i, "account:@", parents[i]);
}

static void run_case(struct row *row, decided_case *check) {
    const struct address_rules rules = {.default_domain = row->default_domain,
                                        .delimiters = row->delimiters,
                                        .domain_to_ascii = idna_domain_to_ascii,
                                        .lower_case = idna_lower_case};
    const struct table_door *door = door_of(row);
    struct decision d;
    struct address account, sender;
    struct policy_set set = {0};
    char own[220];
    bool logged_in = row->login[0] != '\0';
    int rc = logged_in ? address_from_login(row->login, &rules, &account)
                       : address_from_sender(row->sender, &rules, &account);
    assert_int_equal(rc, 0);
    bool null_sender = !logged_in && account.text[0] == '\0';
    if (null_sender) {
        address_clear(&account);
        assert_int_equal(address_from_helo(row->helo, &rules, &account), 0);
    }
    struct decision_facts facts = {
        .allowed = {.membership = member(door->connect_from, row->client) ? MEMBER_YES : MEMBER_NO},
        .trusted = {.membership = member("relays", row->client) ? MEMBER_YES : MEMBER_NO},
        .tls = row->tls,
        .app_password = row->app_password,
        .logged_in = logged_in,
        .null_sender = null_sender,
        .has_account = account.text[0] != '\0',
        .misnamed = account.misnamed,
        .now = 1800000000};
    ip_parse(row->client, strlen(row->client), &facts.client);
    if (logged_in) {
        assert_int_equal(address_from_sender(row->sender, &rules, &sender), 0);
        facts.senders = &sender;
        facts.n_senders = 1;
    }
    find_policies(row, &account, &set);
    set.now = facts.now;
    snprintf(own, sizeof own, "account:%s", account.text == NULL ? "" : account.text);
    set.subjects[SUBJECT_ACCOUNT] = own; /* also where it has no policy */
    decide(row, &set, &facts, door, &d);
    check(row, &d, account.text);
    address_clear(&account);
    if (logged_in)
        address_clear(&sender);
    for (struct stored *stored = row->store; stored->policy != NULL; stored++)
        policy_free(stored->policy);
}

const char *table_order(void) {
    return order;
}

void table_decide(decided_case *check) {
    char line[500];
    struct row row = {0};
    size_t cases = 0;
    FILE *file = fopen(TESTS_DIR "/decision.table", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        const char *key = next_word(&rest);
        if (key[0] == '\0' || key[0] == '#')
            continue;
        if (strcmp(key, "order") == 0)
            snprintf(order, sizeof order, "%s", rest);
        else if (strcmp(key, "network") == 0)
            read_network(rest);
        else if (strcmp(key, "door") == 0)
            read_door(rest);
        else if (strcmp(key, "case") == 0)
            begin_case(&row, rest);
        else if (read_line(&row, key, rest)) {
            run_case(&row, check);
            cases++;
        }
    }
    fclose(file);
    print_message("%zu cases\n", cases);
    assert_true(cases > 100);
}
