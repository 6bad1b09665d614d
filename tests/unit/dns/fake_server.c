#include "fake_server.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t question_end(const unsigned char *packet, size_t len) {
    size_t at = 12;
    while (at < len && packet[at] != 0)
        at += packet[at] + (size_t)1;
    return at + 5;
}

static void serve(struct fake_query *query, ssize_t got, atomic_uint *count) {
    struct fake_server *server = query->server;
    if (got < 17)
        return;
    query->len = (size_t)got;
    query->question_end = question_end(query->packet, query->len);
    query->edns = query->packet[11] == 1;
    query->number = atomic_fetch_add(count, 1) + 1;
    atomic_load (&server->behave)(query);
}

static void serve_udp(struct fake_server *server) {
    struct fake_query query = {.server = server, .fd = server->udp};
    socklen_t len = sizeof query.peer;
    serve(&query,
          recvfrom(server->udp, query.packet, sizeof query.packet, 0,
                   (struct sockaddr *)&query.peer, &len),
          &server->asked);
}

static void serve_tcp(struct fake_server *server) {
    struct fake_query query = {.server = server, .over_tcp = true};
    unsigned char prefix[2];
    query.fd = accept4(server->tcp, NULL, NULL, SOCK_CLOEXEC);
    if (query.fd < 0)
        return;
    if (recv(query.fd, prefix, 2, MSG_WAITALL) == 2)
        serve(&query, recv(query.fd, query.packet, (size_t)prefix[0] << 8 | prefix[1], MSG_WAITALL),
              &server->asked_tcp);
    close(query.fd);
}

static void *run(void *arg) {
    struct fake_server *server = arg;
    while (!atomic_load(&server->ending)) {
        struct pollfd pfds[] = {{.fd = server->udp, .events = POLLIN},
                                {.fd = server->tcp, .events = POLLIN}};
        poll(pfds, 2, 10);
        if (pfds[0].revents != 0)
            serve_udp(server);
        if (pfds[1].revents != 0)
            serve_tcp(server);
    }
    return NULL;
}

/* A port that is free over UDP and TCP. */
static int bind_both(struct fake_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->udp, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(server->udp, (struct sockaddr *)&address, &len) == 0 &&
        bind(server->tcp, (struct sockaddr *)&address, sizeof address) == 0) {
        snprintf(server->text, sizeof server->text, "127.0.0.1:%d", ntohs(address.sin_port));
        return listen(server->tcp, 16);
    }
    close(server->udp);
    close(server->tcp);
    return -1;
}

void fake_server_start(struct fake_server *server, fake_behaviour *behave) {
    int rc = -1;
    memset(server, 0, sizeof *server);
    atomic_init(&server->behave, behave);
    for (int i = 0; i < 100 && rc != 0; i++)
        rc = bind_both(server);
    assert_int_equal(rc, 0);
    if (behave != NULL) {
        assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
    } else {
        close(server->udp);
        close(server->tcp);
    }
}

void fake_server_stop(struct fake_server *server) {
    if (atomic_load(&server->behave) == NULL)
        return;
    atomic_store(&server->ending, true);
    pthread_join(server->thread, NULL);
    close(server->udp);
    close(server->tcp);
}

size_t fake_response(const struct fake_query *query, unsigned rcode, unsigned records,
                     unsigned char out[FAKE_PACKET]) {
    static const unsigned char record[] = {0xc0, 12,  0,   16,  0,   1,   0,   0,
                                           0,    60,  0,   12,  11,  'v', '=', 's',
                                           'p',  'f', '1', ' ', '-', 'a', 'l', 'l'};
    size_t n = query->question_end;
    memcpy(out, query->packet, n);
    out[2] = 0x81;
    out[3] = (unsigned char)(0x80 | rcode);
    memset(out + 6, 0, 6);
    out[7] = (unsigned char)records;
    for (; records > 0; records--) {
        memcpy(out + n, record, sizeof record);
        n += sizeof record;
    }
    return n;
}

void fake_send(const struct fake_query *query, const unsigned char *packet, size_t len) {
    unsigned char prefix[] = {(unsigned char)(len >> 8), (unsigned char)len};
    if (!query->over_tcp) {
        sendto(query->fd, packet, len, 0, (const struct sockaddr *)&query->peer,
               sizeof query->peer);
        return;
    }
    send(query->fd, prefix, sizeof prefix, MSG_NOSIGNAL);
    send(query->fd, packet, len, MSG_NOSIGNAL);
}

void fake_good(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    fake_send(query, packet, fake_response(query, 0, 1, packet));
}

void fake_silent(struct fake_query *query) {
    (void)query;
}

void fake_servfail(struct fake_query *query) {
    unsigned char packet[FAKE_PACKET];
    fake_send(query, packet, fake_response(query, 2, 0, packet));
}
