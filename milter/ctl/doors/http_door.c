/*
 * One door of HTTP, tried as a stranger and as the canary would, by Basic. Owns the two requests
 * and what their answers say of the door.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doors.h"
#include "gatepost/base/clock.h"
#include "our_text.h"

/* The part of a body that is looked at. */
#define BODY_MAX 32768

struct answer {
    int status;                  /* 0: none came */
    char said[STREAM_LINE_SIZE]; /* the line that is Gatepost's if any is, else the first one */
};

/* Keeps the line if it may be a reply of Gatepost. */
static bool keep_ours(const struct doors_question *q, const char *line, struct answer *answer) {
    enum reason reason;
    if (!our_text_find(q->config, line, &reason))
        return false;
    size_t len = strnlen(line, sizeof answer->said - 1);
    memcpy(answer->said, line, len);
    answer->said[len] = '\0';
    return true;
}

static void hear_body(const struct doors_question *q, struct stream *stream,
                      struct answer *answer) {
    char body[BODY_MAX + 1];
    size_t len = 0;
    ssize_t n;
    while (len < BODY_MAX && (n = stream_octets(stream, body + len, BODY_MAX - len)) > 0)
        len += (size_t)n;
    for (size_t i = 0; i < len; i++)
        if (body[i] == '\0')
            body[i] = ' ';
    body[len] = '\0';
    for (char *line = body, *rest; line != NULL; line = rest) {
        rest = strpbrk(line, "\r\n");
        if (rest != NULL)
            *rest++ = '\0';
        if (keep_ours(q, line, answer))
            return;
    }
}

/* The status line and what comes after it; an answer that is cut short is none. */
static int hear_answer(const struct doors_question *q, struct stream *stream,
                       struct answer *answer) {
    static const char field[] = "X-Gatepost-Text:";
    char line[STREAM_LINE_SIZE];
    bool ours = false;
    int status, end = 0;
    if (stream_line(stream, line) != 0)
        return -1;
    if (sscanf(line, "HTTP/1.%*1[01] %3d%n", &status, &end) != 1 || status < 100 ||
        (line[end] != ' ' && line[end] != '\0')) {
        stream->end = STREAM_ODD;
        return why_set(&stream->why, "no HTTP: %.300s", line);
    }
    snprintf(answer->said, sizeof answer->said, "%s", line);
    for (;;) { /* the stream ends a header that has no end */
        if (stream_line(stream, line) != 0)
            return -1;
        if (line[0] == '\0') {
            if (!ours)
                hear_body(q, stream, answer);
            answer->status = status;
            return 0;
        }
        if (strncasecmp(line, field, sizeof field - 1) == 0 && !ours)
            ours = keep_ours(q, line + sizeof field - 1 + strspn(line + sizeof field - 1, " "),
                             answer);
    }
}

static int ask(const struct doors_question *q, struct stream *stream, const char *path, int port,
               const char *basic, struct answer *answer) {
    char request[4096], number[12] = "";
    bool brackets = strchr(q->host, ':') != NULL;
    if (port != 443)
        snprintf(number, sizeof number, ":%d", port);
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: %s%s%s%s\r\nUser-Agent: gatepostctl\r\n"
                       "Accept: */*\r\nConnection: close\r\n%s%s%s\r\n",
                       path, brackets ? "[" : "", q->host, brackets ? "]" : "", number,
                       basic != NULL ? "Authorization: Basic " : "", basic != NULL ? basic : "",
                       basic != NULL ? "\r\n" : "");
    int rc = -1;
    if (len < 0 || (size_t)len >= sizeof request)
        why_set(&stream->why, "the path is too long");
    else
        rc = stream_say(stream, request, (size_t)len);
    explicit_bzero(request, sizeof request);
    return rc == 0 ? hear_answer(q, stream, answer) : -1;
}

/* One request on a connection of its own. false: there is no answer, and it has been told why. */
static bool visit(const struct doors_question *q, const char *path, const char *basic,
                  int64_t deadline, struct door_report *report, struct answer *answer) {
    struct stream stream;
    enum tls_result result = TLS_DONE;
    *answer = (struct answer){0};
    bool there = stream_open(&stream, &report->address, report->port, deadline) == 0 &&
                 stream_start_tls(&stream, q->host, &report->seen, &result) == 0;
    if (there && (basic == NULL || report->seen.verified))
        ask(q, &stream, path, report->port, basic, answer);
    if (stream.end == STREAM_REFUSED)
        report->closed = basic == NULL;
    else if (result == TLS_FAILED)
        door_remark(report, REMARK_FINDING, "no-tls", "there is no TLS: %s", stream.why.text);
    else if (answer->status == 0)
        door_judge_end(report, &stream);
    stream_close(&stream);
    return answer->status != 0;
}

static void judge_canary(const struct doors_question *q, struct door_report *report,
                         const struct answer *answer) {
    bool refused = answer->status == 401 || answer->status == 403 || answer->status == 429 ||
                   answer->status >= 500;
    enum reason reason;
    if (!refused)
        door_remark(report, REMARK_FINDING, "let-in", "it lets %.200s in: %.300s", q->canary.login,
                    answer->said);
    else if (answer->status != 403 && our_text_find(q->config, answer->said, &reason) &&
             reason == REASON_PROTOCOL_DISABLED)
        door_remark(report, REMARK_UNKNOWN, "unproven",
                    "%.120s is refused by status %d, which should be 403: %.300s", q->canary.login,
                    answer->status, answer->said);
    else
        door_judge_refusal(q, report, answer->said);
}

void http_door_try(const struct doors_question *q, size_t entry, struct door_report *report) {
    int64_t deadline = clock_now_ms() + q->patience;
    struct answer answer;
    if (!visit(q, q->paths[entry], NULL, deadline, report, &answer))
        return;
    door_judge_certificate(q, report, true);
    if (answer.status != 401) {
        bool unknown = q->canary.token != NULL || answer.status >= 500;
        door_remark(report, unknown ? REMARK_UNKNOWN : REMARK_NOTE, "no-login",
                    "it does not ask for a login by Basic: %.300s", answer.said);
        return;
    }
    if (q->canary.token == NULL)
        return;
    if (!report->seen.verified)
        door_remark(report, REMARK_UNKNOWN, "not-tried",
                    "the password of %.200s is not sent to that certificate", q->canary.login);
    else if (visit(q, q->paths[entry], q->canary.basic, deadline, report, &answer))
        judge_canary(q, report, &answer);
}
