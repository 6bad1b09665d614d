/*
 * Asks a milter the same kind of question over and over, and writes every answer down: who asked,
 * when, and what was said. Each of its connections says MAIL as one of many logins, waits for the
 * verdict, drops the message and begins again; what to make of the answers is its reader's
 * business.
 *
 * Usage: milter_asker SOCKET ACCOUNTS OUT [CONNECTIONS [PAUSE_US [SEED]]], until SIGTERM.
 * SOCKET is a unix socket. ACCOUNTS has one login a line; {n} in it is a number that grows with
 * every question about that line. A line of OUT is one answer:
 *
 *     ASKED ANSWERED LINE N CODE WORD
 *
 * ASKED and ANSWERED in nanoseconds of CLOCK_MONOTONIC, before the question was sent and after the
 * answer was read; LINE of ACCOUNTS, from 0, and its {n}; CODE 250 where the filter lets it pass,
 * else that of its reply (000: none); WORD the first of the reply's text up to a space or
 * semicolon, or "-". Exit status 1 when a connection failed; the reason is on stderr.
 */
#include "load_script.h"

#include <errno.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000
#define LINES_MAX 10000
#define FLUSH_NS 10000000u
/* What a question may take at most: far more than any filter may need. */
#define GIVE_UP_NS UINT64_C(30000000000)

struct account {
    char login[LOAD_NAME_MAX];
    uint32_t asked;
};

struct connection {
    int fd;
    bool asking;
    struct load_identity identity;
    struct load_terms terms;
    struct milter_buffer in, out;
    unsigned line;
    uint32_t number;
    uint64_t asked_ns, due_ns;
};

static struct {
    struct load_options options;
    struct load_terms_cache cache;
    struct account *accounts;
    unsigned n_accounts, n_connections;
    struct connection connections[CONNECTIONS_MAX];
    uint64_t pause_ns, random, flushed_ns;
    int epoll_fd;
    FILE *out;
} run = {.options = {.client_family = AF_INET,
                     .client = {192, 0, 2, 10},
                     .client_count = 1,
                     .sender_count = UINT32_MAX,
                     .helo = "client.example.org",
                     .daemon_name = "mx.example.net"}};

static volatile sig_atomic_t ending;

static void end(int number) {
    (void)number;
    ending = 1;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int complain(const char *what, const char *why) {
    fprintf(stderr, "milter_asker: %s: %s\n", what, why);
    return -1;
}

/* xorshift64*: the same questions in the same order for the same seed. */
static uint32_t draw(uint32_t below) {
    run.random ^= run.random >> 12;
    run.random ^= run.random << 25;
    run.random ^= run.random >> 27;
    return (uint32_t)((run.random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static int send_all(struct connection *c) {
    size_t sent = 0;
    while (sent < c->out.used) {
        ssize_t n = send(c->fd, c->out.bytes + sent, c->out.used - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return complain("send", strerror(errno));
        sent += n > 0 ? (size_t)n : 0;
    }
    c->out.used = 0;
    return 0;
}

/* Reads what there is; waits for something. */
static int receive(struct connection *c) {
    if (!milter_buffer_reserve(&c->in, 2048))
        return complain("receive", "out of memory");
    ssize_t n = recv(c->fd, c->in.bytes + c->in.used, c->in.size - c->in.used, 0);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return complain("receive", n < 0 ? strerror(errno) : "the filter hung up");
    c->in.used += (size_t)n;
    return 0;
}

static bool say(struct connection *c, enum load_step step) {
    const struct load_position position = {.step = step};
    return load_script_say(&c->out, position, &c->terms, &run.options, &c->identity);
}

/* One command before the questions, and its answer if one is due. */
static int introduce(struct connection *c, enum load_step step) {
    struct milter_packet packet;
    size_t offset = 0;
    int found = 0;
    if (!say(c, step))
        return 0;
    if (send_all(c) != 0)
        return -1;
    c->in.used = 0;
    while (found == 0) {
        if (receive(c) != 0)
            return -1;
        offset = 0;
        found = milter_wire_next(&c->in, &offset, &packet);
    }
    c->in.used = 0;
    if (step == LOAD_NEGOTIATE)
        return load_script_agree(&c->terms, &run.cache, &packet, &run.options)
                   ? 0
                   : complain("negotiate", "malformed");
    return packet.command == SMFIC_CONNECT || packet.command == SMFIR_CONTINUE
               ? 0
               : complain(load_step_name(step), "the filter does not continue");
}

static int open_connection(struct connection *c, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return complain(path, strerror(errno));
    run.options.sender = run.options.login = run.accounts[0].login;
    load_identity_make(&c->identity, &run.options, 0);
    if (introduce(c, LOAD_NEGOTIATE) != 0 || introduce(c, LOAD_CONNECT) != 0 ||
        introduce(c, LOAD_HELO) != 0)
        return -1;
    return epoll_ctl(run.epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static int ask(struct connection *c) {
    c->line = draw(run.n_accounts);
    struct account *account = &run.accounts[c->line];
    c->number = account->asked++;
    run.options.sender = run.options.login = account->login;
    load_identity_make(&c->identity, &run.options, c->number);
    say(c, LOAD_MAIL);
    c->asking = true;
    c->asked_ns = now_ns();
    return send_all(c);
}

/* The code and first word of "550 5.7.1 word ..."; without an enhanced code as well. */
static void write_down(const struct connection *c, const char *reply) {
    const char *at = reply;
    char code[4] = "000";
    if (reply != NULL) {
        snprintf(code, sizeof code, "%.3s", reply);
        at += strcspn(at, " ");
        at += strspn(at, " ");
        if (at[strspn(at, "0123456789.")] == ' ')
            at += strcspn(at, " ") + 1;
    }
    fprintf(run.out, "%llu %llu %u %lu %s %.*s\n", (unsigned long long)c->asked_ns,
            (unsigned long long)now_ns(), c->line, (unsigned long)c->number, code,
            reply == NULL ? 1 : (int)strcspn(at, " ;"), reply == NULL ? "-" : at);
}

static int take_answer(struct connection *c, const struct milter_packet *packet) {
    uint32_t action;
    enum milter_answer answer = milter_wire_answer(packet, &action);
    if (answer == MILTER_PROGRESS)
        return 0;
    if (!c->asking || answer == MILTER_MALFORMED || answer == MILTER_MODIFY)
        return complain("answer", "none that is due");
    if (answer == MILTER_CONTINUE || answer == MILTER_ACCEPT)
        write_down(c, "250 -");
    else
        write_down(c, packet->command == SMFIR_REPLYCODE ? (const char *)packet->payload : NULL);
    milter_wire_end(&c->out, milter_wire_begin(&c->out, SMFIC_ABORT));
    c->asking = false;
    c->due_ns = now_ns() + run.pause_ns;
    return 0;
}

static int take_input(struct connection *c) {
    struct milter_packet packet;
    size_t offset = 0;
    int found;
    if (receive(c) != 0)
        return -1;
    while ((found = milter_wire_next(&c->in, &offset, &packet)) > 0)
        if (take_answer(c, &packet) != 0)
            return -1;
    memmove(c->in.bytes, c->in.bytes + offset, c->in.used - offset);
    c->in.used -= offset;
    return found < 0 ? complain("answer", "impossible length") : 0;
}

/* Asks what is due. Returns the connections that wait for an answer, or -1; *wait_ms to the next.
 */
static int ask_due(int *wait_ms) {
    uint64_t now = now_ns();
    int asking = 0;
    *wait_ms = 10;
    for (unsigned i = 0; i < run.n_connections; i++) {
        struct connection *c = &run.connections[i];
        if (!c->asking && !ending && c->due_ns <= now && ask(c) != 0)
            return -1;
        if (!c->asking && c->due_ns > now && (c->due_ns - now) / 1000000u < (uint64_t)*wait_ms)
            *wait_ms = (int)((c->due_ns - now) / 1000000u) + 1;
        asking += c->asking;
        if (c->asking && now > c->asked_ns + GIVE_UP_NS)
            return complain(c->identity.login, "no answer");
    }
    if (now - run.flushed_ns > FLUSH_NS) {
        fflush(run.out);
        run.flushed_ns = now;
    }
    return asking;
}

static int loop(void) {
    struct epoll_event events[64];
    int wait_ms;
    for (;;) {
        int asking = ask_due(&wait_ms);
        if (asking < 0)
            return -1;
        if (asking == 0 && ending)
            return 0;
        int n = epoll_wait(run.epoll_fd, events, 64, wait_ms);
        for (int i = 0; i < n; i++)
            if (take_input(events[i].data.ptr) != 0)
                return -1;
    }
}

static int read_accounts(const char *path) {
    char line[LOAD_NAME_MAX];
    FILE *file = fopen(path, "re");
    run.accounts = calloc(LINES_MAX, sizeof *run.accounts);
    if (file == NULL || run.accounts == NULL)
        return complain(path, strerror(errno));
    while (run.n_accounts < LINES_MAX && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (load_identity_fits(line, UINT32_MAX))
            strcpy(run.accounts[run.n_accounts++].login, line);
    }
    fclose(file);
    return run.n_accounts > 0 ? 0 : complain(path, "no account");
}

static void close_all(void) {
    for (unsigned i = 0; i < run.n_connections; i++) {
        if (run.connections[i].fd > 0)
            close(run.connections[i].fd);
        milter_buffer_free(&run.connections[i].in);
        milter_buffer_free(&run.connections[i].out);
    }
    milter_buffer_free(&run.cache.answer);
    free(run.accounts);
    close(run.epoll_fd);
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 7) {
        fputs("usage: milter_asker SOCKET ACCOUNTS OUT [CONNECTIONS [PAUSE_US [SEED]]]\n", stderr);
        return 2;
    }
    unsigned long connections = argc > 4 ? strtoul(argv[4], NULL, 10) : 8;
    run.n_connections = connections < CONNECTIONS_MAX ? (unsigned)connections : CONNECTIONS_MAX;
    run.pause_ns = argc > 5 ? strtoul(argv[5], NULL, 10) * 1000u : 0;
    run.random = argc > 6 ? strtoul(argv[6], NULL, 10) * 2 + 1 : 1;
    run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGTERM, end);
    signal(SIGINT, end);
    int rc = read_accounts(argv[2]);
    run.out = rc == 0 ? fopen(argv[3], "we") : NULL;
    if (rc == 0 && run.out == NULL)
        rc = complain(argv[3], strerror(errno));
    for (unsigned i = 0; rc == 0 && i < run.n_connections; i++)
        rc = open_connection(&run.connections[i], argv[1]);
    if (rc == 0)
        rc = loop();
    if (run.out != NULL && fclose(run.out) != 0)
        rc = complain(argv[3], strerror(errno));
    close_all();
    return rc == 0 ? 0 : 1;
}
