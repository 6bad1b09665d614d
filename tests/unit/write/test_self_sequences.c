/*
 * self: whatever is asked for, in whatever order, by whoever has got in - no sequence of changes
 * lets anybody in whom the host alone would refuse, and none opens before loosen_after what was
 * closed when it began; also while the host changes its mind. The core's decision is the judge of
 * both.
 */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "gatepost/core/decision.h"
#include "gatepost/write/self.h"
#include "milter/write/self/self_facts.h"

#define BEGIN 1800000000 /* 2027-01-15T08:00:00Z */
#define WAIT 8           /* loosen_after, in seconds; so many seconds an attack lasts */
#define EPISODES 200
#define ALICE "alice@example.com"
#define TEXT_SIZE 1500

static char folder[] = "/tmp/gatepost-test-sequences-XXXXXX";
static char policy[sizeof folder + 20], history[sizeof folder + 20], conf[sizeof folder + 20];
static struct config *config;
static struct self_store *changes;
static struct store *facts;

/* By a new file: who reads it sees that it is another one, however quickly. */
static void write_text(const char *path, const char *text) {
    char fresh[sizeof folder + 30];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(fresh, path), 0);
}

static int open_all(void **state) {
    struct why why;
    char text[500];
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(policy, sizeof policy, "%s/policy", folder);
    snprintf(history, sizeof history, "%s/policy.history", folder);
    snprintf(conf, sizeof conf, "%s/gatepost.conf", folder);
    snprintf(
        text, sizeof text,
        "store = \"file:%s\"\nsettings {}\nsource_services = { \"smtp\", \"pop3\", \"imap\" }\n"
        "protocol \"mail\" { services = { \"imap\", \"submission\" } }\n"
        "protocol \"both\" { services = { \"imap\", \"pop3\" } }\n",
        policy);
    write_text(conf, text);
    write_text(policy, "");
    if (config_load(conf, &config, &why) != 0)
        return -1;
    const struct store_settings settings = {.url = config->store,
                                            .user = "",
                                            .password_file = "",
                                            .key_prefix = config->key_prefix,
                                            .timeout = 1000};
    return self_store_open(config, &settings, &changes, &why) == 0 &&
                   store_open(&settings, &facts, &why) == 0
               ? 0
               : -1;
}

static int close_all(void **state) {
    (void)state;
    self_store_free(changes);
    store_free(facts);
    config_free(config);
    unlink(policy);
    unlink(history);
    unlink(conf);
    return rmdir(folder);
}

/* ---- who may come in ---- */

static const char *const services[] = {"imap", "pop3", "submission", "caldav", "smtp"};
static const char *const clients[] = {"192.0.2.1", "192.0.2.99", "198.51.100.1", "2001:db8::1"};

/* Everybody who may try: services, clients, and with an app password or without; senders who are
 * not logged in, with each result of SPF. */
#define LOGINS (COUNT(services) * COUNT(clients) * 2)
#define TRIES (LOGINS + COUNT(clients) * SPF_RESULTS)

struct answers {
    bool open[TRIES];
};

static bool decide(const struct policy_set *set, size_t try) {
    size_t sender = try < LOGINS ? 0 : try - LOGINS;
    bool login = try < LOGINS;
    const struct decision_listener listener = {.service = login ? services[try / COUNT(clients) / 2]
                                                                : "smtp",
                                               .door = login ? DOOR_DOVECOT : DOOR_MTA};
    const char *client = clients[(login ? try / 2 : sender) % COUNT(clients)];
    struct decision_facts who = {.logged_in = login,
                                 .has_account = true,
                                 .app_password = login && try % 2 == 1,
                                 .now = set->now};
    enum spf_result spf = (enum spf_result)(sender / COUNT(clients));
    struct decision d;
    ip_parse(client, strlen(client), &who.client);
    enum decision_next next = login ? decision_login(&d, &config->rules, &listener, &who)
                                    : decision_mail(&d, &config->rules, &listener, &who);
    while (next != DECISION_MADE)
        next = next == DECISION_WANTS_POLICY ? decision_policy(&d, set) : decision_spf(&d, spf, 32);
    return verdict_applied(&d.verdict) < VERDICT_DEFER;
}

/* Of what is stored, at that time; and nobody is in whom the host alone would not let in. */
static void ask(struct self_facts *stored, int64_t now, struct answers *out) {
    stored->set.now = now;
    struct policy_set host = self_facts_host(&stored->set);
    for (size_t i = 0; i < TRIES; i++) {
        out->open[i] = decide(&stored->set, i);
        if (out->open[i] && !decide(&host, i))
            fail_msg("try %zu: let in against the host", i);
    }
}

static void read_facts(struct self_facts *out, int64_t now) {
    struct why why;
    assert_int_equal(self_facts_read(facts, ALICE, now, out, &why), 0);
}

/* ---- what is asked for ---- */

static const char *const blocks[] = {
    "192.0.2.0/24",     "192.0.2.1",     "192.0.2.0/25",  "0.0.0.0/0",
    "198.51.100.1",     "2001:db8::",    "2001:db8::/32", "nowhere",
    "::ffff:192.0.2.1", "::ffff:0:0/96", "::/0",          "::ffff:0.0.0.0/97"};
static const char *const protocols[] = {"mail", "both", "caldav", "smtp", "CalDAV", "sieve"};

static size_t any(size_t n) {
    return (size_t)rand() % n;
}

static void change_anything(int64_t now, bool confirm) {
    struct self_wish_protocol of_protocols[2];
    struct self_wish_ip ips[2];
    struct self_outcome out;
    struct self_change wish = {.account = ALICE,
                               .now = now,
                               .loosen_after = WAIT,
                               .confirm = confirm,
                               .app_passwords = (int)any(2),
                               .protocols = of_protocols,
                               .ips = ips};
    wish.source = any(3) == 0 ? (enum self_wish)any(SELF_UNSET + 1) : SELF_LEAVE;
    wish.password = any(4) == 0 ? (enum self_wish)any(SELF_UNSET + 1) : SELF_LEAVE;
    for (size_t n = any(3); wish.n_protocols < n; wish.n_protocols++)
        of_protocols[wish.n_protocols] = (struct self_wish_protocol){
            protocols[any(COUNT(protocols))], (enum self_wish)any(SELF_UNSET + 1)};
    for (size_t n = any(3); wish.n_ips < n; wish.n_ips++)
        ips[wish.n_ips] =
            (struct self_wish_ip){blocks[any(COUNT(blocks))], any(3) == 0 ? NULL : "note"};
    self_change(changes, &wish, &out);
    assert_int_not_equal(out.result, SELF_UNAVAILABLE);
    self_outcome_clear(&out);
}

/* ---- what host and user have before, in part written by hand ---- */

static const char *const of_host[] = {
    "account:" ALICE " protocol:mail off",
    "account:" ALICE " protocol:* off",
    "account:" ALICE " source any",
    "account:@example.com source authorized",
    "account:@example.com ip:192.0.2.0/24 office",
    "account:* source maybe",
    "account:* password application",
    "account:* protocol:caldav maybe",
    "account:@example.com spf:fail accept",
    "account:@example.com spf:pass reject",
    "account:@example.com mode monitor",
};
static const char *const of_user[] = {
    "self:" ALICE " protocol:* off",
    "self:" ALICE " protocol:CALDAV off until=2027-01-15T08:00:04Z",
    "self:" ALICE " protocol:both off from=2027-01-15T08:00:20Z",
    "self:" ALICE " protocol:mail on",
    "self:" ALICE " source authorized",
    "self:" ALICE " password application until=2027-01-15T08:00:30Z",
    "self:" ALICE " ip:192.0.2.1 until=2027-01-15T08:00:06Z",
    "self:" ALICE " ip:198.51.100.0/24 from=2027-01-15T08:00:15Z",
};

static void draw(const char *const *lines, size_t n, char out[static TEXT_SIZE]) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (any(5) == 0)
            len += (size_t)snprintf(out + len, TEXT_SIZE - len, "%s\n", lines[i]);
}

/* What the user has now stays; all that the host has is this. */
static void host_sets(const char *host) {
    char text[2 * TEXT_SIZE], line[500];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", host);
    FILE *file = fopen(policy, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "self:", 5) == 0)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s", line);
    fclose(file);
    assert_true(len < sizeof text);
    write_text(policy, text);
}

/* ---- the attack ---- */

/* Who is refused now, and would be for WAIT seconds if the user changed nothing. */
static size_t refused_so_long(int64_t now, bool closed[static TRIES]) {
    struct self_facts before;
    struct answers answers;
    size_t n = 0;
    read_facts(&before, now);
    memset(closed, true, TRIES);
    for (int64_t at = now; at < now + WAIT; at++) {
        ask(&before, at, &answers);
        for (size_t i = 0; i < TRIES; i++)
            closed[i] &= !answers.open[i];
    }
    self_facts_clear(&before);
    for (size_t i = 0; i < TRIES; i++)
        n += closed[i];
    return n;
}

/*
 * He is refused so long, whatever is asked for. The host has now this and now that policy: each
 * refuses whom it would have refused with what the user had set when the attack began.
 */
static size_t attack(int64_t now, const char *const hosts[2]) {
    struct self_facts stored;
    bool closed[2][TRIES];
    struct answers answers;
    size_t n = 0, host = 0;
    for (size_t i = 2; i-- > 0;) {
        host_sets(hosts[i]);
        n += refused_so_long(now, closed[i]);
    }
    for (int64_t at = now; at < now + WAIT; at++) {
        for (size_t i = any(4); i > 0; i--) {
            host_sets(hosts[host = any(2)]);
            change_anything(at, true);
        }
        read_facts(&stored, at);
        ask(&stored, at, &answers);
        self_facts_clear(&stored);
        for (size_t i = 0; i < TRIES; i++)
            if (closed[host][i] && answers.open[i])
                fail_msg("try %zu: open %d seconds after the attack began", i, (int)(at - now));
    }
    return n;
}

static void test_sequences(void **state) {
    size_t held = 0;
    (void)state;
    srand(8602);
    for (int i = 0; i < EPISODES; i++) {
        char host[2][TEXT_SIZE], own[TEXT_SIZE];
        int64_t now = BEGIN;
        draw(of_host, COUNT(of_host), host[0]);
        draw(of_host, COUNT(of_host), host[1]);
        draw(of_user, COUNT(of_user), own);
        write_text(policy, own);
        host_sets(host[0]);
        for (size_t n = any(6); n > 0; n--, now += (int64_t)any(6))
            change_anything(now, any(2) == 0);
        held += attack(now, (const char *const[]){host[0], host[1]});
    }
    assert_true(held > EPISODES); /* there was something to open */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sequences)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
