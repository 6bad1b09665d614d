/*
 * How long a change in Redis takes to be obeyed: a switch of one account is turned off and on
 * again, many times, and after each change an open milter connection asks MAIL after MAIL until the
 * verdict is the new one. The account's policy is always freshly cached when it changes, for it has
 * just been asked for. The load beside it, if any, is given by others.
 *
 * Usage: change_latency MILTER_SOCKET REDIS_SOCKET [CHANGES [SECONDS]]; both are unix sockets. Ends
 * with CHANGES changes, or after SECONDS. Prints, in microseconds from Redis's acknowledgement on:
 * `obeyed`, when the first verdict that obeys was there; `stale`, when the last question was asked
 * that was still answered by the old policy (0: none); `question`, how long any one question took.
 */
#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "load_script.h"

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#define ACCOUNT "change@example.com"
#define GIVE_UP_NS UINT64_C(5000000000)

/* One milter connection, asked synchronously. */
struct probe {
    int fd;
    struct load_options options;
    struct load_identity identity;
    struct load_terms terms;
    struct load_terms_cache cache;
    struct milter_buffer in, out;
};

static struct histogram obeyed, stale, question;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int complain(const char *what, const char *why) {
    fprintf(stderr, "change_latency: %s: %s\n", what, why);
    return -1;
}

static int send_all(struct probe *probe) {
    size_t sent = 0;
    while (sent < probe->out.used) {
        ssize_t n = send(probe->fd, probe->out.bytes + sent, probe->out.used - sent, MSG_NOSIGNAL);
        if (n < 0)
            return complain("milter", strerror(errno));
        sent += (size_t)n;
    }
    probe->out.used = 0;
    return 0;
}

/* The next packet; its payload is good until the next call. */
static int receive(struct probe *probe, struct milter_packet *packet) {
    size_t offset = 0;
    probe->in.used = 0;
    while (milter_wire_next(&probe->in, &offset, packet) == 0) {
        if (!milter_buffer_reserve(&probe->in, 2048))
            return complain("milter", "out of memory");
        ssize_t n =
            recv(probe->fd, probe->in.bytes + probe->in.used, probe->in.size - probe->in.used, 0);
        if (n <= 0)
            return complain("milter", n < 0 ? strerror(errno) : "the filter hung up");
        probe->in.used += (size_t)n;
    }
    return 0;
}

/* Says a command; 1 when the filter owes an answer. */
static int say(struct probe *probe, enum load_step step) {
    const struct load_position position = {.step = step};
    return load_script_say(&probe->out, position, &probe->terms, &probe->options, &probe->identity);
}

static int say_and_wait(struct probe *probe, enum load_step step, struct milter_packet *packet) {
    if (!say(probe, step))
        return 0;
    return send_all(probe) == 0 ? receive(probe, packet) : -1;
}

static int probe_open(struct probe *probe, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct milter_packet packet;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    probe->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (probe->fd < 0 || connect(probe->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return complain(path, strerror(errno));
    if (say_and_wait(probe, LOAD_NEGOTIATE, &packet) != 0)
        return -1;
    if (!load_script_agree(&probe->terms, &probe->cache, &packet, &probe->options))
        return complain(path, "cannot negotiate");
    return say_and_wait(probe, LOAD_CONNECT, &packet) == 0 ? say_and_wait(probe, LOAD_HELO, &packet)
                                                           : -1;
}

/* Asks MAIL and forgets the message again. 0 with the verdict, which is accept or reject. */
static int ask(struct probe *probe, enum milter_answer *verdict) {
    struct milter_packet packet = {0};
    uint32_t action;
    if (say_and_wait(probe, LOAD_MAIL, &packet) != 0)
        return -1;
    *verdict = milter_wire_answer(&packet, &action);
    milter_wire_end(&probe->out, milter_wire_begin(&probe->out, SMFIC_ABORT));
    if (*verdict == MILTER_CONTINUE)
        *verdict = MILTER_ACCEPT;
    if (*verdict == MILTER_ACCEPT || *verdict == MILTER_REJECT)
        return 0;
    return complain("milter", "a verdict that is neither accept nor reject");
}

static int change(redisContext *redis, const char *state) {
    redisReply *reply =
        redisCommand(redis, "HSET gatepost:account:" ACCOUNT " protocol:submission %s", state);
    int rc = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? 0 : -1;
    if (rc != 0)
        complain("redis", reply != NULL ? reply->str : redis->errstr);
    if (reply != NULL)
        freeReplyObject(reply);
    return rc;
}

/* One change, and questions until it is obeyed. */
static int measure(struct probe *probe, redisContext *redis, enum milter_answer wanted) {
    enum milter_answer verdict;
    uint64_t last_stale = 0;
    if (change(redis, wanted == MILTER_REJECT ? "off" : "on") != 0)
        return -1;
    uint64_t begin = now_ns();
    for (;;) {
        uint64_t asked = now_ns();
        if (ask(probe, &verdict) != 0)
            return -1;
        uint64_t answered = now_ns();
        histogram_record(&question, answered - asked);
        if (verdict == wanted) {
            histogram_record(&obeyed, answered - begin);
            histogram_record(&stale, last_stale);
            return 0;
        }
        last_stale = asked - begin;
        if (last_stale > GIVE_UP_NS)
            return complain("a change", "not obeyed within 5 seconds");
    }
}

static void print_line(const char *name, const struct histogram *histogram) {
    printf("%-9s %9llu %9.1f %9.1f %9.1f\n", name, (unsigned long long)histogram->total,
           (double)histogram_quantile(histogram, 0.5) / 1000,
           (double)histogram_quantile(histogram, 0.99) / 1000, (double)histogram->max / 1000);
}

static int run(struct probe *probe, redisContext *redis, unsigned long changes, double seconds) {
    uint64_t stop = now_ns() + (uint64_t)(seconds * 1e9);
    enum milter_answer ignored;
    if (change(redis, "on") != 0 || ask(probe, &ignored) != 0)
        return -1;
    for (unsigned long i = 0; i < changes && now_ns() < stop; i++) {
        if (measure(probe, redis, i % 2 == 0 ? MILTER_REJECT : MILTER_ACCEPT) != 0)
            return -1;
    }
    printf("%-9s %9s %9s %9s %9s\n", "us", "count", "p50", "p99", "max");
    print_line("obeyed", &obeyed);
    print_line("stale", &stale);
    print_line("question", &question);
    return 0;
}

int main(int argc, char **argv) {
    struct probe probe = {.fd = -1,
                          .options = {.client_family = AF_INET,
                                      .client = {192, 0, 2, 10},
                                      .client_count = 1,
                                      .sender_count = 1,
                                      .helo = "client.example.org",
                                      .sender = ACCOUNT,
                                      .login = ACCOUNT,
                                      .daemon_name = "mx.example.net"}};
    if (argc < 3 || argc > 5) {
        fputs("usage: change_latency MILTER_SOCKET REDIS_SOCKET [CHANGES [SECONDS]]\n", stderr);
        return 2;
    }
    load_identity_make(&probe.identity, &probe.options, 0);
    redisContext *redis = redisConnectUnix(argv[2]);
    int rc = redis != NULL && redis->err == 0 ? 0 : complain(argv[2], "cannot connect");
    if (rc == 0)
        rc = probe_open(&probe, argv[1]);
    if (rc == 0)
        rc = run(&probe, redis, argc > 3 ? strtoul(argv[3], NULL, 10) : 10000,
                 argc > 4 ? strtod(argv[4], NULL) : 600);
    milter_buffer_free(&probe.in);
    milter_buffer_free(&probe.out);
    milter_buffer_free(&probe.cache.answer);
    if (probe.fd >= 0)
        close(probe.fd);
    redisFree(redis);
    return rc == 0 ? 0 : 1;
}
