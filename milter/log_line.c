/*
 * A verdict line read back. Owns the syntax of logfmt as textbuf.c writes it.
 */
#include "gatepost/log_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static int hex(char c) {
    const char *digits = "0123456789abcdef", *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Undoes the escapes of a quoted value up to its closing quote; NULL when there is none. */
static char *unquote(const char *from) {
    char *value = malloc(strlen(from) + 1), *to = value;
    for (; value != NULL && *from != '"'; from++) {
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
    if (value != NULL)
        *to = '\0';
    return value;
}

/* The value of ` key=` in a logfmt line, malloc'd; NULL when it is absent. */
static char *logfmt_value(const char *line, const char *key) {
    size_t len = strlen(key);
    bool quoted = false;
    for (const char *at = line; *at != '\0'; at++) {
        if (*at == '\\' && quoted && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && (at == line || at[-1] == ' ') && strncmp(at, key, len) == 0 &&
                 at[len] == '=') {
            const char *value = at + len + 1;
            size_t bare = strcspn(value, " \n");
            if (*value == '"')
                return unquote(value + 1);
            return bare == 0 ? NULL : strndup(value, bare);
        }
    }
    return NULL;
}

static char *json_value(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? NULL : strdup(text);
}

/* Keeps the value with the line, which owns it. */
static const char *keep(struct log_line *line, char *value) {
    if (value != NULL)
        line->values[line->n++] = value;
    return value;
}

void log_line_clear(struct log_line *line) {
    for (size_t i = 0; i < line->n; i++)
        free(line->values[i]);
    *line = (struct log_line){0};
}

int log_line_read(const char *text, struct log_line *line, struct ctl_question *question, char *why,
                  size_t why_size) {
    static const char *const keys[] = {"client", "helo", "sender", "login", "listener", "reason"};
    const char *found[6];
    const char *logfmt = strstr(text, "event=verdict "), *brace = strchr(text, '{');
    json_t *object =
        logfmt != NULL || brace == NULL ? NULL : json_loads(brace, JSON_DISABLE_EOF_CHECK, NULL);
    const char *event = json_string_value(json_object_get(object, "event"));
    *line = (struct log_line){0};
    if (logfmt == NULL && (event == NULL || strcmp(event, "verdict") != 0)) {
        json_decref(object);
        snprintf(why, why_size, "this is no line with event=verdict");
        return -1;
    }
    for (size_t i = 0; i < 6; i++)
        found[i] = keep(line, object != NULL ? json_value(object, keys[i])
                                             : logfmt_value(logfmt, keys[i]));
    json_decref(object);
    if (found[0] == NULL) {
        log_line_clear(line);
        snprintf(why, why_size, "it names no client");
        return -1;
    }
    question->ip = found[0];
    question->helo = found[1];
    question->from = found[2] == NULL ? "" : found[2];
    question->login = found[3];
    question->listener = found[4];
    question->tls = found[5] == NULL || strcmp(found[5], "tls-required") != 0;
    return 0;
}
