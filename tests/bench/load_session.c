/* One milter session on a non-blocking socket: it owns the connection, what is still to be sent and
   read, and where the session stands; it never waits. Commands without an answer are sent along
   with the next one that has an answer, as Postfix does. What is said comes from load_script. */

#include "load_session.h"

#include <errno.h>
#include <libmilter/mfdef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE 2048

uint64_t load_session_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum load_progress waiting(const struct load_session *session) {
    return session->parked ? LOAD_PARKED : LOAD_RUNNING;
}

static enum load_progress end(struct load_session *session) {
    if (session->fd >= 0)
        close(session->fd);
    session->fd = -1;
    session->watched = 0;
    return LOAD_ENDED;
}

static enum load_progress fail(struct load_session *session, struct load_context *context,
                               enum load_error error, const char *detail) {
    const char *step = session->parked ? "idle" : load_step_name(session->position.step);
    load_report_error(context->report, error, step, detail);
    return end(session);
}

static enum load_progress fail_answer(struct load_session *session, struct load_context *context,
                                      const struct milter_packet *packet) {
    char detail[64];
    snprintf(detail, sizeof detail, "command 0x%02x with %zu bytes", packet->command,
             packet->length);
    return fail(session, context, LOAD_ERROR_MALFORMED, detail);
}

/* Asks epoll for just these events. */
static int watch(struct load_session *session, const struct load_context *context,
                 uint32_t events) {
    if (session->watched == events)
        return 0;
    struct epoll_event event = {.events = events, .data = {.ptr = session}};
    int operation = session->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    session->watched = events;
    return epoll_ctl(context->epoll_fd, operation, session->fd, &event);
}

/* Sends what the socket takes of the output, and has epoll tell when it takes the rest. */
static enum load_progress flush(struct load_session *session, struct load_context *context) {
    struct milter_buffer *out = &session->out;
    if (out->failed)
        return fail(session, context, LOAD_ERROR_SYSTEM, "out of memory");
    while (session->sent < out->used) {
        ssize_t sent =
            send(session->fd, out->bytes + session->sent, out->used - session->sent, MSG_NOSIGNAL);
        if (sent >= 0)
            session->sent += (size_t)sent;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return fail(session, context, LOAD_ERROR_CLOSED, strerror(errno));
    }
    bool all = session->sent == out->used;
    if (all)
        session->sent = out->used = 0;
    if (watch(session, context, all ? EPOLLIN : EPOLLIN | EPOLLOUT) != 0)
        return fail(session, context, LOAD_ERROR_SYSTEM, strerror(errno));
    return waiting(session);
}

/* The last answer has come: says goodbye and reports. The goodbye need not arrive. */
static enum load_progress conclude(struct load_session *session, struct load_context *context,
                                   enum load_outcome outcome, const char *words) {
    const char *step = load_step_name(session->position.step);
    uint64_t now = load_session_clock();
    struct load_report *report = context->report;
    histogram_record(&report->latency[LOAD_PHASE_SESSION], now - session->begun_ns);
    if (session->message_ns != 0)
        histogram_record(&report->latency[LOAD_PHASE_MESSAGE], now - session->message_ns);
    load_report_outcome(report, outcome, context->options->expect, step, words);
    static const unsigned char quit[] = {0, 0, 0, 1, SMFIC_QUIT};
    send(session->fd, quit, sizeof quit, MSG_NOSIGNAL);
    return end(session);
}

static enum load_progress park(struct load_session *session, struct load_context *context) {
    session->parked = true;
    return flush(session, context);
}

/* Says the commands from the current position on, up to one that the filter answers. */
static enum load_progress ask(struct load_session *session, struct load_context *context) {
    while (!load_script_say(&session->out, session->position, &session->terms, context->options,
                            &session->identity)) {
        if (session->idle && session->position.step == LOAD_CONNECT)
            return park(session, context);
        session->position = load_script_next(session->position);
    }
    session->asked_ns = load_session_clock();
    if (session->position.step > LOAD_MAIL && session->message_ns == 0)
        session->message_ns = session->asked_ns;
    return flush(session, context);
}

/* The current command is answered, and the answer is to go on. */
static enum load_progress proceed(struct load_session *session, struct load_context *context) {
    if (session->position.step == LOAD_EOM)
        return conclude(session, context, LOAD_CONTINUE, "");
    session->position = load_script_next(session->position);
    return ask(session, context);
}

/* How long the answer took, for the commands that are measured one by one. A negotiation is
   measured from connect() on. */
static void record_answer(const struct load_session *session, struct load_report *report) {
    static const enum load_phase phases[] = {[LOAD_NEGOTIATE] = LOAD_PHASE_NEGOTIATE,
                                             [LOAD_CONNECT] = LOAD_PHASE_CONNECT,
                                             [LOAD_HELO] = LOAD_PHASE_HELO,
                                             [LOAD_MAIL] = LOAD_PHASE_MAIL};
    enum load_step step = session->position.step;
    if (session->idle || step > LOAD_MAIL)
        return;
    uint64_t since = step == LOAD_NEGOTIATE ? session->begun_ns : session->asked_ns;
    histogram_record(&report->latency[phases[step]], load_session_clock() - since);
}

static enum load_progress take_answer(struct load_session *session, struct load_context *context,
                                      const struct milter_packet *packet,
                                      enum milter_answer answer) {
    static const enum load_outcome outcomes[] = {[MILTER_ACCEPT] = LOAD_ACCEPT,
                                                 [MILTER_DISCARD] = LOAD_DISCARD,
                                                 [MILTER_REJECT] = LOAD_REJECT,
                                                 [MILTER_TEMPFAIL] = LOAD_TEMPFAIL};
    record_answer(session, context->report);
    if (session->idle && session->position.step == LOAD_CONNECT)
        return park(session, context);
    if (answer == MILTER_CONTINUE)
        return proceed(session, context);
    bool worded = packet->command == SMFIR_REPLYCODE;
    return conclude(session, context, outcomes[answer],
                    worded ? (const char *)packet->payload : "");
}

/* Takes one packet. An answer must be the last thing there: what was not yet asked cannot have
   been answered. */
static enum load_progress take_packet(struct load_session *session, struct load_context *context,
                                      const struct milter_packet *packet, bool last) {
    if (session->parked)
        return fail(session, context, LOAD_ERROR_UNASKED, "");
    bool negotiating = session->position.step == LOAD_NEGOTIATE;
    uint32_t action = 0;
    enum milter_answer answer = negotiating ? MILTER_CONTINUE : milter_wire_answer(packet, &action);
    if (answer == MILTER_PROGRESS)
        return LOAD_RUNNING;
    if (answer == MILTER_MODIFY) {
        if (session->position.step != LOAD_EOM || (session->terms.actions & action) == 0)
            return fail(session, context, LOAD_ERROR_UNASKED, "a change that was not agreed on");
        context->report->modifications++;
        return LOAD_RUNNING;
    }
    if (answer == MILTER_MALFORMED ||
        (negotiating &&
         !load_script_agree(&session->terms, &context->terms_cache, packet, context->options)))
        return fail_answer(session, context, packet);
    if (!last)
        return fail(session, context, LOAD_ERROR_UNASKED, "");
    return take_answer(session, context, packet, answer);
}

static enum load_progress take_input(struct load_session *session, struct load_context *context) {
    struct milter_packet packet;
    size_t offset = 0;
    int found;
    while ((found = milter_wire_next(&session->in, &offset, &packet)) > 0) {
        bool last = offset == session->in.used;
        if (take_packet(session, context, &packet, last) == LOAD_ENDED)
            return LOAD_ENDED;
    }
    if (found < 0)
        return fail(session, context, LOAD_ERROR_MALFORMED, "impossible length");
    if (offset > 0) {
        session->in.used -= offset;
        memmove(session->in.bytes, session->in.bytes + offset, session->in.used);
    }
    return waiting(session);
}

static enum load_progress receive(struct load_session *session, struct load_context *context) {
    if (!milter_buffer_reserve(&session->in, READ_SIZE))
        return fail(session, context, LOAD_ERROR_SYSTEM, "out of memory");
    ssize_t got = recv(session->fd, session->in.bytes + session->in.used,
                       session->in.size - session->in.used, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return waiting(session);
    if (got <= 0)
        return fail(session, context, LOAD_ERROR_CLOSED, got < 0 ? strerror(errno) : "");
    session->in.used += (size_t)got;
    return take_input(session, context);
}

/* A socket and an identity for the session to come. */
static int prepare(struct load_session *session, const struct load_context *context,
                   uint64_t number) {
    session->fd =
        socket(context->options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (session->fd < 0)
        return -1;
    session->parked = false;
    session->position = (struct load_position){.step = LOAD_NEGOTIATE};
    memset(&session->terms, 0, sizeof session->terms);
    load_identity_make(&session->identity, context->options, number);
    session->in.used = session->out.used = session->sent = 0;
    session->message_ns = 0;
    session->begun_ns = load_session_clock();
    return 0;
}

enum load_progress load_session_begin(struct load_session *session, struct load_context *context,
                                      uint64_t number) {
    if (session->fd < 0 && prepare(session, context, number) != 0)
        return fail(session, context, LOAD_ERROR_SYSTEM, strerror(errno));
    const struct load_options *options = context->options;
    session->connecting = false;
    if (connect(session->fd, (const struct sockaddr *)&options->address, options->address_length) ==
        0)
        return ask(session, context);
    if (errno == EAGAIN)
        return LOAD_BUSY;
    if (errno != EINPROGRESS && errno != EINTR)
        return fail(session, context, LOAD_ERROR_CONNECT, strerror(errno));
    session->connecting = true;
    if (watch(session, context, EPOLLOUT) != 0)
        return fail(session, context, LOAD_ERROR_SYSTEM, strerror(errno));
    return LOAD_RUNNING;
}

enum load_progress load_session_event(struct load_session *session, struct load_context *context,
                                      uint32_t events) {
    if (session->connecting) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0)
            return fail(session, context, LOAD_ERROR_CONNECT, strerror(error));
        session->connecting = false;
        return ask(session, context);
    }
    if ((events & EPOLLOUT) != 0) {
        enum load_progress progress = flush(session, context);
        if (progress == LOAD_ENDED)
            return progress;
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0)
        return receive(session, context);
    return waiting(session);
}

void load_session_give_up(struct load_session *session, struct load_context *context) {
    fail(session, context, LOAD_ERROR_TIME, "");
}

void load_session_free(struct load_session *session) {
    end(session);
    milter_buffer_free(&session->in);
    milter_buffer_free(&session->out);
}
