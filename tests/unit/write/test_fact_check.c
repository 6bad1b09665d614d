/*
 * fact_check and suggest: what may be written, and what is proposed instead.
 */
#include "tests/unit/unit.h"

#include "gatepost/write/fact_check.h"
#include "gatepost/write/suggest.h"

static const char *const both_services[] = {"imap", "submission", "submissions"};
static const struct protocol protocols[] = {{"imap4-smtp", both_services, 3}};
static const struct decision_rules plain_rules = {.mode = MODE_ENFORCE};
static const struct decision_rules bound_rules = {.protocols = protocols, .n_protocols = 1};
static const struct address_rules addresses = {.default_domain = "example.com", .delimiters = "+"};
static const struct fact_rules plain = {&plain_rules, &addresses};
static const struct fact_rules bound = {&bound_rules, &addresses};

static void test_facts(void **state) {
    static const struct {
        const struct fact_rules *rules;
        const char *subject, *field, *value;
        enum fact_kind kind;
        const char *part; /* of the reason */
    } rows[] = {
        {&plain, "account:a@b", "protocol:pop3", "off", FACT_GOOD, ""},
        {&plain, "account:a@b", "protocol:*", "No", FACT_GOOD, ""},
        {&plain, "account:a@b", "protocol:pop", "off", FACT_UNKNOWN_PROTOCOL, "did you mean pop3?"},
        {&plain, "account:a@b", "protocol:pop3", "of", FACT_MALFORMED, "did you mean off?"},
        {&plain, "account:a@b", "protocol:pop3", "", FACT_MALFORMED, "the value is empty"},
        {&plain, "account:a@b", "Protocol:pop3", "off", FACT_SPELLING, "lower case"},
        {&plain, "account:a@b", "protocl:pop3", "off", FACT_UNKNOWN_FIELD,
         "did you mean protocol:pop3?"},
        {&bound, "account:a@b", "protocol:imap4-smtp", "off", FACT_GOOD, ""},
        {&bound, "account:a@b", "protocol:pop3", "off", FACT_GOOD, ""},
        {&bound, "account:a@b", "protocol:submission", "off", FACT_UNKNOWN_PROTOCOL,
         "that service is switched by imap4-smtp"},
        {&plain, "account:a@b", "source", "authorised", FACT_MALFORMED, "did you mean authorized?"},
        {&plain, "account:a@b", "tls", "require", FACT_MALFORMED, "did you mean required?"},
        {&plain, "account:a@b", "mode", "monitr", FACT_MALFORMED, "did you mean monitor?"},
        {&plain, "account:a@b", "spf:softfail", "refuse", FACT_MALFORMED, "accept, mark, defer or"},
        {&plain, "account:a@b", "spf:sofftail", "mark", FACT_UNKNOWN_FIELD,
         "did you mean spf:softfail?"},
        {&plain, "account:a@b", "ip:192.0.2.0/24", "HQ", FACT_GOOD, ""},
        {&plain, "account:a@b", "ip:192.0.2.1/24", "HQ", FACT_HOST_BITS, "write ip:192.0.2.0/24"},
        {&plain, "account:a@b", "ip:192.0.2.0/33", "", FACT_MALFORMED, "from 0 to 32"},
        {&plain, "account:a@b", "ip:192.0.2.*", "", FACT_MALFORMED,
         "did you mean ip:192.0.2.0/24?"},
        {&plain, "account:a@b", "192.0.2.1", "", FACT_UNKNOWN_FIELD, "did you mean ip:192.0.2.1?"},
        {&plain, "account:a@b", "ip:192.0.2.1", "until=2027-01-31 x", FACT_MALFORMED,
         "did you mean until=2027-01-31T00:00:00Z?"},
        {&plain, "account:a@b", "ip:192.0.2.1", "a\nb", FACT_SPELLING, "control character"},
        {&plain, "account:a@b", "ip:192.0.2.1", "a\xff", FACT_SPELLING, "no UTF-8"},
        {&plain, "account:a@b", "nonsense", "x", FACT_UNKNOWN_FIELD,
         "the fields are protocol:NAME, "},
        {&plain, "account:a@b", "spf", "mark", FACT_UNKNOWN_FIELD,
         "spf:RESULT? (results are none, "},
        {&plain, "account:a@b", "protocol:", "off", FACT_UNKNOWN_FIELD,
         "did you mean protocol:NAME?"},
        {&plain, "account:a@b", "tsl", "required", FACT_UNKNOWN_FIELD, "did you mean tls?"},
        {&plain, "account:a@b", "IP:2001:DB8::1", "", FACT_SPELLING, "lower case"},
        {&plain, "account:a@b", "ip:spf:_spf.p.example", "until=2027-01-31T00:00:00Z", FACT_GOOD,
         ""},
        {&plain, "account:a@b", "ip:spf:P.example", "", FACT_SPELLING, "lower case"},
        {&plain, "account:a@b", "ip:spf:p", "", FACT_MALFORMED, "two labels"},
        {&plain, "account:a@b", "ip:spf:", "", FACT_MALFORMED, "missing"},
        {&plain, "account:a@b", "ip:spf:p..example", "", FACT_MALFORMED, "no domain name"},
        {&plain, "account:a@b", "ip:spf:p.example.", "", FACT_MALFORMED,
         "did you mean ip:spf:p.example?"},
        {&plain, "account:a@b", "ip:spf:p.example", "until=2027-01-31", FACT_MALFORMED,
         "did you mean until=2027-01-31T00:00:00Z?"},
        {&plain, "account:a@b", "as:c@d.example", "a note", FACT_GOOD, ""},
        {&plain, "account:a@b", "as:@d.example", "", FACT_GOOD, ""},
        {&plain, "account:a@b", "as:@.d.example", "", FACT_GOOD, ""},
        {&plain, "account:a@b", "as:C@D.example", "", FACT_SPELLING, "write as:c@d.example"},
        {&plain, "account:a@b", "as:@.D.example", "", FACT_SPELLING, "write as:@.d.example"},
        {&plain, "account:a@b", "as:c+x@d.example", "", FACT_NO_EFFECT, "write as:c@d.example"},
        {&plain, "account:a@b", "as:c", "", FACT_NO_EFFECT, "write as:c@example.com"},
        {&plain, "account:a@b", "as:@d..example", "", FACT_NO_EFFECT, "empty label"},
        {&plain, "account:a@b", "as:", "", FACT_MALFORMED, "the address is missing"},
        {&plain, "account:a@b", "as:@.", "", FACT_MALFORMED, "the domain is missing"},
        {&plain, "account:a@b", "sender", "owned", FACT_MALFORMED, "did you mean own?"},
        {&plain, "account:a@b", "ip:2001:DB8::1", "", FACT_GOOD, ""},
        {&plain, "account:a@b", "protocol:pop 3", "off", FACT_UNKNOWN_PROTOCOL, "white space"},
        {&plain, "account:a@b", "protocol:pop3", "off\t", FACT_MALFORMED, "control character"},
        {&plain, "account:a@b", "nonsense", "a\nb", FACT_UNKNOWN_FIELD, "control character"},
        {&plain, "account:a@b", "spf:fail\xff", "mark", FACT_UNKNOWN_FIELD, "no UTF-8"},
        {&plain, "network:relays", "10.0.0.0/8", "inside", FACT_GOOD, ""},
        {&plain, "network:relays", "10.0.0.1/8", "", FACT_HOST_BITS, "write 10.0.0.0/8"},
        {&plain, "network:relays", "10/8", "", FACT_MALFORMED, "did you mean 10.0.0.0/8?"},
        {&plain, "network:relays", "10.0.0.0/8", "until=2027-01-31T00:00:00Z", FACT_MALFORMED,
         "not supported in a network"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why = {""};
        enum fact_kind kind =
            fact_check(rows[i].rules, rows[i].subject, rows[i].field, strlen(rows[i].field),
                       rows[i].value, strlen(rows[i].value), &why);
        if (kind != rows[i].kind || strstr(why.text, rows[i].part) == NULL)
            fail_msg("%s %s gives %d: %s", rows[i].field, rows[i].value, (int)kind, why.text);
    }
}

static void test_subjects(void **state) {
    static const struct {
        const char *subject;
        enum fact_kind kind;
        const char *part;
    } rows[] = {
        {"account:alice@example.com", FACT_GOOD, ""},
        {"account:@example.com", FACT_GOOD, ""},
        {"account:*", FACT_GOOD, ""},
        {"account:j\xc3\xb6rg@example.com", FACT_GOOD, ""},
        {"network:relays", FACT_GOOD, ""},
        {"account:Alice@example.com", FACT_BAD_SUBJECT, "write account:alice@example.com"},
        {"account:alice+x@example.com", FACT_BAD_SUBJECT, "write account:alice@example.com"},
        {"account:alice", FACT_BAD_SUBJECT, "write account:alice@example.com"},
        {"account:alice@", FACT_BAD_SUBJECT, "the domain after '@' is missing"},
        {"account:alice@example..com", FACT_BAD_SUBJECT, "empty label"},
        {"account:alice@exam_ple.com", FACT_GOOD, ""},
        {"account:alice@exam/ple.com", FACT_BAD_SUBJECT, "letters, digits"},
        {"account:a@b@example.com", FACT_BAD_SUBJECT, "more than one '@'"},
        {"account:*@example.com", FACT_BAD_SUBJECT, "write account:@example.com"},
        {"account:prvs=0123abcdef=alice@example.com", FACT_SPELLING, "the tag"},
        {"account:prvs=alice@example.com", FACT_GOOD, ""},
        {"account:@.example.com", FACT_GOOD, ""},
        {"account:@.e.d.c.example.com", FACT_GOOD, ""},
        {"account:@.com", FACT_BAD_SUBJECT, "2 to 5 labels"},
        {"account:@.f.e.d.c.example.com", FACT_BAD_SUBJECT, "2 to 5 labels"},
        {"account:@.", FACT_BAD_SUBJECT, ""},
        {"account:@..example.com", FACT_BAD_SUBJECT, "empty label"},
        {"account:@.[192.0.2.1]", FACT_BAD_SUBJECT, "address literal"},
        {"account:@.Example.com", FACT_BAD_SUBJECT, "write account:@.example.com"},
        {"account:alice@.example.com", FACT_BAD_SUBJECT, "empty label"},
        {"account:*.example.com", FACT_BAD_SUBJECT, "write account:@.example.com"},
        {"account:.example.com", FACT_BAD_SUBJECT, "write account:@.example.com"},
        {"account:@*.example.com", FACT_BAD_SUBJECT, "write account:@.example.com"},
        {"account:*@.example.com", FACT_BAD_SUBJECT, "write account:@.example.com"},
        {"account:*@*.example.com", FACT_BAD_SUBJECT, "write account:@.example.com"},
        {"account:account:alice@example.com", FACT_BAD_SUBJECT, "write account:alice@example.com"},
        {"account:al ice@example.com", FACT_SPELLING, "white space"},
        {"account:al\x1b[1mice@example.com", FACT_SPELLING, "control character"},
        {"account:al\xffice@example.com", FACT_SPELLING, "invalid UTF-8"},
        {"account:", FACT_BAD_SUBJECT, "address is missing"},
        {"network:", FACT_BAD_SUBJECT, "name is missing"},
        {"network:r\xc3\xa9seau", FACT_BAD_SUBJECT, "US-ASCII"},
        {"acount:alice@example.com", FACT_BAD_SUBJECT, "the subject must be"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct why why = {""};
        enum fact_kind kind = fact_check_subject(&plain, rows[i].subject, &why);
        if (kind != rows[i].kind || strstr(why.text, rows[i].part) == NULL)
            fail_msg("%s gives %d: %s", rows[i].subject, (int)kind, why.text);
    }
}

static void test_blocks_proposed(void **state) {
    static const struct {
        const char *text, *proposed; /* NULL: nothing */
    } rows[] = {
        {"192.0.2.*", "192.0.2.0/24"},
        {"192.0.*.*", "192.0.0.0/16"},
        {"192.0.2", "192.0.2.0/24"},
        {"192.0.2.", "192.0.2.0/24"},
        {"192.0.2.0/255.255.255.0", "192.0.2.0/24"},
        {"192.0.2.0/024", "192.0.2.0/24"},
        {"192.0.2.1/24", "192.0.2.0/24"},
        {"192.168/16", "192.168.0.0/16"},
        {"192.000.002.001", "192.0.2.1"},
        {"192.0.2.1:25", "192.0.2.1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {" 192.0.2.1 ", "192.0.2.1"},
        {"\"192.0.2.0/24\"", "192.0.2.0/24"},
        {"192.0.2.0/33", NULL},
        {"192.0.2.0/255.0.255.0", NULL},
        {"300.0.2.1", NULL},
        {"192", NULL},
        {"*", NULL},
        {"example.com", NULL},
        {"2001:db8::/129", NULL},
        {"", NULL},
        {"/", NULL},
        {"1.2.3.4.5", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[100] = "";
        int rc = suggest_netblock(rows[i].text, strlen(rows[i].text), out, sizeof out);
        if ((rc == 0) != (rows[i].proposed != NULL) ||
            (rc == 0 && strcmp(out, rows[i].proposed) != 0))
            fail_msg("%s gives \"%s\"", rows[i].text, out);
    }
}

static void test_times_proposed(void **state) {
    static const struct {
        const char *text, *proposed;
    } rows[] = {
        {"2027-01-31", "2027-01-31T00:00:00Z"},
        {"2027-1-5", "2027-01-05T00:00:00Z"},
        {"2027/01/31", "2027-01-31T00:00:00Z"},
        {"2027-01-31T12:30Z", "2027-01-31T12:30:00Z"},
        {"2027-01-31 12:30:15", "2027-01-31T12:30:15Z"},
        {"2027-01-31T12:30:15.250Z", "2027-01-31T12:30:15Z"},
        {"2027-01-31T12:30:00+02:00", "2027-01-31T10:30:00Z"},
        {"2027-01-31T23:30:00-0130", "2027-02-01T01:00:00Z"},
        {"2027-02-30", "2027-02-28T00:00:00Z"},
        {"2028-02-31T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"tomorrow", NULL},
        {"31.01.2027", NULL},
        {"2027-13-01", NULL},
        {"2027-01-31T25:00:00Z", NULL},
        {"2027-01-31T00:00:00+99:00", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[100] = "";
        int rc = suggest_time(rows[i].text, strlen(rows[i].text), out, sizeof out);
        if ((rc == 0) != (rows[i].proposed != NULL) ||
            (rc == 0 && strcmp(out, rows[i].proposed) != 0))
            fail_msg("%s gives \"%s\"", rows[i].text, out);
    }
}

static void test_words_proposed(void **state) {
    static const char *const words[] = {"accept", "mark", "defer", "reject", "imap4-smtp", "jmap"};
    static const struct {
        const char *text, *proposed;
    } rows[] = {
        {"rejct", "reject"},     {"REJECTED", "reject"}, {"acept", "accept"}, {"defre", "defer"},
        {"rej", "reject"},       {"tempfail", NULL},     {"", NULL},          {"x", NULL},
        {"imap4", "imap4-smtp"}, {"jmpa", "jmap"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = suggest_word(words, COUNT(words), rows[i].text, strlen(rows[i].text));
        if ((got == NULL) != (rows[i].proposed == NULL) ||
            (got != NULL && strcmp(got, rows[i].proposed) != 0))
            fail_msg("%s gives %s", rows[i].text, got ? got : "nothing");
    }
}

/* Any octets at all: nothing is read or written beyond its bounds. */
static void test_any_octets(void **state) {
    (void)state;
    srand(4408);
    for (int i = 0; i < 20000; i++) {
        char text[64], out[100];
        struct why why;
        static const char likely[] = "0123456789abcdef.:/*-T Z[]";
        size_t len = (size_t)rand() % (sizeof text - 1);
        for (size_t j = 0; j < len; j++)
            text[j] = i % 2 == 0 ? (char)rand() : likely[(size_t)rand() % (sizeof likely - 1)];
        text[len] = '\0';
        suggest_netblock(text, len, out, sizeof out);
        suggest_time(text, len, out, sizeof out);
        fact_check(&plain, "account:a@b", text, len, text, len, &why);
        fact_check(&bound, "network:n", text, len, "", 0, &why);
        fact_check_subject(&plain, text, &why);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),           cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_blocks_proposed), cmocka_unit_test(test_times_proposed),
        cmocka_unit_test(test_words_proposed),  cmocka_unit_test(test_any_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
