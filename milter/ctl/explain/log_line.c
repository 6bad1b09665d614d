/*
 * The question that a verdict line is the answer to. Owns which of several lines counts and what is
 * taken from it; the syntax is verdict_line.c's.
 */
#include "log_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../replay/verdict_line.h"
#include "gatepost/base/line.h"
#include "gatepost/core/vocabulary.h"

/* Is it a line of the session that is asked for? */
static bool is_of(const struct verdict_line *line, const char *session) {
    return session == NULL || strcmp(line->values[KEY_SESSION].text, session) == 0;
}

/* The last of the lines that is a verdict, malloc'd; NULL when none is, with the reason. */
static char *last_verdict(FILE *from, const char *session, struct verdict_line *verdict,
                          struct why *why) {
    char *found = NULL, *line = NULL;
    size_t room = 0;
    ssize_t len;
    unsigned long number = 1;
    if (session == NULL)
        why_set(why, "there is no line with event=verdict; --log takes a line, a file, or - for "
                     "standard input");
    else
        why_set(why, "there is no line with event=verdict of session %.60s", session);
    for (; (len = line_read(from, &line, &room)) >= 0; number++) {
        struct verdict_line these = {0};
        line[strcspn(line, "\r\n")] = '\0'; /* what follows a NUL is not looked at */
        if (verdict_line_take(&these, line, strlen(line)) != LINE_VERDICT)
            continue;
        if (!is_of(&these, session)) {
            verdict_line_clear(&these);
            continue;
        }
        verdict_line_clear(verdict);
        free(found);
        *verdict = these;
        found = line; /* which values of logfmt stay in */
        line = NULL;
        room = 0;
    }
    free(line);
    if (feof(from))
        return found;
    if (len == LINE_TOO_LONG)
        why_set(why, "line %lu is longer than 1 MiB", number);
    else
        why_set(why, "%s", strerror(errno));
    verdict_line_clear(verdict);
    free(found);
    return NULL;
}

void log_line_clear(struct log_line *line) {
    for (size_t i = 0; i < line->n; i++)
        free(line->values[i]);
    *line = (struct log_line){0};
}

/* Those that make the question. */
static const enum verdict_key asked[] = {KEY_CLIENT,   KEY_HELO,  KEY_SENDER,   KEY_LOGIN,
                                         KEY_LISTENER, KEY_STAGE, KEY_REASON,   KEY_SERVICE,
                                         KEY_DOOR,     KEY_TLS,   KEY_PASSWORD, KEY_APP_PASSWORD};
#define ASKED (sizeof asked / sizeof *asked)
_Static_assert(ASKED <= sizeof((struct log_line *)NULL)->values / sizeof(char *), "room for each");

/* Lines of the MTA have no door; before tls= was logged it was in none; the others are of app
 * passwords. */
static bool may_be_missing(enum verdict_key key, const char *const found[VERDICT_KEYS]) {
    const char *stage = found[KEY_STAGE];
    return key == KEY_TLS || key == KEY_PASSWORD || key == KEY_APP_PASSWORD ||
           (key == KEY_DOOR && (stage == NULL || strcmp(stage, stage_name(STAGE_DOOR)) != 0));
}

/* All values; -1 when one is missing, cannot be read or, but for HELO, has been cut. */
static int read_values(const struct verdict_line *verdict, const struct ctl_question *given,
                       struct log_line *line, const char *found[VERDICT_KEYS], struct why *why) {
    const char *const instead[VERDICT_KEYS] = {
        [KEY_SENDER] = given->from, [KEY_LOGIN] = given->login, [KEY_LISTENER] = given->listener};
    for (size_t i = 0; i < ASKED; i++) {
        enum verdict_key key = asked[i];
        const struct verdict_value *value = &verdict->values[key];
        found[key] = NULL;
        if (value->state == VALUE_MISSING && may_be_missing(key, found))
            continue;
        if (value->state == VALUE_MISSING)
            return why_set(why, "cannot read %s=: is the line complete?", verdict_key_name(key));
        if (value->state == VALUE_THERE)
            found[key] = line->values[line->n++] = xstrdup(value->text);
        if (key != KEY_HELO && instead[key] == NULL && value->cut && strlen(value->text) > 3)
            return why_set(why, "%s= was cut because it was too long for the log",
                           verdict_key_name(key));
    }
    return 0;
}

/* What the line says; before it had tls=, only the reason did. */
static bool had_tls(const char *const found[VERDICT_KEYS]) {
    if (found[KEY_TLS] != NULL)
        return strcmp(found[KEY_TLS], "yes") == 0;
    return found[KEY_REASON] == NULL || strcmp(found[KEY_REASON], "tls-required") != 0;
}

int log_line_read(FILE *from, struct log_line *line, struct ctl_question *question,
                  struct why *why) {
    const char *found[VERDICT_KEYS];
    struct verdict_line parts = {0};
    char *verdict = last_verdict(from, question->session, &parts, why);
    *line = (struct log_line){0};
    if (verdict == NULL)
        return -1;
    int rc = read_values(&parts, question, line, found, why);
    verdict_line_clear(&parts);
    free(verdict);
    const char *stage = rc == 0 ? found[KEY_STAGE] : NULL;
    if (stage != NULL && strcmp(stage, stage_name(STAGE_DATA)) == 0)
        rc = why_set(why, "that verdict is on the message's header, which the log does not have");
    if (rc != 0) {
        log_line_clear(line);
        return -1;
    }
    if (question->door == NULL && found[KEY_DOOR] != NULL) {
        question->door = found[KEY_DOOR];
        question->service = found[KEY_SERVICE];
        question->app_password |=
            found[KEY_PASSWORD] != NULL ||
            (found[KEY_APP_PASSWORD] != NULL && strcmp(found[KEY_APP_PASSWORD], "yes") == 0);
    }
    bool connect = stage != NULL && strcmp(stage, stage_name(STAGE_CONNECT)) == 0;
    if (question->from == NULL && question->login == NULL) {
        question->connect_only = connect;
        question->login = found[KEY_LOGIN];
    }
    if (question->from == NULL)
        question->from = found[KEY_SENDER] == NULL ? "" : found[KEY_SENDER];
    if (question->ip == NULL)
        question->ip = found[KEY_CLIENT] == NULL ? "unknown" : found[KEY_CLIENT];
    if (question->helo == NULL)
        question->helo = found[KEY_HELO];
    if (question->listener == NULL)
        question->listener = found[KEY_LISTENER];
    question->tls |= had_tls(found);
    return 0;
}
