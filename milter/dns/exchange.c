/*
 * Questions and name servers. Owns the schedule: whom to ask when, whose packet counts and when to
 * give up. Where the servers come from and what an answer means is not its business.
 */
#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/waiting.h"
#include "packet.h"
#include "stream.h"

/*
 * The servers are asked in rounds, one after the other. The first round waits this long for each of
 * them, in milliseconds, every further round twice as long; a server that was silent gets less.
 */
#define PAUSE 400
#define PAUSE_TRIED 50
#define DOUBLINGS_MAX 4

/* So often is it tried to reach a server that refuses: it may be starting. */
#define REFUSALS_MAX 3
/* So often is a server asked with EDNS0: that it says nothing may come from it. */
#define EDNS_MAX 2
/* So many rounds are the silent servers waited for when another one has said that it cannot. */
#define ROUNDS_WITH_ERROR 2

/* The buffer for UDP: larger than the size that the question offers. */
#define PACKET_SIZE 4096
/* Packets read from one socket before the clock is looked at. */
#define PACKETS_AT_ONCE 100

/* One server, as far as one question goes. */
struct channel {
    struct dns_server server;
    int udp; /* -1: not asked, or not to be listened to any more */
    struct dns_stream *stream;
    uint16_t id;
    bool plain; /* without EDNS0 */
    bool heard; /* it is there, whatever it said */
    bool over;  /* it has said, or shown, that it cannot answer */
    unsigned sent, refused;
};

struct exchange {
    struct dns_servers *servers;
    const struct dns_question *question;
    struct waiting waiting;
    int64_t deadline, due, round_begin; /* due: when to ask the next server */
    int64_t pause;                      /* of this round */
    unsigned round;
    bool error, malformed; /* a server has said that it cannot answer; something unreadable */
    struct channel channels[DNS_SERVERS_MAX];
    size_t n, next;
    struct dns_exchange_result *result;
};

static void channel_close(struct channel *channel) {
    if (channel->udp >= 0)
        close(channel->udp);
    channel->udp = -1;
    dns_stream_free(channel->stream);
    channel->stream = NULL;
}

/* The server asked last is not to be waited for: the next one of the round, or the next round. */
static void hasten(struct exchange *e, const struct channel *channel) {
    if (channel + 1 == &e->channels[e->next])
        e->due = e->next < e->n ? 0 : e->round_begin + e->pause;
}

/* The server cannot answer this question. */
static void give_up(struct exchange *e, struct channel *channel, const char *problem) {
    channel_close(channel);
    channel->over = true;
    snprintf(e->result->problem, sizeof e->result->problem, "%s", problem);
    hasten(e, channel);
}

/* The server cannot be reached, for the reason in errno. */
static void refuse(struct exchange *e, struct channel *channel) {
    give_up(e, channel, strerror(errno));
    channel->over = ++channel->refused == REFUSALS_MAX;
}

/*
 * A socket of its own for each question and server: its port, which the kernel chooses, and the id
 * are what a forger would have to guess, and packets from elsewhere do not reach it. 0, or -1 with
 * errno.
 */
static int channel_open(struct channel *channel) {
    const struct dns_address *address = &channel->server.address;
    if (getrandom(&channel->id, sizeof channel->id, 0) != (ssize_t)sizeof channel->id)
        return -1;
    channel->udp =
        socket(address->socket.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return channel->udp < 0 ? -1 : connect(channel->udp, &address->socket.any, address->len);
}

/* Sends the question to a server, once more if need be; 0, or -1 when it cannot be reached. */
static int ask(struct exchange *e, struct channel *channel) {
    unsigned char packet[DNS_QUESTION_SIZE];
    if (channel->udp >= 0 || channel_open(channel) == 0) {
        bool edns = !channel->plain && channel->sent < EDNS_MAX;
        size_t len = dns_question_put(e->question, channel->id, edns, packet);
        channel->sent++;
        if (send(channel->udp, packet, len, 0) >= 0 || errno == EAGAIN || errno == ENOBUFS)
            return 0;
    }
    refuse(e, channel);
    return -1;
}

/* Asks the next server whose turn it is. */
static void ask_next(struct exchange *e, int64_t now) {
    if (e->next == e->n) {
        e->next = 0;
        e->round_begin = now;
        if (++e->round <= DOUBLINGS_MAX)
            e->pause *= 2;
    }
    while (e->next < e->n) {
        struct channel *channel = &e->channels[e->next++];
        if (channel->over || channel->stream != NULL || ask(e, channel) != 0)
            continue;
        e->due = now + (channel->server.tried && e->pause > PAUSE_TRIED ? PAUSE_TRIED : e->pause);
        return;
    }
    e->due = e->round_begin + e->pause;
}

/* ---- what comes back ---- */

/* A server has answered: those that were asked before it, and said nothing, are silent. */
static void note_answer(struct exchange *e, struct channel *channel) {
    channel->heard = true;
    dns_servers_answered(e->servers, &channel->server);
    for (struct channel *before = e->channels; before < channel; before++)
        if (!before->heard)
            dns_servers_silent(e->servers, &before->server, clock_now_ms());
}

/* It did not fit: once more over TCP. */
static void ask_by_stream(struct exchange *e, struct channel *channel) {
    unsigned char packet[DNS_QUESTION_SIZE];
    size_t len = dns_question_put(e->question, channel->id, false, packet);
    channel_close(channel);
    channel->heard = true;
    channel->stream = dns_stream_open(&channel->server.address, packet, len);
    if (channel->stream == NULL)
        give_up(e, channel, strerror(errno));
}

/* A name server older than EDNS0 does not know what an OPT record is (RFC 6891 7). */
static bool dislikes_edns(const struct channel *channel, const struct dns_reading *reading) {
    return (reading->rcode == 1 || reading->rcode == 4) && !channel->plain &&
           channel->sent <= EDNS_MAX && channel->stream == NULL;
}

/* Returns true when the packet ends the exchange. */
static bool take_packet(struct exchange *e, struct channel *channel, const unsigned char *packet,
                        size_t len) {
    struct dns_reading reading;
    dns_packet_read(e->question, channel->id, packet, len, &reading);
    switch (reading.kind) {
    case READING_FOREIGN:
        break;
    case READING_MALFORMED: /* perhaps a forgery: the true one may be on its way */
        e->malformed = channel->heard = true;
        hasten(e, channel);
        break;
    case READING_TRUNCATED:
        if (channel->stream == NULL)
            ask_by_stream(e, channel);
        else
            give_up(e, channel, "the answer over TCP is truncated");
        break;
    case READING_ERROR:
        if (dislikes_edns(channel, &reading)) {
            channel->plain = true;
            ask(e, channel);
            break;
        }
        note_answer(e, channel);
        e->error = true;
        give_up(e, channel, reading.problem);
        break;
    case READING_ANSWER:
        note_answer(e, channel);
        e->result->answer = reading.answer;
        e->result->ttl = reading.ttl;
        return true;
    }
    return false;
}

static bool read_udp(struct exchange *e, struct channel *channel) {
    unsigned char packet[PACKET_SIZE];
    for (int i = 0; i < PACKETS_AT_ONCE && channel->udp >= 0; i++) {
        ssize_t n = recv(channel->udp, packet, sizeof packet, MSG_TRUNC);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            refuse(e, channel);
        if (n < 0)
            return false;
        if ((size_t)n > sizeof packet) { /* it has no end: as good as truncated */
            n = sizeof packet;
            packet[2] |= 0x02;
        }
        if (take_packet(e, channel, packet, (size_t)n))
            return true;
    }
    return false;
}

/* Over TCP nobody else can put in a word: what is no answer is the server's own. */
static bool read_stream(struct exchange *e, struct channel *channel) {
    const unsigned char *message;
    size_t len;
    int rc = dns_stream_step(channel->stream, &message, &len);
    if (rc == 0)
        return false;
    if (rc < 0)
        give_up(e, channel, errno == 0 ? "the connection over TCP ended" : strerror(errno));
    else if (take_packet(e, channel, message, len))
        return true;
    else if (channel->stream != NULL)
        give_up(e, channel, "no answer over TCP, but something else");
    return false;
}

/* What to poll for, and whose it is. */
static nfds_t gather(struct exchange *e, struct pollfd pfds[DNS_SERVERS_MAX],
                     struct channel *whose[DNS_SERVERS_MAX]) {
    nfds_t n = 0;
    for (size_t i = 0; i < e->n; i++) {
        struct channel *channel = &e->channels[i];
        if (channel->stream != NULL)
            pfds[n] = (struct pollfd){.fd = dns_stream_fd(channel->stream),
                                      .events = dns_stream_events(channel->stream)};
        else if (channel->udp >= 0)
            pfds[n] = (struct pollfd){.fd = channel->udp, .events = POLLIN};
        else
            continue;
        whose[n++] = channel;
    }
    return n;
}

/* Waits until something comes or the next server is to be asked; true when there is an answer. */
static bool listen_to_all(struct exchange *e) {
    struct pollfd pfds[DNS_SERVERS_MAX];
    struct channel *whose[DNS_SERVERS_MAX];
    nfds_t n = gather(e, pfds, whose);
    e->waiting.deadline = e->due < e->deadline ? e->due : e->deadline;
    int rc = waiting_poll(&e->waiting, pfds, n);
    for (size_t i = 0; rc < 0 && i < e->n; i++)
        give_up(e, &e->channels[i], strerror(errno));
    for (nfds_t i = 0; rc > 0 && i < n; i++)
        if (pfds[i].revents != 0 &&
            (whose[i]->stream != NULL ? read_stream(e, whose[i]) : read_udp(e, whose[i])))
            return true;
    return false;
}

/* ---- the end ---- */

/* Is there no server left that could answer, or none worth another round? */
static bool is_hopeless(const struct exchange *e, int64_t now) {
    bool over = true;
    for (size_t i = 0; i < e->n; i++)
        over = over && e->channels[i].over;
    return over ||
           (e->error && e->round + 1 == ROUNDS_WITH_ERROR && e->next == e->n && now >= e->due);
}

/* How it ended when there is no answer. */
static enum dns_exchange_end failure(struct exchange *e, bool late) {
    bool heard = false, reached = false;
    for (size_t i = 0; i < e->n; i++) {
        heard = heard || e->channels[i].heard;
        reached = reached || heard || e->channels[i].udp >= 0;
    }
    struct dns_exchange_result *out = e->result;
    if (!reached && e->channels[0].refused > 0) {
        char reason[sizeof out->problem];
        snprintf(reason, sizeof reason, "%s", out->problem);
        snprintf(out->problem, sizeof out->problem, "no name server can be reached: %.45s", reason);
        return EXCHANGE_UNREACHED;
    }
    if (!late)
        return EXCHANGE_ERROR;
    snprintf(out->problem, sizeof out->problem, "no answer in time%s",
             e->malformed ? " that can be read" : "");
    return EXCHANGE_LATE;
}

static enum dns_exchange_end run(struct exchange *e) {
    for (;;) {
        int64_t now = clock_now_ms();
        if (now >= e->deadline || is_hopeless(e, now))
            return failure(e, now >= e->deadline);
        if (now >= e->due)
            ask_next(e, now);
        else if (listen_to_all(e))
            return EXCHANGE_ANSWERED;
    }
}

void dns_exchange(struct dns_servers *servers, const struct dns_question *question,
                  int64_t deadline, struct dns_exchange_result *out) {
    struct dns_server list[DNS_SERVERS_MAX];
    struct exchange e; /* its channels are set as far as they are used */
    int64_t now = clock_now_ms();
    e.servers = servers;
    e.question = question;
    e.waiting = waiting_begin(deadline);
    e.deadline = deadline;
    e.due = e.round_begin = now;
    e.round = 0;
    e.error = e.malformed = false;
    e.n = dns_servers_take(servers, now, list);
    e.next = 0;
    e.result = out;
    /* with little time left, each of them is still asked */
    int64_t share = (deadline - now) / (int64_t)(e.n + 1) + 1;
    e.pause = share < PAUSE ? share : PAUSE;
    for (size_t i = 0; i < e.n; i++)
        e.channels[i] = (struct channel){.server = list[i], .udp = -1};
    *out = (struct dns_exchange_result){.end = EXCHANGE_LATE};
    out->end = run(&e);
    for (size_t i = 0; i < e.n; i++)
        channel_close(&e.channels[i]);
    waiting_end(&e.waiting);
}
