/*
 * self: whatever is asked for, in whatever order, by whoever has got in - no sequence of changes
 * lets anybody in whom the host alone would refuse, and none opens before loosen_after what was
 * closed when it began. The core's decision is the judge of both.
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

static char folder[] = "/tmp/gatepost-test-sequences-XXXXXX";
static char policy[sizeof folder + 20], history[sizeof folder + 20], conf[sizeof folder + 20];
static struct config *config;
static struct self_store *changes;
static struct store *facts;

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
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

/*
 * UNREADABLE: put off, because what the user has set cannot be read. He may mend it at once: an
 * address lists nobody then, a source is `authorized`, a password `application`. A protocol that
 * cannot be read is off, before and after.
 */
enum answer { CLOSED, UNREADABLE, OPEN };

static enum answer decide(const struct policy_set *set, size_t try) {
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
    if (d.verdict.reason == REASON_POLICY_MALFORMED && policy_is_own(set, &d.verdict.from) &&
        strncmp(d.verdict.from.field, "protocol:", 9) != 0)
        return UNREADABLE;
    return verdict_applied(&d.verdict) < VERDICT_DEFER ? OPEN : CLOSED;
}

/* Of what is stored, at that time; and nobody is in whom the host alone would not let in. */
static void ask(struct self_facts *stored, int64_t now, enum answer out[TRIES]) {
    stored->set.now = now;
    struct policy_set host = self_facts_host(&stored->set);
    for (size_t i = 0; i < TRIES; i++) {
        out[i] = decide(&stored->set, i);
        if (out[i] == OPEN && decide(&host, i) != OPEN)
            fail_msg("try %zu: let in against the host", i);
    }
}

static void read_facts(struct self_facts *out, int64_t now) {
    struct why why;
    assert_int_equal(self_facts_read(facts, ALICE, now, out, &why), 0);
}

/* ---- what is asked for ---- */

static const char *const blocks[] = {"192.0.2.0/24", "192.0.2.1",  "192.0.2.0/25",  "0.0.0.0/0",
                                     "198.51.100.1", "2001:db8::", "2001:db8::/32", "nowhere"};
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

/* What host and user have before, in part written by hand. */
static void begin(void) {
    static const char *const lines[] = {
        "account:" ALICE " protocol:mail off",
        "account:" ALICE " protocol:* off",
        "account:@example.com source authorized",
        "account:@example.com ip:192.0.2.0/24 office",
        "account:* source maybe",
        "account:* password application",
        "account:* protocol:caldav maybe",
        "account:@example.com spf:fail accept",
        "account:@example.com mode monitor",
        "self:" ALICE " protocol:* off",
        "self:" ALICE " protocol:CALDAV off until=2027-01-15T08:00:04Z",
        "self:" ALICE " protocol:caldav off",
        "self:" ALICE " protocol:Caldav off until=2027-01-15T08:00:10Z",
        "self:" ALICE " SOURCE authorized until=2027-01-15T08:00:03Z",
        "self:" ALICE " ip:192.0.2.1/32 from=2027-01-15T08:00:12Z",
        "self:" ALICE " protocol:both off from=2027-01-01T00:00:00Z",
        "self:" ALICE " protocol:mail on",
        "self:" ALICE " source authorized",
        "self:" ALICE " password application until=2027-01-15T08:00:30Z",
        "self:" ALICE " ip:192.0.2.1 until=2027-01-15T08:00:06Z",
        "self:" ALICE " ip:198.51.100.0/24 from=2027-01-15T08:00:15Z",
        "self:" ALICE " ip:nowhere",
    };
    char text[2000] = "";
    for (size_t i = 0; i < COUNT(lines); i++)
        if (any(3) == 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", lines[i]);
    write_text(policy, text);
}

/* ---- the host, meanwhile ---- */

/* Sets or removes one of the host's facts, as gatepostctl does: self facts stay as they are. */
static void change_host(void) {
    static const char *const facts_of_host[] = {
        "account:" ALICE " protocol:mail off",
        "account:" ALICE " protocol:* off",
        "account:@example.com source authorized",
        "account:@example.com source maybe",
        "account:* source any",
        "account:@example.com ip:192.0.2.0/24 office",
        "account:" ALICE " ip:198.51.100.1",
        "account:* password application",
        "account:" ALICE " mode monitor",
        "account:@example.com spf:fail accept",
    };
    const char *wanted = facts_of_host[any(COUNT(facts_of_host))];
    size_t subject = strcspn(wanted, " "), name = subject + 1 + strcspn(wanted + subject + 1, " ");
    char text[8000] = "", line[1000];
    bool there = false;
    FILE *file = fopen(policy, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, wanted, name) == 0 && (line[name] == ' ' || line[name] == '\n'))
            there = true;
        else
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s", line);
    }
    if (file != NULL)
        fclose(file);
    if (!there)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", wanted);
    char fresh[sizeof policy + 5];
    snprintf(fresh, sizeof fresh, "%s.new", policy);
    write_text(fresh, text);
    assert_int_equal(rename(fresh, policy), 0);
}

/* Is it refused by what was set then, since then and now, whatever the host has come to say? */
static bool was_closed(struct policy_set *set, const struct self_facts *before, int64_t at,
                       size_t try) {
    set->policies[SUBJECT_SELF] = before->set.policies[SUBJECT_SELF];
    set->subjects[SUBJECT_SELF] = before->set.subjects[SUBJECT_SELF];
    set->now = before->set.now;
    bool then = decide(set, try) == CLOSED;
    set->now = at;
    return then && decide(set, try) == CLOSED;
}

/* The same while the host changes its mind: what the user had set holds under each of its policies.
 */
static size_t attack_with_host(int64_t now) {
    struct self_facts before, stored;
    enum answer answers[TRIES];
    size_t n = 0;
    read_facts(&before, now);
    for (int64_t at = now; at < now + WAIT; at++) {
        for (size_t i = any(3); i > 0; i--)
            change_anything(at, true);
        for (size_t i = any(2); i > 0; i--)
            change_host();
        read_facts(&stored, at);
        ask(&stored, at, answers);
        struct policy_set set = stored.set;
        for (size_t i = 0; i < TRIES; i++) {
            bool closed = was_closed(&set, &before, at, i);
            if (closed && answers[i] == OPEN)
                fail_msg("try %zu: open %d seconds after the attack began", i, (int)(at - now));
            n += closed;
        }
        self_facts_clear(&stored);
    }
    self_facts_clear(&before);
    return n;
}

/* What is refused now, and would be for WAIT seconds if nobody did anything, is refused so long. */
static size_t attack(int64_t now) {
    struct self_facts before, stored;
    bool closed[TRIES];
    enum answer answers[TRIES];
    size_t n = 0;
    read_facts(&before, now);
    memset(closed, true, sizeof closed);
    for (int64_t at = now; at < now + WAIT; at++) {
        ask(&before, at, answers);
        for (size_t i = 0; i < TRIES; i++)
            closed[i] &= answers[i] == CLOSED;
    }
    self_facts_clear(&before);
    for (int64_t at = now; at < now + WAIT; at++) {
        for (size_t i = any(3); i > 0; i--)
            change_anything(at, true);
        read_facts(&stored, at);
        ask(&stored, at, answers);
        self_facts_clear(&stored);
        for (size_t i = 0; i < TRIES; i++) {
            if (closed[i] && answers[i] == OPEN)
                fail_msg("try %zu: open %d seconds after the attack began", i, (int)(at - now));
            n += closed[i];
        }
    }
    return n;
}

static void test_sequences(void **state) {
    size_t held = 0;
    (void)state;
    srand(8602);
    for (int i = 0; i < EPISODES; i++) {
        int64_t now = BEGIN;
        begin();
        for (size_t n = any(6); n > 0; n--, now += (int64_t)any(6))
            change_anything(now, any(2) == 0);
        held += attack(now);
    }
    assert_true(held > EPISODES); /* there was something to open */
}

static void test_sequences_with_host(void **state) {
    size_t held = 0;
    (void)state;
    srand(8603);
    for (int i = 0; i < EPISODES; i++) {
        int64_t now = BEGIN;
        begin();
        for (size_t n = any(6); n > 0; n--, now += (int64_t)any(6))
            change_anything(now, any(2) == 0);
        held += attack_with_host(now);
    }
    assert_true(held > EPISODES);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sequences),
                                       cmocka_unit_test(test_sequences_with_host)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
