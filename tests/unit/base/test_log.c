/*
 * log: what becomes of lines whose reader stalls, reads slowly, goes and comes. Standard error is
 * a pipe here, the system's log a socket of the test's own.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "milter/base/log_sink.h"

#define THREADS 8
#define LINES 4000

static int reader_fd, terminal_fd;
static char socket_path[] = "/tmp/gatepost-test-log.XXXXXX";

/* Each test is a process: there is one log for the life of each. */
static void in_child(void test(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int ends[2];
        terminal_fd = dup(STDERR_FILENO);
        if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
            _exit(2);
        close(ends[1]);
        reader_fd = ends[0];
        fcntl(reader_fd, F_SETFL, O_NONBLOCK);
        test();
        exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static void need(bool true_here, const char *what, int line) {
    if (true_here)
        return;
    dprintf(terminal_fd, "test_log.c:%d: %s\n", line, what);
    _exit(1);
}
#define NEED(condition) need(condition, #condition, __LINE__)

static uint64_t lost_lines(void) {
    static char text[30000];
    FILE *to = fmemopen(text, sizeof text, "w");
    metrics_print(to);
    fclose(to);
    const char *at = strstr(text, "\ngatepost_log_lost_total ");
    NEED(at != NULL);
    return strtoull(at + strlen("\ngatepost_log_lost_total "), NULL, 10);
}

/* What threads of the test wrote, as it is read. */
struct seen {
    long last[THREADS], lines, told; /* told: by event=log-lost */
    char text[20000];                /* a line that is not whole yet */
    size_t len;
};

static void see(struct seen *seen, char *line) {
    unsigned thread;
    long number, count;
    if (sscanf(line, "event=test thread=%u number=%ld", &thread, &number) == 2) {
        NEED(number > seen->last[thread]); /* in order, and none twice */
        seen->last[thread] = number;
        seen->lines++;
    } else if (sscanf(line, "event=log-lost count=%ld", &count) == 1) {
        seen->told += count;
    } else if (strcmp(line, "event=too-late") != 0) {
        dprintf(terminal_fd, "test_log.c: what is this: %s\n", line);
        _exit(1);
    }
}

/* Reads what is there, `most` octets of it; false when there was nothing. */
static bool read_some(struct seen *seen, size_t most) {
    ssize_t n = read(reader_fd, seen->text + seen->len, most);
    if (n <= 0)
        return false;
    seen->len += (size_t)n;
    seen->text[seen->len] = '\0';
    char *line = seen->text, *end;
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        see(seen, line);
    }
    seen->len = strlen(line);
    memmove(seen->text, line, seen->len + 1);
    return true;
}

/* How often all threads have written, each LINES lines. */
static long rounds;

static void *write_lines(void *arg) {
    static char filling[360];
    char thread[24], number[24];
    memset(filling, 'x', sizeof filling - 1);
    snprintf(thread, sizeof thread, "%d", (int)(intptr_t)arg);
    for (long i = 1; i <= LINES; i++) {
        snprintf(number, sizeof number, "%ld", rounds * LINES + i);
        log_event(LOG_INFO, "test", "thread", thread, "number", number, "filling", filling,
                  (char *)NULL);
    }
    return NULL;
}

/* All threads write, and are done; how long it took in milliseconds. */
static int64_t write_all(void) {
    pthread_t threads[THREADS];
    int64_t begin = clock_now_ms();
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, write_lines, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    rounds++;
    return clock_now_ms() - begin;
}

/* Reads until every line is accounted for. */
static void account(struct seen *seen) {
    int64_t deadline = clock_now_ms() + 20000;
    while (seen->lines + seen->told < THREADS * LINES * rounds) {
        NEED(clock_now_ms() < deadline);
        struct pollfd pfd = {.fd = reader_fd, .events = POLLIN};
        poll(&pfd, 1, 100);
        read_some(seen, 4096);
    }
}

static void stalled(void) {
    static struct seen seen;
    struct why why;
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO);
    log_serve();
    NEED(log_started() == 0);
    do
        NEED(write_all() < 10000);
    while (!log_is_losing(&why) && rounds < 5); /* the thread may take what waits at the end only */
    NEED(log_is_losing(&why) && strstr(why.text, "standard error is not read") != NULL);
    account(&seen);
    NEED(seen.told > 0 && (uint64_t)seen.told == lost_lines());
    NEED(seen.lines + seen.told == THREADS * LINES * rounds);
    NEED(!log_is_losing(&why));
    log_close();
}

static void test_stalled(void **state) {
    (void)state;
    in_child(stalled);
}

static atomic_bool reading = true;

static void *read_slowly(void *arg) {
    while (reading) {
        read_some(arg, 3000);
        poll(NULL, 0, 1);
    }
    return NULL;
}

/* Between the two ways of a line there and back, all the time. */
static void slow(void) {
    static struct seen seen;
    pthread_t reader;
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO);
    log_serve();
    NEED(log_started() == 0);
    NEED(pthread_create(&reader, NULL, read_slowly, &seen) == 0);
    write_all();
    log_close();
    reading = false;
    pthread_join(reader, NULL);
    while (read_some(&seen, 4096))
        ;
    NEED((uint64_t)seen.lines + lost_lines() == (uint64_t)(THREADS * LINES * rounds));
}

static void test_slow(void **state) {
    (void)state;
    in_child(slow);
}

/* Nobody reads: the end is not far. */
static void stopped(void) {
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO);
    log_serve();
    NEED(log_started() == 0);
    write_all();
    int64_t begin = clock_now_ms();
    log_close();
    NEED(clock_now_ms() - begin < 4500);
    log_event(LOG_INFO, "too-late", (char *)NULL); /* and does not wait */
    static struct seen seen;
    while (read_some(&seen, 4096))
        ;
    NEED(seen.lines + (long)lost_lines() == THREADS * LINES * rounds);
}

static void test_stopped(void **state) {
    (void)state;
    in_child(stopped);
}

/* A start that fails: there is no thread, and what waits is written at the end. */
static void not_started(void) {
    static struct seen seen;
    pthread_t reader;
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_INFO);
    log_serve();
    write_lines((void *)(intptr_t)1);
    NEED(pthread_create(&reader, NULL, read_slowly, &seen) == 0);
    log_close();
    reading = false;
    pthread_join(reader, NULL);
    while (read_some(&seen, 4096))
        ;
    NEED(seen.lines == LINES && lost_lines() == 0);
}

static void test_not_started(void **state) {
    (void)state;
    in_child(not_started);
}

/* Without log_serve() a line is there when the call returns, as long as it takes. */
static void direct(void) {
    char line[200] = "";
    log_open(LOG_TO_STDERR, LOG_JSON, LOG_ERR);
    log_event(LOG_ERR, "store-down", "server", "a", (char *)NULL);
    NEED(read(reader_fd, line, sizeof line - 1) > 0);
    NEED(strcmp(line, "{\"event\":\"store-down\",\"server\":\"a\"}\n") == 0);
    NEED(lost_lines() == 0);
}

static void test_direct(void **state) {
    (void)state;
    in_child(direct);
}

static int listen_at_path(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unlink(socket_path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    NEED(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* The next message, within some seconds. */
static void expect_message(int fd, const char *end) {
    char text[1000];
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    NEED(poll(&pfd, 1, 5000) == 1);
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    NEED(n > 0);
    text[n] = '\0';
    size_t len = strlen(end);
    if ((size_t)n < len || strcmp(text + n - len, end) != 0) {
        dprintf(terminal_fd, "\"%s\" does not end in \"%s\"\n", text, end);
        _exit(1);
    }
}

static void restarted(void) {
    char name[24];
    log_sink_socket = socket_path;
    log_open(LOG_TO_SYSLOG, LOG_LOGFMT, LOG_INFO);
    log_serve();
    NEED(log_started() == 0);
    log_event(LOG_INFO, "before", (char *)NULL); /* there is nobody yet */
    for (int round = 0; round < 3; round++) {
        int fd = listen_at_path();
        if (round == 0)
            expect_message(fd, "]: event=before");
        for (int i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "%d", round);
            log_event(LOG_NOTICE, "round", "number", name, (char *)NULL);
            snprintf(name, sizeof name, "]: event=round number=%d", round);
            expect_message(fd, name);
        }
        close(fd);
    }
    log_close();
    NEED(lost_lines() == 0);
}

static void test_restarted(void **state) {
    (void)state;
    in_child(restarted);
}

/* While the filter starts, whoever started it sees the lines; but the journal has them already. */
static void starting(const char *journal) {
    char text[200];
    struct stat status;
    NEED(fstat(STDERR_FILENO, &status) == 0);
    snprintf(text, sizeof text, journal, (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    log_sink_socket = socket_path;
    int fd = listen_at_path();
    log_open(LOG_TO_SYSLOG, LOG_LOGFMT, LOG_INFO);
    log_event(LOG_INFO, "start", (char *)NULL);
    expect_message(fd, "]: event=start");
}

static void by_hand(void) {
    char text[200];
    starting("%ju:%ju0"); /* of somebody else's standard error */
    ssize_t n = read(reader_fd, text, sizeof text);
    NEED(n == 12 && memcmp(text, "event=start\n", 12) == 0);
}

static void by_systemd(void) {
    char text[200];
    starting("%ju:%ju");
    NEED(read(reader_fd, text, sizeof text) < 0 && errno == EAGAIN);
}

static void test_starting(void **state) {
    (void)state;
    in_child(by_hand);
    in_child(by_systemd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),    cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_slow),      cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_restarted), cmocka_unit_test(test_not_started),
        cmocka_unit_test(test_starting),
    };
    int fd = mkstemp(socket_path); /* for its name */
    close(fd);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(socket_path);
    return rc;
}
