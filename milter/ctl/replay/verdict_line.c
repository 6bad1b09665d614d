/*
 * A verdict line read back. Owns the syntax of logfmt and JSON as textbuf.c writes them, and where
 * in a line of syslog they begin; what the values mean is the reader's business.
 */
#include "verdict_line.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../memory.h"
#include "gatepost/core/textbuf.h"

static const char *const keys[VERDICT_KEYS] = {
    [KEY_SESSION] = "session",
    [KEY_STAGE] = "stage",
    [KEY_LISTENER] = "listener",
    [KEY_SERVICE] = "service",
    [KEY_CLIENT] = "client",
    [KEY_HELO] = "helo",
    [KEY_SENDER] = "sender",
    [KEY_LOGIN] = "login",
    [KEY_ACCOUNT] = "account",
    [KEY_SPF] = "spf",
    [KEY_VERDICT] = "verdict",
    [KEY_REASON] = "reason",
    [KEY_MODE] = "mode",
    [KEY_WOULD] = "would",
    [KEY_TLS] = "tls",
    [KEY_SPF_HELO] = "spf-helo",
    [KEY_DOOR] = "door",
    [KEY_PASSWORD] = "password",
    [KEY_APP_PASSWORD] = "app-password",
    [KEY_SPF_PREFIX] = "spf-prefix",
};

const char *verdict_key_name(enum verdict_key key) {
    return keys[key];
}

static int hex(char c) {
    const char *digits = "0123456789abcdef", *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* A value longer than the log takes ends in "..."; one that found no room in the line is that. */
static struct verdict_value value_of(const char *text) {
    size_t len = strlen(text);
    bool dots = len >= 3 && strcmp(text + len - 3, "...") == 0;
    return (struct verdict_value){VALUE_THERE, text,
                                  dots && (len == 3 || len >= LOG_VALUE_MAX + 3)};
}

/* ---- logfmt ---- */

/* Undoes the escapes of a quoted value in place; returns what follows its closing quote, or NULL
 * when there is none. */
static char *unquote(char *from) {
    char *to = from;
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
        if (c == '\0')
            return NULL;
        *to++ = c;
    }
    char *behind = from + 1;
    *to = '\0';
    return behind;
}

static struct verdict_value *find_value(struct verdict_line *line, const char *key, size_t len) {
    for (size_t i = 0; i < VERDICT_KEYS; i++)
        if (strncmp(keys[i], key, len) == 0 && keys[i][len] == '\0')
            return &line->values[i];
    return NULL;
}

/* Takes the pair at `at`; returns what follows it, or NULL when the rest cannot be read. */
static char *take_pair(struct verdict_line *line, char *at) {
    size_t len = strcspn(at, "= ");
    struct verdict_value *value = at[len] == '=' ? find_value(line, at, len) : NULL;
    char *text = at + len, *behind = text;
    if (*text != '=')
        return text;
    if (*++text == '"') {
        behind = unquote(++text);
        if (behind == NULL)
            return NULL;
    } else {
        behind = text + strcspn(text, " ");
        if (*behind != '\0')
            *behind++ = '\0';
        if (*text == '\0') {
            if (value != NULL && value->state == VALUE_MISSING)
                value->state = VALUE_EMPTY;
            return behind;
        }
    }
    if (value != NULL && value->state == VALUE_MISSING)
        *value = value_of(text);
    return behind;
}

static void take_logfmt(struct verdict_line *line, char *at) {
    while (at != NULL && *at != '\0') {
        if (*at == ' ')
            at++;
        else
            at = take_pair(line, at);
    }
}

/* ---- JSON ---- */

/* Puts U+F780 to U+F7FF back into the octets that json_octets_kept() made them of. */
static void restore_octets(char *text) {
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
}

/*
 * Parses JSON in which \u0080 to \u00ff are octets that are no UTF-8, as textbuf.h says; NULL when
 * it is none. They become characters of private use.
 */
static json_t *json_octets_kept(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        if (*at != '\\')
            continue;
        if (strncmp(at, "\\u00", 4) == 0 && hex(at[4]) >= 8)
            memcpy(at + 2, "f7", 2);
        if (*++at == '\0')
            break;
    }
    return json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
}

/* Values are copied: the octets that were no UTF-8 have to be put back. */
static void take_json(struct verdict_line *line, const json_t *object) {
    for (size_t i = 0; i < VERDICT_KEYS; i++) {
        const json_t *member = json_object_get(object, keys[i]);
        if (json_is_null(member))
            line->values[i].state = VALUE_EMPTY;
        if (!json_is_string(member))
            continue;
        char *copy = xstrdup(json_string_value(member));
        restore_octets(copy);
        line->values[i] = value_of(copy);
    }
}

static enum line_kind take_object(struct verdict_line *line, char *text) {
    static const char usual[] = "{\"event\":\"verdict\"";
    bool begun = strncmp(text, usual, sizeof usual - 1) == 0;
    json_t *object = json_octets_kept(text);
    const char *name = json_string_value(json_object_get(object, "event"));
    if (name == NULL || strcmp(name, "verdict") != 0) {
        json_decref(object);
        return name == NULL && begun ? LINE_DAMAGED : LINE_OTHER;
    }
    take_json(line, object);
    line->object = object;
    return LINE_VERDICT;
}

/* ---- both ---- */

/*
 * Where the event begins: at the start of the line or after a prefix such as syslog's, which ends
 * with the first ": ". What follows later may be anybody's words.
 */
static char *find_event(char *line) {
    for (char *at = line; *at != '\0'; at++) {
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

void verdict_line_clear(struct verdict_line *line) {
    for (size_t i = 0; line->object != NULL && i < VERDICT_KEYS; i++)
        if (line->values[i].state == VALUE_THERE)
            free((char *)line->values[i].text);
    json_decref(line->object);
    *line = (struct verdict_line){0};
}

enum line_kind verdict_line_take(struct verdict_line *line, char *text, size_t len) {
    static const char verdict[] = "event=verdict ";
    verdict_line_clear(line);
    for (size_t i = 0; i < VERDICT_KEYS; i++)
        line->values[i].text = "";
    bool whole = strlen(text) == len; /* the log writes no NUL */
    text[strcspn(text, "\r\n")] = '\0';
    char *event = find_event(text);
    if (event == NULL)
        return LINE_OTHER;
    enum line_kind kind = LINE_OTHER;
    if (*event == '{') {
        kind = take_object(line, event);
    } else if (strncmp(event, verdict, sizeof verdict - 1) == 0) {
        take_logfmt(line, event);
        kind = LINE_VERDICT;
    }
    if (kind != LINE_VERDICT || whole)
        return kind;
    verdict_line_clear(line);
    return LINE_DAMAGED;
}
