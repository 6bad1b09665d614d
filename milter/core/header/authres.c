/*
 * Header fields that carry an SPF result. Owns their syntax; when they are added or removed is the
 * session's business.
 */
#include "gatepost/core/authres.h"

#include <string.h>

#include "gatepost/core/address.h"

/* Octets that need no quoting in either grammar: a MIME token (RFC 2045 5.1) that is a dot-atom. */
static bool is_plain(const char *text, size_t len) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "!#$%&'*+-^_`{|}~.";
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < 0x80 && (text[i] == '\0' || strchr(safe, text[i]) == NULL)) ||
            (i > 0 && text[i] == '.' && text[i - 1] == '.'))
            return false;
    return len > 0 && text[0] != '.' && text[len - 1] != '.';
}

/* A quoted-string (RFC 5322 3.2.4). */
static void put_quoted(struct textbuf *buf, const char *text, size_t len) {
    textbuf_puts(buf, "\"");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            textbuf_puts(buf, "\\");
        textbuf_put_header(buf, text + i, 1);
    }
    textbuf_puts(buf, "\"");
}

/* A word as it is where that needs no quoting. */
static void put_word(struct textbuf *buf, const char *text, size_t len) {
    if (is_plain(text, len))
        textbuf_put(buf, text, len);
    else
        put_quoted(buf, text, len);
}

/* Octets of the longest line (RFC 5322 2.1.1), and of a part of it: after the space of a fold. */
#define LINE_OCTETS 998
#define PART_OCTETS (LINE_OCTETS - 1)

/* A field while it is written: parts, each of which stands on one line. */
struct field {
    struct textbuf *to;
    size_t line; /* octets of the line so far */
    char memory[PART_OCTETS + 1];
    struct textbuf part;
};

/* `name` is the field's, without which the first line is not to be measured. */
static void begin_field(struct field *field, struct textbuf *to, const char *name) {
    field->to = to;
    field->line = strlen(name) + strlen(": ");
    textbuf_init(&field->part, field->memory, sizeof field->memory);
}

/* Ends a part: on the line if it has room for it, else on the next. */
static void end_part(struct field *field) {
    size_t len = field->part.len, space = field->to->len == 0 ? 0 : 1;
    if (field->line + space + len > LINE_OCTETS) {
        textbuf_puts(field->to, "\n ");
        field->line = 1;
    } else if (space > 0) {
        textbuf_puts(field->to, " ");
        field->line += 1;
    }
    textbuf_put(field->to, field->memory, len);
    field->line += len;
    textbuf_init(&field->part, field->memory, sizeof field->memory);
}

typedef void put_text(struct textbuf *buf, const char *text, size_t len);

/* Puts a text if the part has room for it and for `after` octets more. */
static bool try_text(struct field *field, put_text *put, const char *text, size_t len,
                     size_t after) {
    struct textbuf *part = &field->part;
    size_t begin = part->len;
    part->size -= after;
    put(part, text, len);
    bool fits = !part->cut;
    part->size += after;
    if (!fits) {
        part->len = begin;
        part->cut = false;
    }
    return fits;
}

/*
 * Puts a text; of one that finds no room the end, which says more of a name than its beginning,
 * after three dots: so it is no name any more that could be somebody else's.
 */
static void put_bounded(struct field *field, put_text *put, const char *text, size_t len,
                        size_t after) {
    if (try_text(field, put, text, len, after))
        return;
    char end[PART_OCTETS] = "...";
    /* each octet may need a backslash, and the whole quotes */
    size_t room = field->part.size - 1 - field->part.len - after - strlen("\"...\"");
    size_t from = len - (room / 2 < len ? room / 2 : len);
    while (from < len && ((unsigned char)text[from] & 0xc0) == 0x80)
        from++; /* no part of a character */
    memcpy(end + 3, text + from, len - from);
    put(&field->part, end, 3 + len - from);
}

/* local-part "@" domain, each quoted as it needs */
static void put_mailbox(struct textbuf *buf, const char *sender, size_t len) {
    const char *at = strrchr(sender, '@');
    if (at == NULL || !is_plain(at + 1, strlen(at + 1))) { /* no domain-name: a value whole */
        put_word(buf, sender, len);
        return;
    }
    size_t local = (size_t)(at - sender);
    if (sender[0] == '"' && address_skip_quoted(sender) == at) /* quoted by its writer */
        textbuf_put_header(buf, sender, local);
    else if (local > 0)
        put_word(buf, sender, local);
    textbuf_puts(buf, "@");
    textbuf_puts(buf, at + 1);
}

/* The sender; without its local part where that is too long (RFC 8601 2.7.2). */
static void put_sender(struct field *field, const char *sender) {
    const char *at = strrchr(sender, '@');
    if (try_text(field, put_mailbox, sender, strlen(sender), 0))
        return;
    const char *rest = at != NULL && is_plain(at + 1, strlen(at + 1)) ? at + 1 : sender;
    put_bounded(field, put_word, rest, strlen(rest), 0);
}

void authres_put(struct textbuf *buf, const struct spf_evidence *evidence) {
    struct field field;
    begin_field(&field, buf, "Authentication-Results");
    put_bounded(&field, put_word, evidence->receiver, strlen(evidence->receiver), 1);
    textbuf_puts(&field.part, ";");
    end_part(&field);
    textbuf_printf(&field.part, "spf=%s", spf_result_name(evidence->result));
    end_part(&field);
    if (evidence->identity == IDENTITY_HELO) {
        const char *helo = evidence->helo == NULL ? "" : evidence->helo;
        textbuf_puts(&field.part, "smtp.helo=");
        put_bounded(&field, put_word, helo, strlen(helo), 0);
    } else {
        textbuf_puts(&field.part, "smtp.mailfrom=");
        put_sender(&field, evidence->sender);
    }
    end_part(&field);
}

/* key=value; */
static void put_pair(struct field *field, const char *key, put_text *put, const char *value) {
    textbuf_puts(&field->part, key);
    put_bounded(field, put, value, strlen(value), 1);
    textbuf_puts(&field->part, ";");
    end_part(field);
}

void received_spf_put(struct textbuf *buf, const struct spf_evidence *evidence) {
    const char *helo = evidence->helo == NULL ? "" : evidence->helo;
    struct field field;
    begin_field(&field, buf, "Received-SPF");
    textbuf_puts(&field.part, spf_result_name(evidence->result));
    end_part(&field);
    put_pair(&field, "receiver=", put_word, evidence->receiver);
    put_pair(&field, "client-ip=", put_word, evidence->client);
    put_pair(&field, "envelope-from=", put_quoted, evidence->sender);
    put_pair(&field, "helo=", put_word, helo);
    textbuf_puts(&field.part, "identity=");
    textbuf_puts(&field.part, evidence->identity == IDENTITY_HELO ? "helo" : "mailfrom");
    end_part(&field);
}
