/*
 * Bounded texts and the safe ways into them. Owns every escape that the filter knows; a stranger's
 * octets reach a log, a reply or a header through here only.
 */
#include "gatepost/core/textbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void textbuf_init(struct textbuf *buf, char *memory, size_t size) {
    *buf = (struct textbuf){.data = memory, .size = size};
    buf->data[0] = '\0';
}

void textbuf_put(struct textbuf *buf, const char *bytes, size_t len) {
    size_t room = buf->size - buf->len - 1;
    if (len > room) {
        len = room;
        buf->cut = true;
    }
    memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void textbuf_puts(struct textbuf *buf, const char *text) {
    textbuf_put(buf, text, strlen(text));
}

void textbuf_printf(struct textbuf *buf, const char *format, ...) {
    size_t room = buf->size - buf->len;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(buf->data + buf->len, room, format, args);
    va_end(args);
    if (wanted < 0)
        return;
    buf->cut |= (size_t)wanted >= room;
    buf->len += (size_t)wanted < room ? (size_t)wanted : room - 1;
}

static bool is_continuation(unsigned char c) {
    return (c & 0xc0) == 0x80;
}

size_t utf8_sequence(const char *text, size_t len) {
    const unsigned char *s = (const unsigned char *)text;
    if (len == 0 || s[0] == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    size_t want = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len < want)
        return 0;
    for (size_t i = 1; i < want; i++)
        if (!is_continuation(s[i]))
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return want;
}

/* C1 controls, line separators, U+061C and other marks and overrides of direction. */
bool utf8_is_deceptive(const char *text, size_t sequence) {
    const unsigned char *s = (const unsigned char *)text;
    if (sequence == 1)
        return s[0] < 0x20 || s[0] == 0x7f;
    if (sequence == 2)
        return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xd8 && s[1] == 0x9c);
    if (sequence != 3 || s[0] != 0xe2)
        return false;
    if (s[1] == 0x80)
        return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
    return s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

enum escape_style { STYLE_LOGFMT, STYLE_JSON, STYLE_VISIBLE };

/* One character inside quotes; returns the octets taken from text. */
static size_t put_quoted(struct textbuf *buf, const char *text, size_t len, enum escape_style how) {
    unsigned char c = (unsigned char)text[0];
    size_t sequence = utf8_sequence(text, len);
    if (c == '\\' || (c == '"' && how != STYLE_VISIBLE))
        textbuf_printf(buf, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        textbuf_printf(buf, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (sequence > 0 && !utf8_is_deceptive(text, sequence))
        textbuf_put(buf, text, sequence);
    else if (how == STYLE_JSON) /* JSON has no octets: an invalid one is shown as U+00HH */
        textbuf_printf(buf, "\\u%04x", c);
    else
        textbuf_printf(buf, "\\x%02x", c);
    if (c < 0x80 || sequence == 0)
        return 1;
    return utf8_is_deceptive(text, sequence) ? 1 : sequence;
}

static void put_all_quoted(struct textbuf *buf, const char *value, enum escape_style how) {
    size_t len = strlen(value);
    size_t shown = len > LOG_VALUE_MAX ? LOG_VALUE_MAX : len;
    textbuf_put(buf, "\"", 1);
    for (size_t i = 0; i < shown;)
        i += put_quoted(buf, value + i, len - i, how);
    if (shown < len)
        textbuf_puts(buf, "...");
    textbuf_put(buf, "\"", 1);
}

void textbuf_put_visible(struct textbuf *buf, const char *text, size_t len) {
    for (size_t i = 0; i < len;)
        i += put_quoted(buf, text + i, len - i, STYLE_VISIBLE);
}

static bool is_bare(const char *value) {
    size_t len = strlen(value);
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)value[i];
        size_t sequence = utf8_sequence(value + i, len - i);
        if (c == ' ' || c == '"' || c == '\\' || c == '=' || sequence == 0 ||
            utf8_is_deceptive(value + i, sequence))
            return false;
        i += sequence;
    }
    return len > 0 && len <= LOG_VALUE_MAX;
}

void textbuf_put_logfmt(struct textbuf *buf, const char *value) {
    if (value == NULL)
        return;
    if (is_bare(value))
        textbuf_puts(buf, value);
    else
        put_all_quoted(buf, value, STYLE_LOGFMT);
}

void textbuf_put_json(struct textbuf *buf, const char *value) {
    if (value == NULL)
        textbuf_puts(buf, "null");
    else
        put_all_quoted(buf, value, STYLE_JSON);
}

void textbuf_put_reply(struct textbuf *buf, const char *text, size_t max) {
    size_t i = 0;
    for (; i < max && text[i] != '\0'; i++) {
        char c = text[i];
        if (c == '%')
            textbuf_put(buf, "%%", 2);
        else
            textbuf_put(buf, c >= 0x20 && c < 0x7f ? &c : "?", 1);
    }
    if (text[i] != '\0')
        textbuf_puts(buf, "...");
}

void textbuf_put_header(struct textbuf *buf, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        textbuf_put(buf, c >= 0x20 && c != 0x7f ? &text[i] : "?", 1);
    }
}
