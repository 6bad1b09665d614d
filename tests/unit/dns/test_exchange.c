/*
 * exchange: only what answers the question counts, the next name server is asked when one does not
 * answer, and nothing outlives the deadline.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fake_server.h"
#include "gatepost/base/clock.h"
#include "milter/dns/exchange.h"
#include "milter/dns/packet.h"

/* What a busy machine may add, in milliseconds. */
#define LOADED 500

#define NAME "bounce+bob=x.org._u.Verp.example"

static struct fake_server fakes[3];
static struct dns_servers *servers;
static int64_t took;

static void start(size_t n, fake_behaviour *const behaviours[]) {
    const char *texts[COUNT(fakes)];
    struct why why;
    for (size_t i = 0; i < n; i++) {
        fake_server_start(&fakes[i], behaviours[i]);
        texts[i] = fakes[i].text;
    }
    assert_int_equal(dns_servers_open(texts, n, NULL, &servers, &why), 0);
}

static void stop(size_t n) {
    dns_servers_free(servers);
    for (size_t i = 0; i < n; i++)
        fake_server_stop(&fakes[i]);
}

/* One exchange with so many milliseconds for it; how it ended. */
static enum dns_exchange_end exchange(int64_t ms, char problem[80]) {
    struct dns_question question;
    struct dns_exchange_result result;
    int64_t begin = clock_now_ms();
    assert_int_equal(dns_question_write(NAME, DNS_TXT, &question), 0);
    dns_exchange(servers, &question, begin + ms, &result);
    took = clock_now_ms() - begin;
    assert_true(took < ms + LOADED);
    if (result.end == EXCHANGE_ANSWERED) {
        assert_non_null(result.answer);
        assert_int_equal(result.answer->status, DNS_FOUND);
        assert_string_equal(result.answer->records[0].data, "v=spf1 -all");
        assert_int_equal(result.ttl, 60);
        dns_answer_release(result.answer);
    } else {
        assert_null(result.answer);
        assert_string_not_equal(result.problem, "");
    }
    if (problem != NULL)
        snprintf(problem, 80, "%s", result.problem);
    return result.end;
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- one server ---- */

static enum dns_exchange_end with_one(fake_behaviour *behave, int64_t ms, char problem[80]) {
    start(1, &behave);
    enum dns_exchange_end end = exchange(ms, problem);
    stop(1);
    return end;
}

/* Every octet that may stand in a label, and the question as it is to be sent. */
static void exact(struct fake_query *query) {
    static const unsigned char expected[] = "\x01\0\0\1\0\0\0\0\0\1\x0c"
                                            "bounce+bob=x\3org\2_u\4Verp"
                                            "\7example\0\0\x10\0\1\0\0\x29\4\xd0\0\0\0\0\0";
    if (query->len == 2 + sizeof expected && /* its NUL is the last octet of the OPT record */
        memcmp(query->packet + 2, expected, sizeof expected) == 0)
        fake_good(query);
}

static void test_question_as_sent(void **state) {
    (void)state;
    assert_int_equal(with_one(exact, 5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took < 300);
}

/* What a forger sends before the answer, which comes 50 ms later: the function spoils a good one,
 * or returns false when there are no more of its kind. */
typedef size_t spoiler(unsigned char *packet, size_t len, const struct fake_query *query);

static spoiler *spoil;

static void lie_first(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    for (int i = 0; i < 3; i++) {
        size_t len = fake_response(query, 0, 1, packet);
        packet[len - 1] = 'X'; /* another text, should it be believed */
        len = spoil(packet, len, query);
        fake_send(query, packet, len);
    }
    sleep_ms(50);
    fake_good(query);
}

static size_t other_id(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)query;
    packet[1] ^= 1;
    return len;
}

static size_t other_name(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)query;
    packet[13] = 'p';
    return len;
}

static size_t other_type(unsigned char *packet, size_t len, const struct fake_query *query) {
    packet[query->question_end - 3] = 1;
    return len;
}

static size_t other_class(unsigned char *packet, size_t len, const struct fake_query *query) {
    packet[query->question_end - 1] = 3;
    return len;
}

static size_t no_response(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)query;
    packet[2] &= 0x7f;
    return len;
}

static size_t two_questions(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)query;
    packet[5] = 2;
    return len;
}

static size_t cut(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)query;
    (void)packet;
    return len - 5;
}

static size_t cut_in_question(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)packet;
    (void)len;
    return query->question_end - 1;
}

static size_t nothing(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)packet;
    (void)len;
    (void)query;
    return 0;
}

static size_t more_records(unsigned char *packet, size_t len, const struct fake_query *query) {
    (void)query;
    packet[7] = 9;
    return len;
}

static void test_lies_are_passed_over(void **state) {
    static spoiler *const spoilers[] = {other_id,    other_name,    other_type, other_class,
                                        no_response, two_questions, cut,        cut_in_question,
                                        nothing,     more_records};
    (void)state;
    for (size_t i = 0; i < COUNT(spoilers); i++) {
        spoil = spoilers[i];
        assert_int_equal(with_one(lie_first, 5000, NULL), EXCHANGE_ANSWERED);
        assert_true(took >= 50);
    }
}

static void in_capitals(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    size_t len = fake_response(query, 0, 1, packet);
    for (size_t i = 13; i < query->question_end - 4; i++)
        if (packet[i] >= 'a' && packet[i] <= 'z')
            packet[i] = (unsigned char)(packet[i] - 'a' + 'A');
    fake_send(query, packet, len);
}

static void test_letter_case(void **state) {
    (void)state;
    assert_int_equal(with_one(in_capitals, 5000, NULL), EXCHANGE_ANSWERED);
}

static void from_elsewhere(struct fake_query *query) {
    struct fake_query other = *query;
    unsigned char packet[FAKE_PACKET];
    size_t len = fake_response(query, 0, 1, packet);
    packet[len - 1] = 'X';
    other.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fake_send(&other, packet, len);
    close(other.fd);
    sleep_ms(50);
    fake_good(query);
}

static void test_answer_from_another_port(void **state) {
    (void)state;
    assert_int_equal(with_one(from_elsewhere, 5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took >= 50);
}

static void only_lies(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    size_t len = fake_response(query, 0, 1, packet);
    fake_send(query, packet, len - 5);
}

static void test_only_what_cannot_be_read(void **state) {
    char problem[80];
    (void)state;
    assert_int_equal(with_one(only_lies, 500, problem), EXCHANGE_LATE);
    assert_string_equal(problem, "no answer in time that can be read");
    assert_true(took >= 500);
}

/* The answer to the first packet, after a second and a third were sent. */
static void late(struct fake_query *query) {
    if (query->number == 1) {
        sleep_ms(1400);
        fake_good(query);
    }
}

static void test_late_answer(void **state) {
    (void)state;
    assert_int_equal(with_one(late, 5000, NULL), EXCHANGE_ANSWERED);
    assert_in_range(took, 1400, 1400 + LOADED);
}

/* Packets get lost; the question is sent again, at growing intervals. */
static void third_packet(struct fake_query *query) {
    if (query->number == 3)
        fake_good(query);
}

static void test_lost_packets(void **state) {
    fake_behaviour *const behave[] = {third_packet, fake_silent};
    (void)state;
    assert_int_equal(with_one(behave[0], 5000, NULL), EXCHANGE_ANSWERED);
    assert_in_range(took, 1100, 1200 + LOADED);
    start(1, &behave[1]);
    assert_int_equal(exchange(3000, NULL), EXCHANGE_LATE);
    assert_true(took >= 3000);
    sleep_ms(50);
    assert_in_range(atomic_load(&fakes[0].asked), 3, 4);
    stop(1);
}

static void test_error(void **state) {
    char problem[80];
    (void)state;
    assert_int_equal(with_one(fake_servfail, 5000, problem), EXCHANGE_ERROR);
    assert_string_equal(problem, "the name server answers SERVFAIL");
    assert_true(took < 300);
}

static void test_nobody_there(void **state) {
    char problem[80];
    (void)state;
    assert_int_equal(with_one(NULL, 5000, problem), EXCHANGE_UNREACHED);
    assert_string_equal(problem, "no name server can be reached: Connection refused");
    assert_in_range(took, 0, 2000);
    assert_int_equal(with_one(NULL, 300, problem), EXCHANGE_UNREACHED);
}

/* ---- EDNS0 ---- */

static void formerr_to_edns(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    if (query->edns)
        fake_send(query, packet, fake_response(query, 1, 0, packet));
    else
        fake_good(query);
}

static void silent_to_edns(struct fake_query *query) {
    if (!query->edns)
        fake_good(query);
}

static void formerr(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    fake_send(query, packet, fake_response(query, 1, 0, packet));
}

static void test_without_edns(void **state) {
    fake_behaviour *always = formerr;
    (void)state;
    assert_int_equal(with_one(formerr_to_edns, 5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took < 300);
    assert_int_equal(with_one(silent_to_edns, 5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took < 1700);
    start(1, &always);
    assert_int_equal(exchange(5000, NULL), EXCHANGE_ERROR);
    assert_int_equal(atomic_load(&fakes[0].asked), 2);
    stop(1);
}

/* ---- TCP ---- */

static fake_behaviour *over_tcp;

static void truncated(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    size_t len = fake_response(query, 0, 0, packet);
    if (query->over_tcp) {
        over_tcp(query);
    } else {
        packet[2] |= 2;
        fake_send(query, packet, len);
    }
}

/* One octet at a time, the last ones when others would have given up. */
static void drip(struct fake_query *query) {
    unsigned char packet[2 + FAKE_PACKET];
    size_t len = fake_response(query, 0, 1, packet + 2);
    packet[0] = (unsigned char)(len >> 8);
    packet[1] = (unsigned char)len;
    for (size_t i = 0; i < len + 2; i++) {
        send(query->fd, packet + i, 1, MSG_NOSIGNAL);
        sleep_ms(15);
    }
}

static void long_silence(struct fake_query *query) {
    sleep_ms(700);
    (void)query;
}

static void test_over_tcp(void **state) {
    char problem[80];
    (void)state;
    over_tcp = fake_good;
    assert_int_equal(with_one(truncated, 5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took < 300);
    over_tcp = drip;
    assert_int_equal(with_one(truncated, 5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took > 1000);
    over_tcp = fake_silent; /* and hangs up */
    assert_int_equal(with_one(truncated, 5000, problem), EXCHANGE_ERROR);
    assert_string_equal(problem, "the connection over TCP ended");
    assert_true(took < 300);
    over_tcp = long_silence;
    assert_int_equal(with_one(truncated, 500, problem), EXCHANGE_LATE);
    over_tcp = only_lies;
    assert_int_equal(with_one(truncated, 5000, problem), EXCHANGE_ERROR);
    over_tcp = fake_servfail;
    assert_int_equal(with_one(truncated, 5000, problem), EXCHANGE_ERROR);
    assert_string_equal(problem, "the name server answers SERVFAIL");
}

/* ---- several servers ---- */

static void test_next_server(void **state) {
    static fake_behaviour *const behaviours[][2] = {{fake_silent, fake_good},
                                                    {fake_servfail, fake_good},
                                                    {NULL, fake_good},
                                                    {only_lies, fake_good},
                                                    {truncated, fake_good}};
    static const int64_t most[] = {400 + LOADED, 390, 390, 390, 390};
    (void)state;
    over_tcp = fake_silent;
    for (size_t i = 0; i < COUNT(most); i++) {
        start(2, behaviours[i]);
        assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
        assert_true(took < most[i]);
        stop(2);
    }
}

/* With little time, too. */
static void test_short_of_time(void **state) {
    fake_behaviour *const behaviours[] = {fake_silent, fake_silent, fake_good};
    (void)state;
    start(3, behaviours);
    assert_int_equal(exchange(600, NULL), EXCHANGE_ANSWERED);
    stop(3);
}

static void test_silent_server_comes_last(void **state) {
    fake_behaviour *const behaviours[] = {fake_silent, fake_good};
    (void)state;
    start(2, behaviours);
    assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
    unsigned asked = atomic_load(&fakes[0].asked);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
        assert_true(took < 300);
    }
    assert_int_equal(atomic_load(&fakes[0].asked), asked);
    /* now it is the other one that is silent */
    atomic_store(&fakes[0].behave, fake_good);
    atomic_store(&fakes[1].behave, fake_silent);
    assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
    assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
    assert_true(took < 300);
    stop(2);
}

static void test_all_silent(void **state) {
    fake_behaviour *const behaviours[] = {fake_silent, fake_silent};
    (void)state;
    start(2, behaviours);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(exchange(700, NULL), EXCHANGE_LATE);
        assert_true(took >= 700);
    }
    assert_true(atomic_load(&fakes[0].asked) >= 2);
    assert_true(atomic_load(&fakes[1].asked) >= 2);
    stop(2);
}

/* An error of one stands when the others say nothing for a while; it is not waited to the end. */
static void test_error_and_silence(void **state) {
    fake_behaviour *const behaviours[] = {fake_silent, fake_servfail};
    char problem[80];
    (void)state;
    start(2, behaviours);
    assert_int_equal(exchange(8000, problem), EXCHANGE_ERROR);
    assert_string_equal(problem, "the name server answers SERVFAIL");
    assert_true(took < 3000);
    stop(2);
}

static void slow(struct fake_query *query) {
    if (query->number == 1) {
        sleep_ms(600);
        fake_good(query);
    }
}

/* The first one is listened to while the second one is asked. */
static void test_first_server_after_all(void **state) {
    fake_behaviour *const behaviours[] = {slow, fake_silent};
    (void)state;
    start(2, behaviours);
    assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
    assert_in_range(took, 600, 600 + LOADED);
    stop(2);
}

/* ---- what a forger has to guess, and descriptors ---- */

static uint16_t ids[100], ports[100];

static void note(struct fake_query *query) {
    ids[query->number - 1] = (uint16_t)(query->packet[0] << 8 | query->packet[1]);
    ports[query->number - 1] = query->peer.sin_port;
    fake_good(query);
}

static size_t distinct(const uint16_t *values) {
    size_t n = 0;
    for (size_t i = 0; i < 100; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = values[j] == values[i];
        n += !seen;
    }
    return n;
}

#define DESCRIPTORS 256

static unsigned open_descriptors(void) {
    unsigned n = 0;
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_hard_to_guess(void **state) {
    fake_behaviour *behave = note;
    (void)state;
    start(1, &behave);
    unsigned before = open_descriptors();
    for (int i = 0; i < 100; i++)
        assert_int_equal(exchange(5000, NULL), EXCHANGE_ANSWERED);
    assert_int_equal(open_descriptors(), before);
    assert_true(distinct(ids) > 90);
    assert_true(distinct(ports) > 90);
    stop(1);
}

static bool stays_on_exec(int fd) {
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

static bool inherited[DESCRIPTORS]; /* open when the test began: whoever started it left them */
static atomic_int left_open;        /* one that a program started now would get, or -1 */

static void look_at_descriptors(struct fake_query *query) {
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        if (!inherited[fd] && stays_on_exec(fd))
            atomic_store(&left_open, fd);
    if (query->over_tcp)
        fake_good(query);
    else
        truncated(query);
}

static void test_closed_on_exec(void **state) {
    (void)state;
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        inherited[fd] = stays_on_exec(fd);
    atomic_store(&left_open, -1);
    over_tcp = look_at_descriptors;
    assert_int_equal(with_one(look_at_descriptors, 5000, NULL), EXCHANGE_ANSWERED);
    assert_int_equal(atomic_load(&left_open), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_as_sent),
        cmocka_unit_test(test_lies_are_passed_over),
        cmocka_unit_test(test_letter_case),
        cmocka_unit_test(test_answer_from_another_port),
        cmocka_unit_test(test_only_what_cannot_be_read),
        cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_lost_packets),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_without_edns),
        cmocka_unit_test(test_over_tcp),
        cmocka_unit_test(test_next_server),
        cmocka_unit_test(test_short_of_time),
        cmocka_unit_test(test_silent_server_comes_last),
        cmocka_unit_test(test_all_silent),
        cmocka_unit_test(test_error_and_silence),
        cmocka_unit_test(test_first_server_after_all),
        cmocka_unit_test(test_hard_to_guess),
        cmocka_unit_test(test_closed_on_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
