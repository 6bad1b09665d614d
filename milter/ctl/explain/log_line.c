/*
 * A verdict line read back. Owns the syntax of logfmt and JSON as textbuf.c writes them, and where
 * in a line of syslog they begin.
 */
#include "log_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../memory.h"
#include "gatepost/base/line.h"
#include "gatepost/core/textbuf.h"

/* A line taken apart: logfmt as it is, or a JSON object. */
struct parts {
    const char *logfmt;
    json_t *object;
};

static int hex(char c) {
    const char *digits = "0123456789abcdef", *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Undoes the escapes of a quoted value up to its closing quote; NULL when there is none. */
static char *unquote(const char *from) {
    char *value = xmalloc(strlen(from) + 1), *to = value;
    for (; *from != '"'; from++) {
        char c = *from;
        if (c == '\\') {
            static const char letters[] = "nrt", meant[] = "\n\r\t";
            c = *++from;
            const char *letter = c == '\0' ? NULL : strchr(letters, c);
            if (letter != NULL) {
                c = meant[letter - letters];
            } else if (c == 'x' && hex(from[1]) >= 0 && hex(from[2]) >= 0) {
                c = (char)(hex(from[1]) * 16 + hex(from[2]));
                from += 2;
            }
        }
        if (c == '\0') {
            free(value);
            return NULL;
        }
        *to++ = c;
    }
    *to = '\0';
    return value;
}

/* What follows ` key=` in a logfmt line; NULL when it is absent. */
static const char *logfmt_find(const char *line, const char *key) {
    size_t len = strlen(key);
    bool quoted = false;
    for (const char *at = line; *at != '\0'; at++) {
        if (*at == '\\' && quoted && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && (at == line || at[-1] == ' ') && strncmp(at, key, len) == 0 &&
                 at[len] == '=')
            return at + len + 1;
    }
    return NULL;
}

/* Puts U+F780 to U+F7FF back into the octets that json_octets_kept() made them of. */
static char *restore_octets(char *text) {
    unsigned char *to = (unsigned char *)text;
    for (const unsigned char *from = to; *from != '\0'; to++) {
        if (from[0] == 0xef && (from[1] & 0xfe) == 0x9e) {
            *to = (unsigned char)((from[1] & 3) << 6 | (from[2] & 0x3f));
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return text;
}

/*
 * Parses JSON in which \u0080 to \u00ff are octets that are no UTF-8, as textbuf.h says; NULL when
 * it is none. They become characters of private use.
 */
static json_t *json_octets_kept(const char *text) {
    char *copy = xstrdup(text);
    for (char *at = copy; *at != '\0'; at++) {
        if (*at != '\\')
            continue;
        if (strncmp(at, "\\u00", 4) == 0 && hex(at[4]) >= 8)
            memcpy(at + 2, "f7", 2);
        if (*++at == '\0')
            break;
    }
    json_t *object = json_loads(copy, JSON_DISABLE_EOF_CHECK, NULL);
    free(copy);
    return object;
}

/* A value of the line, malloc'd. Returns 1, 0 when it is empty, -1 when it cannot be read. */
static int read_value(const struct parts *parts, const char *key, char **value) {
    *value = NULL;
    if (parts->object != NULL) {
        const json_t *member = json_object_get(parts->object, key);
        if (json_is_null(member))
            return 0;
        if (json_is_string(member))
            *value = xstrdup(json_string_value(member));
        if (*value != NULL)
            restore_octets(*value);
    } else {
        const char *at = logfmt_find(parts->logfmt, key);
        size_t bare = at == NULL ? 0 : strcspn(at, " ");
        if (at != NULL && bare == 0)
            return 0;
        if (at != NULL)
            *value = *at == '"' ? unquote(at + 1) : xstrndup(at, bare);
    }
    return *value == NULL ? -1 : 1;
}

/*
 * Where the event begins: at the start of the line or after a prefix such as syslog's, which ends
 * with the first ": ". What follows later may be anybody's words.
 */
static const char *find_event(const char *line) {
    for (const char *at = line; *at != '\0'; at++) {
        bool colon = at[0] == ':' && at[1] == ' ';
        if (colon)
            at += 2;
        if ((colon || at == line || at[-1] == ' ' || at[-1] == '\t') &&
            (*at == '{' || strncmp(at, "event=", 6) == 0))
            return at;
        if (colon)
            return NULL;
    }
    return NULL;
}

/* Takes a line apart; false when it is no verdict. */
static bool take_apart(const char *line, struct parts *parts) {
    const char *event = find_event(line);
    *parts = (struct parts){0};
    if (event == NULL)
        return false;
    if (*event != '{') {
        parts->logfmt = event;
        return strncmp(event, "event=verdict ", 14) == 0;
    }
    parts->object = json_octets_kept(event);
    const char *name = json_string_value(json_object_get(parts->object, "event"));
    if (name != NULL && strcmp(name, "verdict") == 0)
        return true;
    json_decref(parts->object);
    parts->object = NULL;
    return false;
}

/* The last of the lines that is a verdict, malloc'd; NULL when none is, with the reason. */
static char *last_verdict(FILE *from, struct parts *parts, struct why *why) {
    char *found = NULL, *line = NULL;
    size_t room = 0;
    ssize_t len;
    unsigned long number = 1;
    *parts = (struct parts){0};
    why_set(why,
            "there is no line with event=verdict; --log takes a line, or - for standard input");
    for (; (len = line_read(from, &line, &room)) >= 0; number++) {
        struct parts these;
        line[strcspn(line, "\r\n")] = '\0';
        if (!take_apart(line, &these))
            continue;
        json_decref(parts->object);
        free(found);
        *parts = these;
        found = line; /* which a logfmt line stays in */
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
    json_decref(parts->object);
    free(found);
    return NULL;
}

void log_line_clear(struct log_line *line) {
    for (size_t i = 0; i < line->n; i++)
        free(line->values[i]);
    *line = (struct log_line){0};
}

enum { CLIENT, HELO, SENDER, LOGIN, LISTENER, STAGE, REASON, SERVICE, DOOR, PASSWORD, KEYS };
static const char *const keys[KEYS] = {"client", "helo",   "sender",  "login", "listener",
                                       "stage",  "reason", "service", "door",  "password"};

/* All values; -1 when one is missing, cannot be read or, but for HELO, has been cut. */
static int read_values(const struct parts *parts, const struct ctl_question *given,
                       struct log_line *line, const char *found[KEYS], struct why *why) {
    const char *const instead[KEYS] = {
        [SENDER] = given->from, [LOGIN] = given->login, [LISTENER] = given->listener};
    for (size_t i = 0; i < KEYS; i++) {
        char *value;
        found[i] = NULL;
        if (i == PASSWORD) { /* only where it was an app password */
            if (read_value(parts, keys[i], &value) > 0)
                found[i] = line->values[line->n++] = value;
            continue;
        }
        if (i == DOOR &&
            (found[STAGE] == NULL || strcmp(found[STAGE], stage_name(STAGE_DOOR)) != 0))
            continue; /* the MTA's lines have none */
        int rc = read_value(parts, keys[i], &value);
        size_t len = value == NULL ? 0 : strlen(value);
        found[i] = value;
        if (value != NULL)
            line->values[line->n++] = value;
        if (rc < 0) {
            return why_set(why, "cannot read %s=: is the line complete?", keys[i]);
        }
        if (i != HELO && instead[i] == NULL && len >= LOG_VALUE_MAX + 3 &&
            strcmp(value + len - 3, "...") == 0)
            return why_set(why, "%s= was cut because it was too long for the log", keys[i]);
    }
    return 0;
}

int log_line_read(FILE *from, struct log_line *line, struct ctl_question *question,
                  struct why *why) {
    const char *found[KEYS];
    struct parts parts;
    char *verdict = last_verdict(from, &parts, why);
    *line = (struct log_line){0};
    if (verdict == NULL)
        return -1;
    int rc = read_values(&parts, question, line, found, why);
    json_decref(parts.object);
    free(verdict);
    if (rc == 0 && found[STAGE] != NULL && strcmp(found[STAGE], stage_name(STAGE_DATA)) == 0)
        rc = why_set(why, "that verdict is on the message's header, which the log does not have");
    if (rc != 0) {
        log_line_clear(line);
        return -1;
    }
    if (question->door == NULL && found[DOOR] != NULL) {
        question->door = found[DOOR];
        question->service = found[SERVICE];
        question->app_password = found[PASSWORD] != NULL;
    }
    bool connect = found[STAGE] != NULL && strcmp(found[STAGE], stage_name(STAGE_CONNECT)) == 0;
    if (question->from == NULL && question->login == NULL) {
        question->connect_only = connect;
        question->login = found[LOGIN];
    }
    if (question->from == NULL)
        question->from = found[SENDER] == NULL ? "" : found[SENDER];
    if (question->ip == NULL)
        question->ip = found[CLIENT] == NULL ? "unknown" : found[CLIENT];
    if (question->helo == NULL)
        question->helo = found[HELO];
    if (question->listener == NULL)
        question->listener = found[LISTENER];
    question->tls |= found[REASON] == NULL || strcmp(found[REASON], "tls-required") != 0;
    return 0;
}
