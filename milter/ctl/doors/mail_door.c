/*
 * One door of mail, tried as a stranger and as the canary would. Owns the way through a
 * conversation and what its answers say of the door.
 */
#include <string.h>

#include "doors.h"
#include "gatepost/base/clock.h"
#include "our_text.h"

/* An answer that ends the conversation before all is known. */
static void judge_answer(struct door_report *report, const struct talk *talk,
                         enum talk_answer answer, const char *to) {
    if (answer == TALK_LOST)
        door_judge_end(report, talk->stream);
    else if (answer == TALK_OPEN)
        door_remark(report, REMARK_FINDING, "open", "whoever comes is logged in: %.300s",
                    talk->said);
    else if (answer == TALK_ODD)
        door_remark(report, REMARK_UNKNOWN, "not-understood", "no %s: %.300s",
                    talk_name(talk->protocol), talk->said);
    else
        door_remark(report, REMARK_UNKNOWN, "turned-away", "%s is answered with: %.300s", to,
                    talk->said);
}

static bool start_tls(const struct doors_question *q, struct door_report *report,
                      struct talk *talk) {
    enum tls_result result;
    if (stream_start_tls(talk->stream, q->host, &report->seen, &result) == 0)
        return true;
    if (result == TLS_FAILED)
        door_remark(report, REMARK_FINDING, "no-tls", "there is no TLS: %s",
                    talk->stream->why.text);
    else
        door_judge_end(report, talk->stream);
    return false;
}

/* A greeting that refuses: by Gatepost, or nobody knows why. */
static bool hear_greeting(const struct doors_question *q, struct door_report *report,
                          struct talk *talk, enum talk_step step) {
    enum reason reason;
    enum talk_answer answer = talk_say(talk, step, NULL);
    if (answer == TALK_YES || (answer == TALK_NOTHING && step == TALK_GREETING_BY_TLS))
        return true;
    if (answer == TALK_NO && our_text_find(q->config, talk->said, &reason))
        door_remark(report, REMARK_NOTE, "refused", "Gatepost refuses this client: %s: %.300s",
                    reason_name(reason), talk->said);
    else
        judge_answer(report, talk, answer, "the connection");
    return false;
}

static bool hear_offers(struct door_report *report, struct talk *talk) {
    enum talk_answer answer = talk_say(talk, TALK_CAPABILITIES, NULL);
    if (answer != TALK_YES && answer != TALK_NOTHING)
        judge_answer(report, talk, answer, "the question for its capabilities");
    return answer == TALK_YES || answer == TALK_NOTHING;
}

/* What it says in the clear; goes on to TLS. false: that is all. */
static bool leave_the_clear(const struct doors_question *q, struct door_report *report,
                            struct talk *talk) {
    const struct talk_offers offers = talk->offers;
    const char *how = offers.mechanisms[0] != '\0' ? offers.mechanisms : "user name and password";
    if (offers.login && talk->stream->from_itself)
        door_remark(report, REMARK_UNKNOWN, "auth-to-itself",
                    "it offers a login without TLS (%s) to its own address: ask from another host",
                    how);
    else if (offers.login)
        door_remark(report, REMARK_FINDING, "auth-in-the-clear",
                    "it offers a login without TLS: %s", how);
    if (!offers.starttls) {
        door_remark(report, offers.login ? REMARK_FINDING : REMARK_NOTE, "no-tls",
                    "it does not offer TLS%s", offers.login ? "" : ", and no login");
        return false;
    }
    enum talk_answer answer = talk_say(talk, TALK_STARTTLS, NULL);
    if (answer == TALK_YES)
        return start_tls(q, report, talk) && hear_greeting(q, report, talk, TALK_GREETING_BY_TLS) &&
               hear_offers(report, talk);
    judge_answer(report, talk, answer, "STARTTLS");
    return false;
}

/* After a login that was not refused: SMTP may refuse its sender. */
static void try_sender(const struct doors_question *q, struct door_report *report,
                       struct talk *talk) {
    enum talk_answer answer = talk_say(talk, TALK_SENDER, q->canary.sender);
    if (answer == TALK_YES || answer == TALK_NOTHING || answer == TALK_OPEN)
        door_remark(report, REMARK_FINDING, "let-in", "it lets %.200s in", q->canary.login);
    else if (answer == TALK_NO || answer == TALK_LATER)
        door_judge_refusal(q, report, talk->said);
    else
        judge_answer(report, talk, answer, "MAIL");
}

static void try_canary(const struct doors_question *q, struct door_report *report,
                       struct talk *talk) {
    if (!report->seen.verified) {
        door_remark(report, REMARK_UNKNOWN, "not-tried",
                    "the password of %.200s is not sent to that certificate", q->canary.login);
        return;
    }
    if (!talk->offers.plain) {
        door_remark(report, REMARK_UNKNOWN, "not-tried", "it does not offer PLAIN, but: %s",
                    talk->offers.mechanisms[0] != '\0' ? talk->offers.mechanisms : "no SASL");
        return;
    }
    enum talk_answer answer = talk_say(talk, TALK_LOGIN, q->canary.token);
    if (answer == TALK_GO_ON)
        answer = talk_say(talk, TALK_TOKEN, q->canary.token);
    if (answer == TALK_YES)
        try_sender(q, report, talk);
    else if (answer == TALK_NO || answer == TALK_LATER)
        door_judge_refusal(q, report, talk->said);
    else
        judge_answer(report, talk, answer, "the login");
}

static void converse(const struct doors_question *q, struct door_report *report,
                     struct talk *talk) {
    if (report->door->wrapped && !start_tls(q, report, talk))
        return;
    if (!hear_greeting(q, report, talk, TALK_GREETING) || !hear_offers(report, talk))
        return;
    if (!report->door->wrapped && !leave_the_clear(q, report, talk))
        return;
    bool login = talk->offers.login;
    door_judge_certificate(q, report, login);
    if (!login)
        door_remark(report, REMARK_NOTE, "no-login", "it offers no login");
    else if (q->canary.token != NULL)
        try_canary(q, report, talk);
}

void mail_door_try(const struct doors_question *q, struct door_report *report) {
    struct stream stream;
    struct talk talk = {.protocol = report->door->protocol, .stream = &stream};
    if (stream_open(&stream, &report->address, report->port, clock_now_ms() + q->patience) == 0) {
        converse(q, report, &talk);
        if (stream.end == STREAM_OPEN)
            talk_say(&talk, TALK_BYE, NULL);
    } else if (stream.end == STREAM_REFUSED) {
        report->closed = true;
    } else {
        door_judge_end(report, &stream);
    }
    stream_close(&stream);
}
