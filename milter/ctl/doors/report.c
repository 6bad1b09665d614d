/*
 * What is told of the doors. Owns the remarks, the judgement of a certificate, and their forms.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../print.h"
#include "doors.h"
#include "gatepost/core/timestamp.h"
#include "our_text.h"

#define DAY 86400

/* Who renews by himself does it weeks before. */
#define DAYS_LEFT 14

void door_remark(struct door_report *report, enum remark_kind kind, const char *word,
                 const char *format, ...) {
    va_list args;
    if (report->n == sizeof report->remarks / sizeof *report->remarks)
        return;
    struct remark *remark = &report->remarks[report->n++];
    *remark = (struct remark){.kind = kind, .word = word};
    va_start(args, format);
    vsnprintf(remark->text, sizeof remark->text, format, args);
    va_end(args);
}

enum remark_kind door_worst(const struct door_report *report) {
    enum remark_kind worst = REMARK_NOTE;
    for (size_t i = 0; i < report->n; i++)
        if (report->remarks[i].kind > worst)
            worst = report->remarks[i].kind;
    return worst;
}

void door_judge_certificate(const struct doors_question *q, struct door_report *report,
                            bool needed) {
    const struct tls_seen *seen = &report->seen;
    enum remark_kind kind = needed ? REMARK_FINDING : REMARK_NOTE;
    char time[TIMESTAMP_SIZE];
    int64_t left = seen->expires - q->now;
    timestamp_format(seen->expires, time);
    if (seen->expires == 0) {
        door_remark(report, kind, "certificate-missing", "it shows no certificate");
        return;
    }
    if (seen->wrong_name)
        door_remark(report, kind, "certificate-name", "its certificate is not of %.200s, but of %s",
                    q->host, seen->names);
    if (seen->untrusted[0] != '\0')
        door_remark(report, kind, "certificate-untrusted", "its certificate: %s", seen->untrusted);
    if (seen->expired || left <= 0)
        door_remark(report, kind, "certificate-expired", "its certificate expired at %s", time);
    else if (left < DAYS_LEFT * DAY)
        door_remark(report, kind, "certificate-expires",
                    "its certificate expires in %d days, at %s", (int)(left / DAY), time);
}

void door_judge_end(struct door_report *report, const struct stream *stream) {
    static const char *const words[] = {
        [STREAM_OPEN] = "lost",          [STREAM_REFUSED] = "closed",
        [STREAM_LATE] = "no-answer",     [STREAM_HUNG_UP] = "hung-up",
        [STREAM_ODD] = "not-understood", [STREAM_BROKEN] = "not-reached"};
    door_remark(report, REMARK_UNKNOWN, words[stream->end], "%.500s", stream->why.text);
}

void door_judge_refusal(const struct doors_question *q, struct door_report *report,
                        const char *said) {
    enum reason reason;
    if (!our_text_find(q->config, said, &reason)) {
        door_remark(report, REMARK_UNKNOWN, "unproven",
                    "%.120s is refused, but not with the text of Gatepost: %.300s", q->canary.login,
                    said);
    } else if (reason == REASON_PROTOCOL_DISABLED) {
        report->refused_by_us = true;
        door_remark(report, REMARK_NOTE, "refused", "%.300s", said);
    } else {
        door_remark(report, REMARK_UNKNOWN, "unproven",
                    "%.120s is refused by Gatepost for another reason, %s: %.300s", q->canary.login,
                    reason_name(reason), said);
    }
}

/* In a word, how it stands. */
static const char *state_of(const struct door_report *report) {
    static const char *const words[] = {"good", "unknown", "finding"};
    return report->closed                                               ? "closed"
           : report->refused_by_us && door_worst(report) == REMARK_NOTE ? "refused"
                                                                        : words[door_worst(report)];
}

static const char *put_address(const struct door_report *report, char out[IP_TEXT_SIZE]) {
    return ip_format(&report->address, out);
}

void door_report_print(const struct door_report *report) {
    static const char *const kinds[] = {"", "unknown: ", "FINDING: "};
    char address[IP_TEXT_SIZE], time[TIMESTAMP_SIZE], where[IP_TEXT_SIZE + 8];
    snprintf(where, sizeof where, "%s %d", put_address(report, address), report->port);
    ctl_put_column(stdout, report->door->name, 12);
    ctl_put_column(stdout, where, 22);
    putchar(' ');
    fputs(state_of(report), stdout);
    if (report->seen.version != NULL && report->seen.expires != 0) {
        timestamp_format(report->seen.expires, time);
        printf(", %s, certificate until %.10s", report->seen.version, time);
    }
    putchar('\n');
    for (size_t i = 0; i < report->n; i++) {
        printf("  %s%s: ", kinds[report->remarks[i].kind], report->remarks[i].word);
        ctl_puts(stdout, report->remarks[i].text);
        putchar('\n');
    }
}

static json_t *certificate_json(const struct tls_seen *seen) {
    char time[TIMESTAMP_SIZE];
    if (seen->version == NULL || seen->expires == 0)
        return json_null();
    json_t *certificate = json_object();
    json_object_set_new(certificate, "names", json_text(seen->names));
    json_object_set_new(certificate, "expires", json_text(timestamp_format(seen->expires, time)));
    json_object_set_new(certificate, "verified", json_boolean(seen->verified));
    return certificate;
}

json_t *door_report_json(const struct door_report *report) {
    static const char *const kinds[] = {"note", "unknown", "finding"};
    char address[IP_TEXT_SIZE];
    json_t *told = json_object(), *remarks = json_array();
    for (size_t i = 0; i < report->n; i++) {
        json_t *remark = json_object();
        json_object_set_new(remark, "kind", json_text(kinds[report->remarks[i].kind]));
        json_object_set_new(remark, "word", json_text(report->remarks[i].word));
        json_object_set_new(remark, "text", json_text(report->remarks[i].text));
        json_array_append_new(remarks, remark);
    }
    json_object_set_new(told, "door", json_text(report->door->name));
    json_object_set_new(told, "address", json_text(put_address(report, address)));
    json_object_set_new(told, "port", json_integer(report->port));
    json_object_set_new(told, "state", json_text(state_of(report)));
    json_object_set_new(told, "tls", json_text(report->seen.version));
    json_object_set_new(told, "certificate", certificate_json(&report->seen));
    json_object_set_new(told, "remarks", remarks);
    return told;
}
