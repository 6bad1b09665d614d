/*
 * question and packet: what is a name, what answers a question, and what an answer says.
 */
#include "tests/unit/unit.h"

#include "milter/dns/packet.h"

static int write(const char *name, struct dns_question *question) {
    return dns_question_write(name, DNS_TXT, question);
}

/* A name of labels of these lengths, and perhaps a dot at the end. */
static const char *name_of(const size_t *lengths, size_t n, bool dot) {
    static char name[400];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            name[len++] = '.';
        memset(name + len, 'a', lengths[i]);
        len += lengths[i];
    }
    if (dot)
        name[len++] = '.';
    name[len] = '\0';
    return name;
}

static void test_lengths(void **state) {
    struct dns_question question;
    (void)state;
    assert_int_equal(write(name_of((size_t[]){63, 3}, 2, false), &question), 0);
    assert_int_equal(write(name_of((size_t[]){64, 3}, 2, false), &question), -1);
    assert_int_equal(write(name_of((size_t[]){63, 63, 63, 61}, 4, false), &question), 0);
    assert_int_equal(question.end, 12 + 255 + 4);
    assert_int_equal(write(name_of((size_t[]){63, 63, 63, 61}, 4, true), &question), 0);
    assert_int_equal(write(name_of((size_t[]){63, 63, 63, 62}, 4, false), &question), -1);
    assert_int_equal(write("a..b", &question), -1);
    assert_int_equal(write(".a", &question), -1);
    assert_int_equal(write("a..", &question), -1);
    assert_int_equal(write(".", &question), -1);
}

/* Every octet but the dot and the NUL can stand in a label, and stays what it is. */
static void test_octets(void **state) {
    struct dns_question question;
    (void)state;
    for (int octet = 1; octet < 256; octet++) {
        const char name[] = {'x', (char)octet, 'y', '.', 'z', '\0'};
        if (octet == '.')
            continue;
        assert_int_equal(write(name, &question), 0);
        assert_memory_equal(question.wire + 12, "\3x", 2);
        assert_int_equal(question.wire[14], octet);
        assert_memory_equal(question.wire + 15, "y\1z\0\0\x10\0\1", 8);
        assert_int_equal(question.end, 23);
    }
}

/* A packet that answers a question: its head, records, and how it is read. */
static unsigned char packet[700];
static size_t len;

static void begin(const struct dns_question *question, unsigned flags, unsigned rcode) {
    memcpy(packet, question->wire, question->end);
    packet[0] = 0x12;
    packet[1] = 0x34;
    packet[2] = (unsigned char)(0x81 | flags);
    packet[3] = (unsigned char)(0x80 | rcode);
    len = question->end;
}

static void add(const char *owner, size_t owner_len, unsigned type, const void *data, size_t n) {
    const unsigned char fixed[] = {0, (unsigned char)type, 0, 1, 0, 0, 0, 60, 0, (unsigned char)n};
    memcpy(packet + len, owner, owner_len);
    memcpy(packet + len + owner_len, fixed, sizeof fixed);
    memcpy(packet + len + owner_len + sizeof fixed, data, n);
    len += owner_len + sizeof fixed + n;
    packet[7]++;
}

#define ASKED "\xc0\x0c", 2 /* the name asked for */

static struct dns_reading read_as(const struct dns_question *question, uint16_t id) {
    struct dns_reading reading;
    dns_packet_read(question, id, packet, len, &reading);
    assert_true((reading.answer != NULL) == (reading.kind == READING_ANSWER));
    return reading;
}

static enum dns_reading_kind kind_of(const struct dns_question *question) {
    struct dns_reading reading = read_as(question, 0x1234);
    dns_answer_release(reading.answer);
    return reading.kind;
}

static void test_kinds(void **state) {
    struct dns_question question, other;
    (void)state;
    assert_int_equal(write("Example.com", &question), 0);
    begin(&question, 0, 0);
    add(ASKED, 16, "\1x", 2);
    assert_int_equal(kind_of(&question), READING_ANSWER);
    packet[13] = 'e'; /* its letter case does not matter */
    packet[14] = 'X';
    assert_int_equal(kind_of(&question), READING_ANSWER);
    assert_int_equal(read_as(&question, 0x1233).kind, READING_FOREIGN);
    assert_int_equal(write("example.org", &other), 0);
    assert_int_equal(kind_of(&other), READING_FOREIGN);
    assert_int_equal(dns_question_write("example.com", DNS_A, &other), 0);
    assert_int_equal(kind_of(&other), READING_FOREIGN);
    assert_int_equal(write("example.com.", &other), 0);
    assert_int_equal(kind_of(&other), READING_ANSWER);
    assert_int_equal(write("xample.com", &other), 0);
    assert_int_equal(kind_of(&other), READING_FOREIGN);
    len--;
    assert_int_equal(kind_of(&question), READING_MALFORMED);
    len = question.end;
    assert_int_equal(kind_of(&question), READING_MALFORMED); /* it has no record, but says one */
    packet[2] |= 2;
    assert_int_equal(kind_of(&question), READING_TRUNCATED);
    len--;
    assert_int_equal(kind_of(&question), READING_FOREIGN);
    len = 3;
    assert_int_equal(kind_of(&question), READING_FOREIGN);
}

static void test_errors(void **state) {
    static const char *const expected[] = {
        NULL, "the name server answers FORMERR", "the name server answers SERVFAIL",
        NULL, "the name server answers NOTIMP",  "the name server answers REFUSED"};
    struct dns_question question;
    (void)state;
    assert_int_equal(write("example.com", &question), 0);
    for (unsigned rcode = 1; rcode < 16; rcode++) {
        begin(&question, 0, rcode);
        add(ASKED, 16, "\1x", 2);
        struct dns_reading reading = read_as(&question, 0x1234);
        if (rcode == 3) {
            /* a name that does not exist has no records, whatever comes with the answer */
            assert_int_equal(reading.kind, READING_ANSWER);
            assert_int_equal(reading.answer->status, DNS_ABSENT);
            assert_int_equal(reading.answer->n, 0);
            assert_true(reading.answer->no_such_name);
            dns_answer_release(reading.answer);
            continue;
        }
        assert_int_equal(reading.kind, READING_ERROR);
        assert_int_equal(reading.rcode, rcode);
        if (rcode < COUNT(expected))
            assert_string_equal(reading.problem, expected[rcode]);
    }
    assert_int_equal(kind_of(&question), READING_ERROR);
}

static void test_aliases(void **state) {
    struct dns_question question;
    (void)state;
    assert_int_equal(write("example.com", &question), 0);
    begin(&question, 0, 0);
    add(ASKED, 5, "\1b\0", 3);
    add("\1b", 3, 16, "\1x", 2);
    add(ASKED, 16, "\1y", 2); /* beside an alias there is nothing */
    struct dns_reading reading = read_as(&question, 0x1234);
    assert_int_equal(reading.kind, READING_ANSWER);
    assert_int_equal(reading.answer->n, 1);
    assert_string_equal(reading.answer->records[0].data, "x");
    assert_int_equal(reading.ttl, 60);
    dns_answer_release(reading.answer);
    begin(&question, 0, 0);
    add(ASKED, 5, "\1b\0", 3);
    add("\1b", 3, 5, "\xc0\x0c", 2);
    reading = read_as(&question, 0x1234);
    assert_int_equal(reading.kind, READING_ERROR);
    assert_string_equal(reading.problem, "the aliases of the name have no end");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_octets),
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_errors),
        cmocka_unit_test(test_aliases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
