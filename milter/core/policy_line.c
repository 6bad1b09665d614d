/*
 * The syntax of a line of policy. Owns what separates subject, field and value, how odd octets are
 * escaped, and which subjects there are; what fields and values mean is policy.c's.
 */
#include "gatepost/core/policy_line.h"

#include <string.h>

#include "gatepost/core/self_fact.h"

const char *policy_subject_fault(const char *subject) {
    const char *name = strchr(subject, ':');
    bool own = self_is_subject(subject);
    const char *domain = strrchr(subject, '@');
    if (strncmp(subject, "network:", 8) == 0)
        return name[1] == '\0' ? "the network's name is missing" : NULL;
    if (strncmp(subject, "account:", 8) != 0 && !own)
        return "the subject must be account:ADDRESS, account:@DOMAIN, account:*, self:ADDRESS or "
               "network:NAME";
    if (name[1] == '\0')
        return "the account's address is missing";
    if (own && (name[1] == '@' || strcmp(name + 1, "*") == 0))
        return "only an account can have set something itself: self:ADDRESS";
    if (strcmp(subject, SELF_HISTORY) == 0)
        return "no account: that is where the history of self facts is kept";
    for (; *name != '\0'; name++)
        if (*name >= 'A' && *name <= 'Z')
            return "accounts must be in lower case";
    for (; domain != NULL && *domain != '\0'; domain++)
        if ((unsigned char)*domain >= 0x80)
            return "domains must be A-labels (xn--...)";
    return NULL;
}

/* The next word of a line, terminated; *rest is what follows it and the spaces after it. */
static char *cut_word(char *line, char **rest) {
    line += strspn(line, " \t");
    size_t len = strcspn(line, " \t");
    *rest = line + len;
    if (**rest != '\0')
        *(*rest)++ = '\0';
    *rest += strspn(*rest, " \t");
    return line;
}

/* ---- escaped lines ---- */

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef", *at = strchr(digits, c | ('A' ^ 'a'));
    return c != '\0' && at != NULL ? (int)(at - digits) : -1;
}

/* What a backslash and `at` stand for, or -1; *len of it are taken. */
static int escaped_octet(const char *at, size_t *len) {
    static const char letters[] = "\\nrt", octets[] = "\\\n\r\t";
    const char *letter = *at == '\0' ? NULL : strchr(letters, *at);
    *len = letter != NULL ? 1 : 3;
    if (letter != NULL)
        return (unsigned char)octets[letter - letters];
    if (at[0] != 'x' || hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
        return -1;
    return hex_digit(at[1]) << 4 | hex_digit(at[2]);
}

/* In place; NULL, or what is wrong. */
static const char *unescape(char *text) {
    char *to = text;
    size_t len = 1;
    for (const char *from = text; *from != '\0'; from += len, to++) {
        int octet = (unsigned char)*from;
        len = 1;
        if (octet == '\\') {
            octet = escaped_octet(from + 1, &len);
            len++;
        }
        if (octet < 0)
            return "a backslash must be followed by \\, n, r, t or xHH in a line that begins with "
                   "one";
        if (octet == 0)
            return "a NUL octet";
        *to = (char)octet;
    }
    *to = '\0';
    return NULL;
}

static const char *unescape_line(const struct policy_line *line) {
    const char *fault = unescape(line->subject);
    if (fault == NULL)
        fault = unescape(line->field);
    return fault != NULL ? fault : unescape(line->value);
}

int policy_line_parse(char *line, size_t len, struct policy_line *out, struct why *why) {
    char *rest;
    *out = (struct policy_line){0};
    /* white space at the end of a line is nothing that anybody means */
    while (len > 0 && line[len - 1] != '\0' && strchr(" \t\r\n", line[len - 1]) != NULL)
        len--;
    line[len] = '\0';
    if (strlen(line) != len) {
        char *word = cut_word(line, &rest);
        if (rest > word + strlen(word)) /* the subject ends before it */
            out->subject = word;
        return why_set(why, "a NUL octet");
    }
    char *subject = cut_word(line, &rest);
    if (subject[0] == '\0' || subject[0] == '#')
        return 0;
    bool escaped = subject[0] == '\\';
    out->escaped = escaped;
    out->subject = subject += escaped;
    out->field = cut_word(rest, &out->value);
    const char *fault = escaped ? unescape_line(out) : NULL;
    if (fault == NULL)
        fault = policy_subject_fault(subject);
    if (fault == NULL && out->field[0] == '\0')
        fault = "the field is missing: a line is SUBJECT FIELD VALUE";
    if (fault == NULL)
        return 1;
    return why_set(why, "%.100s: %s", subject, fault);
}

const char *policy_line_obstacle(const char *subject, const char *field, size_t field_len,
                                 const char *value, size_t value_len) {
    const char *fault = policy_subject_fault(subject);
    if (fault != NULL)
        return fault;
    if (field_len == 0)
        return "the field's name is empty";
    if (memchr(field, '\0', field_len) != NULL || memchr(value, '\0', value_len) != NULL)
        return "a NUL octet";
    return NULL;
}

static bool is_plain(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t sequence = utf8_sequence(text + i, len - i);
        if (sequence == 0 || utf8_is_deceptive(text + i, sequence))
            return false;
        i += sequence;
    }
    return true;
}

/* The octets, escaped; `word`: no space may part them. */
static void put_escaped(struct textbuf *line, const char *text, size_t len, bool word) {
    for (size_t i = 0; i < len;) {
        size_t sequence = utf8_sequence(text + i, len - i);
        bool parts = text[i] == ' ' && (word || i == 0 || i + 1 == len);
        sequence = sequence == 0 ? 1 : sequence;
        if (parts)
            textbuf_puts(line, "\\x20");
        else
            textbuf_put_visible(line, text + i, sequence);
        i += sequence;
    }
}

void policy_line_put(struct textbuf *line, const char *subject, const char *field, size_t field_len,
                     const char *value, size_t value_len) {
    size_t len = strlen(subject);
    bool spaces = value_len > 0 && (value[0] == ' ' || value[value_len - 1] == ' ');
    if (is_plain(subject, len) && is_plain(field, field_len) && is_plain(value, value_len) &&
        strchr(subject, ' ') == NULL && memchr(field, ' ', field_len) == NULL && !spaces) {
        textbuf_printf(line, "%s %.*s%s%.*s\n", subject, (int)field_len, field,
                       value_len > 0 ? " " : "", (int)value_len, value);
        return;
    }
    textbuf_puts(line, "\\");
    put_escaped(line, subject, len, true);
    textbuf_puts(line, " ");
    put_escaped(line, field, field_len, true);
    textbuf_puts(line, value_len > 0 ? " " : "");
    put_escaped(line, value, value_len, false);
    textbuf_puts(line, "\n");
}
