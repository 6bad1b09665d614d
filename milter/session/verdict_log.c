/*
 * The verdict line. Owns its keys and their order; how a line is written is log.c's.
 */
#include "gatepost/session/verdict_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatepost/base/log.h"
#include "gatepost/core/textbuf.h"

/* What SPF said of HELO where that did not decide, so that spf= is of MAIL FROM; else NULL. */
static const char *helo_result(const struct decision *d) {
    const struct decision_step *first = NULL;
    for (size_t i = 0; i < d->n_steps; i++) {
        if (d->steps[i].rule == RULE_SPF && first != NULL)
            return spf_result_name((enum spf_result)first->value);
        if (d->steps[i].rule == RULE_SPF)
            first = &d->steps[i];
    }
    return NULL;
}

void verdict_log(const struct verdict_record *record) {
    const struct verdict *verdict = &record->decision->verdict;
    const struct reply_values *values = record->values;
    const struct reply *reply = record->reply;
    enum verdict_kind applied = verdict_applied(verdict);
    char from_text[700], reply_text[REPLY_TEXT_SIZE + 16], us[24], prefix[12];
    struct textbuf from;
    bool null_sender =
        record->stage != STAGE_CONNECT && values->sender != NULL && values->sender[0] == '\0';
    textbuf_init(&from, from_text, sizeof from_text);
    if (verdict->from.subject == NULL) {
        textbuf_puts(&from, "conf");
    } else {
        textbuf_puts(&from, verdict->from.subject);
        textbuf_puts(&from, ":");
        textbuf_puts(&from, verdict->from.field);
    }
    if (applied >= VERDICT_DEFER)
        reply_format(reply, verdict->door, reply_text, sizeof reply_text);
    snprintf(us, sizeof us, "%" PRId64, record->microseconds);
    const struct log_pair pairs[] = {
        {"stage", stage_name(record->stage)},
        {"session", values->session},
        {"queue", record->queue},
        {"listener", values->listener},
        {"service", values->service},
        {"client", values->client},
        {"helo", values->helo},
        {"sender", null_sender ? "<>" : values->sender},
        {"login", values->login},
        {"account", record->account == NULL ? NULL : values->account},
        {"spf", verdict->identity == IDENTITY_NONE ? NULL : spf_result_name(verdict->spf)},
        {"verdict", verdict_name(applied)},
        {"reason", reason_name(verdict->reason)},
        {"from", from.data},
        {"mode", verdict->monitor ? "monitor" : "enforce"},
        {"would", verdict->monitor ? verdict_name(verdict->kind) : NULL},
        {"reply", applied >= VERDICT_DEFER ? reply_text : NULL},
        {"us", us},
    };
    size_t n = sizeof pairs / sizeof *pairs;
    struct log_pair line[sizeof pairs / sizeof *pairs + 7];
    memcpy(line, pairs, sizeof pairs); /* the pinned keys; the others where they have to say much */
    if (record->tls != NULL)
        line[n++] = (struct log_pair){"tls", record->tls};
    if (helo_result(record->decision) != NULL)
        line[n++] = (struct log_pair){"spf-helo", helo_result(record->decision)};
    if (record->spf_prefix != NULL) {
        snprintf(prefix, sizeof prefix, "%u", *record->spf_prefix);
        line[n++] = (struct log_pair){"spf-prefix", prefix};
    }
    if (record->stage == STAGE_DOOR)
        line[n++] = (struct log_pair){"door", door_name(verdict->door)};
    if (record->password_id != NULL)
        line[n++] = (struct log_pair){"password", record->password_id};
    else if (record->app_password)
        line[n++] = (struct log_pair){"app-password", "yes"};
    if (record->stale)
        line[n++] = (struct log_pair){"policy", "stale"};
    if (record->spf_problem != NULL && record->spf_problem[0] != '\0')
        line[n++] = (struct log_pair){"problem", record->spf_problem};
    log_pairs(LOG_INFO, "verdict", line, n);
}
