/*
 * self: what a user's wishes become, row by row, on a policy file - what is written, what is
 * refused and in which words, what has to wait.
 */
#include "tests/unit/unit.h"

#include <time.h>
#include <unistd.h>

#include "gatepost/write/self.h"

#define NOW 1800000000 /* 2027-01-15T08:00:00Z */
#define DAY 86400
#define TOMORROW "2027-01-16T08:00:00Z"
#define ALICE "alice@example.com"

static char folder[] = "/tmp/gatepost-test-self-XXXXXX";
static char policy[sizeof folder + 20], history[sizeof folder + 20], conf[sizeof folder + 20];
static struct config *config;

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_folder(void **state) {
    struct why why;
    char text[400];
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(policy, sizeof policy, "%s/policy", folder);
    snprintf(history, sizeof history, "%s/policy.history", folder);
    snprintf(conf, sizeof conf, "%s/gatepost.conf", folder);
    snprintf(text, sizeof text,
             "store = \"file:%s\"\nsettings {}\n"
             "protocol \"mail\" { services = { \"imap\", \"submission\", \"submissions\" } }\n"
             "listener \"imap\" { door = dovecot service = imap }\n"
             "listener \"subs\" { daemon_port = 587 service = submission }\n",
             policy);
    write_text(conf, text);
    if (config_load(conf, &config, &why) == 0)
        return 0;
    print_error("%s\n", why.text);
    return -1;
}

static int remove_folder(void **state) {
    (void)state;
    config_free(config);
    unlink(policy);
    unlink(history);
    unlink(conf);
    return rmdir(folder);
}

static struct self_store *open_store(void) {
    const struct store_settings settings = {.url = config->store,
                                            .user = "",
                                            .password_file = "",
                                            .key_prefix = config->key_prefix,
                                            .timeout = 1000};
    struct self_store *store;
    struct why why;
    if (self_store_open(config, &settings, &store, &why) != 0)
        fail_msg("%s", why.text);
    return store;
}

/* "protocols.pop3=off source=authorized ips.192.0.2.1=note", a word each; null: "-". */
struct wishes {
    char text[300];
    struct self_wish_protocol protocols[8];
    struct self_wish_ip ips[40];
    struct self_change change;
};

static enum self_wish wish_of(const char *word) {
    return strcmp(word, "-") == 0                                        ? SELF_UNSET
           : strcmp(word, "on") == 0 || strcmp(word, "any") == 0         ? SELF_OPEN
           : strcmp(word, "off") == 0 || strcmp(word, "authorized") == 0 ? SELF_RESTRICT
           : strcmp(word, "application") == 0                            ? SELF_RESTRICT
                                                                         : SELF_LEAVE;
}

static void read_wishes(struct wishes *w, const char *text) {
    snprintf(w->text, sizeof w->text, "%s", text);
    w->change = (struct self_change){.account = ALICE,
                                     .client = "192.0.2.7",
                                     .now = NOW,
                                     .protocols = w->protocols,
                                     .ips = w->ips};
    for (char *word = strtok(w->text, " "); word != NULL; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        if (strncmp(word, "protocols.", 10) == 0)
            w->protocols[w->change.n_protocols++] =
                (struct self_wish_protocol){word + 10, wish_of(value)};
        else if (strncmp(word, "ips.", 4) == 0)
            w->ips[w->change.n_ips++] =
                (struct self_wish_ip){word + 4, strcmp(value, "-") == 0 ? NULL : value};
        else if (strcmp(word, "source") == 0)
            w->change.source = wish_of(value);
        else if (strcmp(word, "password") == 0)
            w->change.password = wish_of(value);
        else if (strcmp(word, "wait") == 0)
            w->change.loosen_after = atoi(value);
        else if (strcmp(word, "apps") == 0)
            w->change.app_passwords = atoi(value);
        else if (strcmp(word, "confirm") == 0)
            w->change.confirm = true;
        else
            fail_msg("%s", word);
    }
}

/* The lines of the file that are the user's own, sorted as they stand there. */
static void own_lines(char *out, size_t size) {
    char line[300];
    FILE *file = fopen(policy, "r");
    assert_non_null(file);
    out[0] = '\0';
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "self:" ALICE " ", 5 + sizeof ALICE) == 0)
            snprintf(out + strlen(out), size - strlen(out), "%s", line + 5 + sizeof ALICE);
    fclose(file);
}

#define HOST "account:@example.com "
#define OWN "self:" ALICE " "

static const struct {
    const char *there;  /* lines of the policy */
    const char *wishes; /* see read_wishes() */
    enum self_result result;
    const char *told;  /* "FIELD: WHY" in part; "" for none; of SELF_PENDING the time */
    const char *lines; /* the user's own afterwards */
} rows[] = {
    /* closing acts at once, and once is enough */
    {"", "protocols.pop3=off", SELF_DONE, "", "protocol:pop3 off\n"},
    {"", "protocols.POP3=off", SELF_DONE, "", "protocol:pop3 off\n"},
    {"", "protocols.pop3=off wait=86400", SELF_DONE, "", "protocol:pop3 off\n"},
    {OWN "protocol:pop3 off\n", "protocols.pop3=off", SELF_DONE, "", "protocol:pop3 off\n"},
    {HOST "protocol:pop3 off\n", "protocols.pop3=off", SELF_DONE, "", "protocol:pop3 off\n"},
    /* opening: at once, or after a while, and closing cancels it */
    {OWN "protocol:pop3 off\n", "protocols.pop3=on", SELF_DONE, "", ""},
    {OWN "protocol:pop3 off\n", "protocols.pop3=-", SELF_DONE, "", ""},
    {"", "protocols.pop3=on", SELF_DONE, "", ""},
    {"", "protocols.pop3=-", SELF_DONE, "", ""},
    /* of a protocol that the host had when he set it */
    {OWN "protocol:bygone off\n", "protocols.Bygone=-", SELF_DONE, "", ""},
    {OWN "protocol:bygone off\n", "protocols.bygone=on", SELF_REFUSED, "there is no protocol",
     "protocol:bygone off\n"},
    {"", "protocols.bygone=-", SELF_REFUSED, "there is no protocol", ""},
    {OWN "protocol:pop3 off\n", "protocols.pop3=on wait=86400", SELF_PENDING, TOMORROW,
     "protocol:pop3 off until=" TOMORROW "\n"},
    {OWN "protocol:pop3 off until=" TOMORROW "\n", "protocols.pop3=off wait=86400", SELF_DONE, "",
     "protocol:pop3 off\n"},
    /* asked for again it does not begin anew, and comes sooner where the host waits less now */
    {OWN "protocol:pop3 off until=2027-01-15T09:00:00Z\n", "protocols.pop3=on wait=86400",
     SELF_PENDING, "2027-01-15T09:00:00Z", "protocol:pop3 off until=2027-01-15T09:00:00Z\n"},
    {OWN "protocol:pop3 off until=2027-03-01T00:00:00Z\n", "protocols.pop3=on wait=86400",
     SELF_PENDING, TOMORROW, "protocol:pop3 off until=" TOMORROW "\n"},
    {OWN "protocol:pop3 off until=" TOMORROW "\n", "protocols.pop3=on", SELF_DONE, "", ""},
    /* what the host has closed, he cannot open */
    {HOST "protocol:pop3 off\n", "protocols.pop3=on", SELF_REFUSED, "protocols.pop3: your host",
     ""},
    {HOST "protocol:pop3 off\n" OWN "protocol:pop3 off\n", "protocols.pop3=on", SELF_REFUSED,
     "protocols.pop3: your host", "protocol:pop3 off\n"},
    {HOST "protocol:pop3 off\n" OWN "protocol:pop3 off\n", "protocols.pop3=-", SELF_DONE, "", ""},
    {HOST "protocol:pop3 maybe\n", "protocols.pop3=on", SELF_REFUSED, "cannot be read", ""},
    {HOST "source authorized\n", "source=any", SELF_REFUSED, "source: your host", ""},
    {HOST "password application\n", "password=any", SELF_REFUSED, "password: your host", ""},
    /* names */
    {"", "protocols.pop4=off", SELF_REFUSED, "protocols.pop4: there is no protocol", ""},
    {"", "protocols.imap=off", SELF_REFUSED, "has no effect", ""},
    {"", "protocols.*=off", SELF_REFUSED, "protocols.*: there is no protocol", ""},
    {"", "protocols.pop3=off protocols.POP3=on", SELF_REFUSED, "twice", ""},
    {"", "protocols.pop3=off protocols.pop4=off", SELF_REFUSED, "protocols.pop4", ""},
    {OWN "protocol:* off\n", "protocols.pop3=on", SELF_REFUSED, "all protocols",
     "protocol:* off\n"},
    /* what would lock him out */
    {"", "protocols.mail=off", SELF_LOCKS_OUT, ": this closes the last way to send mail", ""},
    {"", "protocols.mail=off confirm=1", SELF_DONE, "", "protocol:mail off\n"},
    {OWN "protocol:mail off\n", "protocols.mail=off", SELF_DONE, "", "protocol:mail off\n"},
    {"", "source=authorized", SELF_LOCKS_OUT, ": no address is listed", ""},
    {"", "source=authorized confirm=1", SELF_DONE, "", "source authorized\n"},
    {"", "source=authorized ips.192.0.2.1=home", SELF_DONE, "",
     "source authorized\nip:192.0.2.1 home\n"},
    {HOST "ip:192.0.2.0/24 office\n", "source=authorized", SELF_DONE, "", "source authorized\n"},
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n", "ips.192.0.2.1=-", SELF_LOCKS_OUT,
     ": no address", "source authorized\nip:192.0.2.1 home\n"},
    {"", "password=application apps=0", SELF_LOCKS_OUT,
     ": you have no app password that is good now", ""},
    {"", "password=application apps=-1", SELF_LOCKS_OUT, ": it is not known", ""},
    {"", "password=application apps=1", SELF_DONE, "", "password application\n"},
    {"", "password=application apps=0 confirm=1", SELF_DONE, "", "password application\n"},
    /* taking it back waits as well */
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n", "source=- wait=86400", SELF_PENDING,
     TOMORROW, "source authorized until=" TOMORROW "\nip:192.0.2.1 home\n"},
    {OWN "password application\n", "password=any wait=86400", SELF_PENDING, TOMORROW,
     "password application until=" TOMORROW "\n"},
    {OWN "password application\n", "password=-", SELF_DONE, "", ""},
    /* addresses: one more waits where he demands them already */
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n", "ips.192.0.2.2=trip wait=86400",
     SELF_PENDING, TOMORROW,
     "source authorized\nip:192.0.2.1 home\nip:192.0.2.2 from=" TOMORROW " trip\n"},
    {OWN "source authorized until=" TOMORROW "\n" OWN "ip:192.0.2.1 home\n",
     "ips.192.0.2.2=trip wait=172800", SELF_PENDING, "2027-01-17T08:00:00Z",
     "source authorized until=" TOMORROW
     "\nip:192.0.2.1 home\nip:192.0.2.2 from=2027-01-17T08:00:00Z trip\n"},
    {"", "ips.192.0.2.2=trip wait=86400", SELF_DONE, "", "ip:192.0.2.2 trip\n"},
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n" OWN "ip:192.0.2.2 from=" TOMORROW "\n",
     "ips.192.0.2.2=- wait=86400", SELF_DONE, "", "source authorized\nip:192.0.2.1 home\n"},
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n" OWN "ip:192.0.2.2 from=" TOMORROW "\n",
     "ips.192.0.2.2=again wait=172800", SELF_PENDING, TOMORROW,
     "source authorized\nip:192.0.2.1 home\nip:192.0.2.2 from=" TOMORROW " again\n"},
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n", "ips.192.0.2.1=house wait=86400",
     SELF_DONE, "", "source authorized\nip:192.0.2.1 house\n"},
    /* a removed one does not come back at once */
    {OWN "source authorized\n" OWN "ip:192.0.2.1 home\n" OWN "ip:192.0.2.3\n",
     "ips.192.0.2.1=home wait=86400 ips.192.0.2.3=-", SELF_DONE, "",
     "source authorized\nip:192.0.2.1 home\n"},
    {"", "ips.192.0.2.7/24=x", SELF_REFUSED, "ips.192.0.2.7/24: bits are set", ""},
    {"", "ips.192.0.2=x", SELF_REFUSED, "ips.192.0.2: ", ""},
    {"", "ips.192.0.2.1=x ips.192.0.2.1/32=y", SELF_REFUSED, "twice", ""},
    {"", "ips.192.0.2.1=until=tomorrow", SELF_REFUSED, "cannot begin with until=", ""},
    {"", "ips.192.0.2.1=from=tomorrow", SELF_REFUSED, "cannot begin with", ""},
    {"", "ips.192.0.2.1=-", SELF_DONE, "", ""},
    {HOST "ip:192.0.2.1 office\n", "ips.192.0.2.1=-", SELF_REFUSED, "your host has listed", ""},
    {HOST "source authorized\n", "ips.192.0.2.1=x", SELF_REFUSED, "only your host", ""},
    {HOST "source maybe\n", "ips.192.0.2.1=x", SELF_REFUSED, "only your host", ""},
    /* what has ended goes with the next change, and what cannot be read is mended by it */
    {OWN "protocol:pop3 off until=2027-01-01T00:00:00Z\n" OWN
         "source authorized until=2027-01-01T00:00:00Z\n",
     "protocols.sieve=off", SELF_DONE, "", "protocol:sieve off\n"},
    {OWN "protocol:pop3 maybe\n", "protocols.pop3=off", SELF_DONE, "", "protocol:pop3 off\n"},
    {OWN "protocol:pop3 maybe\n", "protocols.pop3=on wait=86400", SELF_PENDING, TOMORROW,
     "protocol:pop3 off until=" TOMORROW "\n"},
    {OWN "protocol:pop3 off from=" TOMORROW "\n", "protocols.pop3=on wait=86400", SELF_DONE, "",
     ""},
    {OWN "ip:192.0.2.0/24 until=tomorrow\n" OWN "ip:nowhere x\n",
     "ips.192.0.2.0/24=- ips.nowhere=-", SELF_DONE, "", ""},
    {OWN "ip:nowhere x\n", "ips.somewhere=-", SELF_REFUSED, "ips.somewhere: ", "ip:nowhere x\n"},
    {OWN "ip:192.0.2.1 until=tomorrow\n", "ips.192.0.2.1=home", SELF_DONE, "",
     "ip:192.0.2.1 home\n"},
    /* one of its own does not open what all together have closed */
    {OWN "protocol:* off\n" OWN "protocol:pop3 off\n", "protocols.pop3=on", SELF_REFUSED,
     "all protocols", "protocol:* off\nprotocol:pop3 off\n"},
    {OWN "protocol:* off\n" OWN "protocol:pop3 off\n", "protocols.pop3=-", SELF_DONE, "",
     "protocol:* off\n"},
};

static void check_row(size_t i) {
    struct wishes wishes = {.text = ""};
    struct self_outcome out;
    char lines[1000], told[2000], before[1000];
    write_text(policy, rows[i].there);
    own_lines(before, sizeof before);
    read_wishes(&wishes, rows[i].wishes);
    struct self_store *store = open_store();
    self_change(store, &wishes.change, &out);
    own_lines(lines, sizeof lines);
    snprintf(told, sizeof told, "%s: %s", out.field, out.why.text);
    if (out.result == SELF_PENDING) {
        char time[30];
        time_t pending = (time_t)out.pending;
        strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", gmtime(&pending));
        snprintf(told, sizeof told, "%s", time);
    }
    bool good = out.result == SELF_DONE || out.result == SELF_PENDING;
    if (out.result != rows[i].result || strcmp(lines, rows[i].lines) != 0 ||
        (out.result != SELF_DONE && strstr(told, rows[i].told) == NULL) ||
        (out.n_changes > 0) != (strcmp(lines, before) != 0) || (!good && out.n_changes > 0))
        fail_msg("row %zu (%s, %s): result %d, %s, %zu changes; lines:\n%s", i, rows[i].there,
                 rows[i].wishes, (int)out.result, told, out.n_changes, lines);
    if (good) { /* what it says of the state is what is read next */
        struct self_view view;
        struct why why;
        assert_int_equal(self_read(store, ALICE, NOW, &view, &why), 0);
        assert_int_equal(view.state, out.state);
        self_view_clear(&view);
    }
    self_outcome_clear(&out);
    self_store_free(store);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(i);
}

/* One of many writers' tags: what was read before somebody else has changed it is stale. */
static void test_stale(void **state) {
    struct wishes wishes = {.text = ""};
    struct self_outcome out;
    struct self_view view;
    struct why why;
    (void)state;
    write_text(policy, "");
    struct self_store *store = open_store();
    assert_int_equal(self_read(store, ALICE, NOW, &view, &why), 0);
    read_wishes(&wishes, "protocols.pop3=off");
    wishes.change.if_state = view.state;
    self_change(store, &wishes.change, &out);
    assert_int_equal(out.result, SELF_DONE);
    assert_int_not_equal(out.state, view.state);
    uint64_t after = out.state;
    self_outcome_clear(&out);
    read_wishes(&wishes, "protocols.sieve=off");
    wishes.change.if_state = view.state;
    self_change(store, &wishes.change, &out);
    assert_int_equal(out.result, SELF_STALE);
    assert_int_equal(out.state, after);
    self_outcome_clear(&out);
    /* the host's facts are part of it */
    write_text(policy, OWN "protocol:pop3 off\n" HOST "protocol:sieve off\n");
    wishes.change.if_state = after;
    self_change(store, &wishes.change, &out);
    assert_int_equal(out.result, SELF_STALE);
    self_outcome_clear(&out);
    self_view_clear(&view);
    self_store_free(store);
}

/* What comes to nothing keeps nobody else from changing it. */
static void test_nothing_is_held(void **state) {
    static const char *const nothing[] = {"protocols.pop4=off", "source=authorized",
                                          "protocols.pop3=on"};
    struct wishes wishes = {.text = ""};
    struct self_outcome out;
    (void)state;
    alarm(30); /* who holds the file's lock makes the other one wait */
    for (size_t i = 0; i < COUNT(nothing); i++) {
        write_text(policy, "");
        struct self_store *store = open_store(), *other = open_store();
        read_wishes(&wishes, nothing[i]);
        self_change(store, &wishes.change, &out);
        assert_int_equal(out.n_changes, 0);
        self_outcome_clear(&out);
        memset(&wishes, 0, sizeof wishes);
        read_wishes(&wishes, "protocols.sieve=off");
        self_change(other, &wishes.change, &out);
        assert_int_equal(out.result, SELF_DONE);
        assert_int_equal(out.n_changes, 1);
        self_outcome_clear(&out);
        memset(&wishes, 0, sizeof wishes);
        self_store_free(other);
        self_store_free(store);
    }
    alarm(0);
}

/* The most that there may be: not one more, but as many as there are may be changed. */
static void test_too_many(void **state) {
    struct wishes wishes = {.text = ""};
    struct self_outcome out;
    char text[SELF_IPS_MAX * 60 + 1] = "", blocks[SELF_IPS_MAX + 1][20];
    (void)state;
    for (size_t i = 0; i <= SELF_IPS_MAX; i++) {
        snprintf(blocks[i], sizeof blocks[i], "192.0.2.%zu", i);
        wishes.ips[i] = (struct self_wish_ip){blocks[i], "note"};
        if (i < SELF_IPS_MAX)
            snprintf(text + strlen(text), sizeof text - strlen(text), OWN "ip:192.0.2.%zu a\n", i);
    }
    write_text(policy, text);
    struct self_store *store = open_store();
    read_wishes(&wishes, "");
    wishes.change.n_ips = SELF_IPS_MAX + 1;
    self_change(store, &wishes.change, &out);
    assert_int_equal(out.result, SELF_REFUSED);
    assert_string_equal(out.field, "ips");
    self_outcome_clear(&out);
    wishes.change.n_ips = SELF_IPS_MAX;
    self_change(store, &wishes.change, &out);
    assert_int_equal(out.result, SELF_DONE);
    assert_int_equal(out.n_changes, SELF_IPS_MAX);
    self_outcome_clear(&out);
    wishes.change.n_ips = 1;
    wishes.ips[0].block = "198.51.100.1";
    self_change(store, &wishes.change, &out);
    assert_int_equal(out.result, SELF_REFUSED);
    assert_string_equal(out.field, "ips");
    self_outcome_clear(&out);
    self_store_free(store);
}

static const struct self_protocol *protocol(const struct self_view *view, const char *name) {
    for (size_t i = 0; i < view->n_protocols; i++)
        if (strcmp(view->protocols[i].name, name) == 0)
            return &view->protocols[i];
    fail_msg("no protocol %s", name);
    return NULL;
}

/* What he is shown: what holds, what of it is his, and what he may do. */
/* CPU time of the quickest of three readings of a host with that many addresses, and their notes.
 */
static clock_t time_of_view(int n) {
    struct self_view view;
    struct why why;
    clock_t quickest = -1;
    FILE *file = fopen(policy, "w");
    assert_non_null(file);
    for (int i = 0; i < n; i++)
        fprintf(file, HOST "ip:10.0.%d.%d n%d\n", i / 250, i % 250, i);
    fclose(file);
    struct self_store *store = open_store();
    for (int i = 0; i < 3; i++) {
        clock_t begun = clock();
        assert_int_equal(self_read(store, ALICE, NOW, &view, &why), 0);
        clock_t took = clock() - begun;
        if (quickest < 0 || took < quickest)
            quickest = took;
        assert_int_equal(view.n_ips, n);
        for (size_t k = 0; k < view.n_ips; k++) {
            const struct self_ip *ip = &view.ips[k];
            char note[20];
            snprintf(note, sizeof note, "n%d",
                     ip->block.base.bytes[2] * 250 + ip->block.base.bytes[3]);
            assert_int_equal(ip->note.len, strlen(note));
            assert_memory_equal(ip->note.text, note, strlen(note));
        }
        self_view_clear(&view);
    }
    self_store_free(store);
    return quickest;
}

static void test_many_addresses_take_no_longer_each(void **state) {
    (void)state;
    clock_t few = time_of_view(990), many = time_of_view(9900);
    assert_true(many < 30 * few);
}

static void test_view(void **state) {
    struct self_view view;
    struct why why;
    (void)state;
    write_text(policy, HOST "protocol:sieve off\n" HOST "ip:192.0.2.0/24 office\n" HOST
                            "protocol:caldav maybe\n" OWN "protocol:pop3 off until=" TOMORROW
                            "\n" OWN "source authorized\n" OWN "ip:192.0.2.7 from=" TOMORROW
                            " my note\n" OWN "protocol:jmap off\n" OWN "protocol:webdav maybe\n");
    struct self_store *store = open_store();
    assert_int_equal(self_read(store, ALICE, NOW, &view, &why), 0);
    const struct self_protocol *pop3 = protocol(&view, "pop3"), *mail = protocol(&view, "mail");
    assert_false(pop3->on);
    assert_true(pop3->set_off && pop3->may_off && !pop3->may_on);
    assert_int_equal(pop3->until, NOW + DAY);
    assert_string_equal(pop3->from.subject, "self:" ALICE);
    assert_string_equal(pop3->from.field, "protocol:pop3");
    assert_true(mail->on && !mail->set_off && mail->may_off && !mail->may_on);
    assert_int_equal(mail->n_services, 3);
    assert_null(mail->from.subject);
    const struct self_protocol *sieve = protocol(&view, "sieve"), *jmap = protocol(&view, "jmap");
    assert_true(!sieve->on && !sieve->set_off && !sieve->may_on);
    assert_string_equal(sieve->from.subject, "account:@example.com");
    assert_true(!jmap->on && jmap->set_off && jmap->may_on && !jmap->may_off);
    assert_true(protocol(&view, "caldav")->malformed && !protocol(&view, "caldav")->on);
    assert_false(protocol(&view, "caldav")->may_on); /* it is the host's that cannot be read */
    const struct self_protocol *webdav = protocol(&view, "webdav");
    assert_true(webdav->malformed && !webdav->set_off && webdav->may_off && webdav->may_on);
    assert_string_equal(view.source.value, "authorized");
    assert_true(view.source.set && view.source.may_unset && !view.source.may_restrict);
    assert_string_equal(view.password.value, "any");
    assert_true(!view.password.set && view.password.may_restrict);
    assert_int_equal(view.n_ips, 2);
    assert_true(!view.ips[0].own && view.ips[0].counts);
    assert_true(view.ips[1].own && !view.ips[1].counts);
    assert_int_equal(view.ips[1].from, NOW + DAY);
    assert_int_equal(view.ips[1].note.len, 7);
    assert_memory_equal(view.ips[1].note.text, "my note", 7);
    assert_true(view.may_add_ips);
    self_view_clear(&view);
    write_text(policy, OWN "protocol:* off\n");
    assert_int_equal(self_read(store, ALICE, NOW, &view, &why), 0);
    assert_true(protocol(&view, "pop3")->set_off && !protocol(&view, "pop3")->may_on);
    self_view_clear(&view);
    self_store_free(store);
}

static void test_accounts(void **state) {
    static const struct {
        const char *name, *account; /* NULL: none */
    } names[] = {
        {"alice@example.com", "alice@example.com"},
        {"Alice@EXAMPLE.com", "alice@example.com"},
        {"@example.com", NULL},
        {"*", NULL},
        {"", NULL},
        {"history", NULL},
        {"a@b@example.com", NULL},

        {"alice@-\x01.com", NULL},
        {"@.example.com", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        char *account;
        struct why why = {""};
        int rc = self_account(config, names[i].name, &account, &why);
        if (rc != (names[i].account != NULL))
            fail_msg("%s: %d %s", names[i].name, rc, why.text);
        if (rc == 1)
            assert_string_equal(account, names[i].account);
        else
            assert_string_not_equal(why.text, "");
        free(account);
    }
}

/* The history names the user, and from where he came. */
static void test_history(void **state) {
    struct wishes wishes = {.text = ""};
    struct self_outcome out;
    char text[2000] = "";
    (void)state;
    unlink(history);
    write_text(policy, "");
    struct self_store *store = open_store();
    read_wishes(&wishes, "protocols.pop3=off");
    self_change(store, &wishes.change, &out);
    self_outcome_clear(&out);
    self_store_free(store);
    FILE *file = fopen(history, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "\"actor\":\"self:" ALICE "\",\"client\":\"192.0.2.7\","
                                 "\"subject\":\"self:" ALICE "\",\"field\":\"protocol:pop3\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_nothing_is_held),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_many_addresses_take_no_longer_each),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
