/*
 * A text of bounded length in memory of the caller's, and the ways a stranger's octets may enter
 * it: as a log value, as part of an SMTP reply, as part of a header.
 *
 * The text is always terminated. What does not fit is cut and `cut` is set; nothing fails. Pure:
 * no allocation, any thread may use its own buffer.
 */
#ifndef GATEPOST_CORE_TEXTBUF_H
#define GATEPOST_CORE_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>

struct textbuf {
    char *data;  /* the caller's memory */
    size_t size; /* of it, the terminating NUL included; at least 1 */
    size_t len;
    bool cut; /* something did not fit */
};

/* Starts an empty text in `memory`, which stays the caller's. */
void textbuf_init(struct textbuf *buf, char *memory, size_t size);

/* Appends octets as they are. */
void textbuf_put(struct textbuf *buf, const char *bytes, size_t len);
void textbuf_puts(struct textbuf *buf, const char *text);
void textbuf_printf(struct textbuf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Appends a logfmt value: bare where that is unambiguous, else in double quotes with \" \\ \n \r
 * \t and \xHH. NULL (absent) appends nothing, an empty text appends "". Valid UTF-8 stays
 * readable; control characters, direction overrides and invalid octets are escaped. Values longer
 * than LOG_VALUE_MAX octets are cut and end in "...".
 */
#define LOG_VALUE_MAX 400
void textbuf_put_logfmt(struct textbuf *buf, const char *value);

/* Appends a JSON string with its quotes (RFC 8259 7); NULL appends null. Same escapes and cut. */
void textbuf_put_json(struct textbuf *buf, const char *value);

/*
 * Appends `len` octets as a terminal may show them: valid UTF-8 as it is; control characters,
 * direction overrides, invalid octets and the backslash as \n \r \t \\ or \xHH.
 */
void textbuf_put_visible(struct textbuf *buf, const char *text, size_t len);

/*
 * Appends text that is safe inside one line of an SMTP reply given to smfi_setreply(3): printable
 * US-ASCII only, everything else becomes '?', and '%' is doubled (a single one is eaten by Postfix
 * and voids the text in Sendmail). At most `max` octets of `text` are taken; more ends in "...".
 */
void textbuf_put_reply(struct textbuf *buf, const char *text, size_t max);

/* Appends `len` octets safe inside a header value: control characters become '?'. */
void textbuf_put_header(struct textbuf *buf, const char *text, size_t len);

/*
 * The length of the UTF-8 sequence (RFC 3629) at `text`, 1 to 4, or 0 when the octets there are
 * no valid one within `len`.
 */
size_t utf8_sequence(const char *text, size_t len);

/*
 * Does the character of `sequence` octets change what a reader sees? Those are control characters
 * (C0, DEL, C1), line separators, marks and overrides of direction. false where sequence is 0.
 */
bool utf8_is_deceptive(const char *text, size_t sequence);

#endif
