/*
 * Header fields that carry an SPF result. Owns their syntax; when they are added or removed is the
 * session's business.
 */
#include "gatepost/core/authres.h"

#include <string.h>
#include <strings.h>

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

/* local-part "@" domain, each quoted as it needs */
static void put_mailbox(struct textbuf *buf, const char *sender) {
    const char *at = strrchr(sender, '@');
    if (at == NULL || !is_plain(at + 1, strlen(at + 1))) { /* no domain-name: a value whole */
        put_word(buf, sender, strlen(sender));
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

void authres_put(struct textbuf *buf, const struct spf_evidence *evidence) {
    put_word(buf, evidence->receiver, strlen(evidence->receiver));
    textbuf_printf(buf, "; spf=%s ", spf_result_name(evidence->result));
    if (evidence->identity == IDENTITY_HELO) {
        const char *helo = evidence->helo == NULL ? "" : evidence->helo;
        textbuf_puts(buf, "smtp.helo=");
        put_word(buf, helo, strlen(helo));
    } else {
        textbuf_puts(buf, "smtp.mailfrom=");
        put_mailbox(buf, evidence->sender);
    }
}

void received_spf_put(struct textbuf *buf, const struct spf_evidence *evidence) {
    const char *helo = evidence->helo == NULL ? "" : evidence->helo;
    textbuf_printf(buf, "%s receiver=", spf_result_name(evidence->result));
    put_word(buf, evidence->receiver, strlen(evidence->receiver));
    textbuf_puts(buf, "; client-ip=");
    put_word(buf, evidence->client, strlen(evidence->client));
    textbuf_puts(buf, "; envelope-from=");
    put_quoted(buf, evidence->sender, strlen(evidence->sender));
    textbuf_puts(buf, "; helo=");
    put_word(buf, helo, strlen(helo));
    textbuf_printf(buf, "; identity=%s", evidence->identity == IDENTITY_HELO ? "helo" : "mailfrom");
}

/* Behind comments (nested, with quoted-pairs) and white space, RFC 5322 3.2.2. */
static const char *skip_cfws(const char *p) {
    int depth = 0;
    for (; *p != '\0'; p++) {
        if (depth > 0 && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '(')
            depth++;
        else if (depth > 0 && *p == ')')
            depth--;
        else if (depth == 0 && strchr(" \t\r\n", *p) == NULL)
            break;
    }
    return p;
}

bool authres_claims(const char *value, const char *authserv_id) {
    const char *p = skip_cfws(value);
    size_t id_len = strlen(authserv_id);
    if (*p != '"')
        return strncasecmp(p, authserv_id, id_len) == 0 && strchr(" \t\r\n;(", p[id_len]) != NULL;
    for (p++; *p != '\0' && *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        if (strncasecmp(p, authserv_id, 1) != 0)
            return false;
        authserv_id++;
    }
    return *authserv_id == '\0';
}
