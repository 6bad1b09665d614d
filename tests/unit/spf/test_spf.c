/*
 * spf: how many evaluations there may be at once, with a name server that never answers.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/spf/spf.h"

#define UNDER_WAY 256

static struct spf *spf;

/* Clients are of networks of their own: none has more than its share. */
static void check(const char *domain, size_t client, struct spf_answer *answer) {
    char sender[100], address[40];
    struct spf_query query = {.helo = "client.example", .sender = sender};
    snprintf(sender, sizeof sender, "alice@%s", domain);
    snprintf(address, sizeof address, "10.%zu.%zu.1", client / 200, client % 200);
    ip_parse(address, strlen(address), &query.client);
    spf_check(spf, &query, answer);
}

static void *wait_in_vain(void *arg) {
    char domain[40];
    struct spf_answer answer;
    snprintf(domain, sizeof domain, "n%zu.example", (size_t)arg);
    check(domain, (size_t)arg, &answer);
    return answer.result == RESULT_TEMPERROR ? NULL : (void *)1;
}

/* Takes questions until one of each of the names has come. */
static void await_questions(int fd) {
    bool seen[UNDER_WAY] = {false};
    size_t n = 0;
    while (n < UNDER_WAY) {
        unsigned char packet[600] = {0};
        char name[16] = {0};
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&pfd, 1, 10000), 1);
        assert_true(recv(fd, packet, sizeof packet - 1, 0) > 14);
        memcpy(name, packet + 13, packet[12] < 15 ? packet[12] : 15); /* the first label */
        size_t number = (size_t)atoi(name + 1);
        assert_true(name[0] == 'n' && number < UNDER_WAY);
        n += !seen[number];
        seen[number] = true;
    }
}

static void test_bounded(void **state) {
    static pthread_t threads[UNDER_WAY];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof address;
    char server[40];
    struct why why;
    const char *servers[] = {server};
    struct spf_answer answer;
    (void)state;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(server, sizeof server, "127.0.0.1:%d", ntohs(address.sin_port));
    const struct spf_settings settings = {servers, 1, 6000};
    assert_int_equal(spf_open(&settings, &spf, &why), 0);
    for (size_t i = 0; i < UNDER_WAY; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_vain, (void *)i), 0);
    await_questions(fd);
    int64_t begin = clock_now_ms();
    check("one-too-many.example", UNDER_WAY, &answer);
    assert_int_equal(answer.result, RESULT_TEMPERROR);
    assert_string_equal(answer.problem, "256 evaluations wait for name servers");
    assert_true(clock_now_ms() - begin < 1000);
    for (size_t i = 0; i < UNDER_WAY; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    check("room-again.example", UNDER_WAY, &answer);
    assert_string_not_equal(answer.problem, "256 evaluations wait for name servers");
    spf_release(spf);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
