/*
 * The syntax of a line of policy. Owns what separates subject, field and value and which subjects
 * there are; what fields and values mean is policy.c's.
 */
#include "gatepost/core/policy_line.h"

#include <stdio.h>
#include <string.h>

const char *policy_subject_fault(const char *subject) {
    const char *name = strchr(subject, ':');
    const char *domain = strrchr(subject, '@');
    if (strncmp(subject, "network:", 8) == 0)
        return name[1] == '\0' ? "the network's name is missing" : NULL;
    if (strncmp(subject, "account:", 8) != 0)
        return "the subject must be account:ADDRESS, account:@DOMAIN, account:* or network:NAME";
    if (name[1] == '\0')
        return "the account's address is missing";
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
    out->subject = subject;
    out->field = cut_word(rest, &out->value);
    const char *fault = policy_subject_fault(subject);
    if (fault == NULL && out->field[0] == '\0')
        fault = "the field is missing: a line is SUBJECT FIELD VALUE";
    if (fault == NULL)
        return 1;
    return why_set(why, "%.100s: %s", subject, fault);
}

static bool is_word(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (strchr(" \t\r\n", text[i]) != NULL) /* NUL too */
            return false;
    return len > 0;
}

const char *policy_line_obstacle(const char *subject, const char *field, size_t field_len,
                                 const char *value, size_t value_len) {
    const char *fault = policy_subject_fault(subject);
    if (fault != NULL)
        return fault;
    if (!is_word(subject, strlen(subject)))
        return "white space in the subject";
    if (!is_word(field, field_len))
        return field_len == 0 ? "the field's name is empty" : "white space in the field's name";
    if (memchr(value, '\n', value_len) != NULL || memchr(value, '\0', value_len) != NULL)
        return "a line end or NUL octet in the value";
    if (value_len > 0 &&
        (strchr(" \t", value[0]) != NULL || strchr(" \t\r", value[value_len - 1]) != NULL))
        return "the value begins or ends with white space";
    return NULL;
}
