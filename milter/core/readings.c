/*
 * Readings of a sender. Owns the old ways of writing an address within an address; what becomes of
 * a reading is the judge's business.
 */
#include "gatepost/core/readings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/address.h"

void readings_clear(struct readings *readings) {
    for (size_t i = 0; i < readings->n; i++)
        free(readings->items[i]);
    *readings = (struct readings){0};
}

/* Takes white space, comments, quotes and backslashes out: what is left is what an MTA looks at. */
static void unquote(char *text) {
    char *to = text;
    unsigned depth = 0;
    bool quoted = false;
    for (const char *from = text; *from != '\0'; from++) {
        bool escaped = *from == '\\' && from[1] != '\0';
        if (escaped)
            from++;
        else if (*from == '"' && depth == 0)
            quoted = !quoted;
        else if (!quoted && *from == '(')
            depth++;
        bool syntax = *from == '"' || *from == '\\'; /* a backslash at the end escapes nothing */
        if (depth == 0 && (escaped || !syntax) &&
            (escaped || quoted || strchr(" \t\r\n", *from) == NULL))
            *to++ = *from;
        if (!escaped && !quoted && depth > 0 && *from == ')')
            depth--;
    }
    *to = '\0';
}

/* The address alone: of "Name <address>" what the innermost brackets hold, of "list:address;" too.
 */
static char *strip(char *text) {
    char *open = strrchr(text, '<');
    if (open != NULL)
        text = open + 1 + strspn(open + 1, ">"); /* behind brackets that hold nothing */
    text[strcspn(text, ">")] = '\0';
    size_t len = strlen(text);
    while (len > 1 && strchr(";,", text[len - 1]) != NULL)
        text[--len] = '\0';
    text = address_strip_path(text);
    char *group = strchr(text, ':');
    if (group != NULL && strpbrk(text, "@[!%") > group)
        text = group + 1;
    return text;
}

/* Does the domain name the MTA's own host, whatever it is called? */
static bool is_own(const char *domain) {
    return domain[0] == '\0' || domain[0] == '[' || domain[0] == '#' ||
           strcasecmp(domain, "localhost") == 0 || strncasecmp(domain, "localhost.", 10) == 0;
}

/* Adds a reading, owned from here on; one that is there already is not added. -1: no memory. */
static int add(struct readings *readings, char *reading) {
    bool known = reading != NULL && reading[0] == '\0';
    for (size_t i = 0; reading != NULL && !known && i < readings->n; i++)
        known = strcasecmp(readings->items[i], reading) == 0;
    if (reading == NULL)
        return -1;
    if (known || readings->n == READINGS_MAX) {
        readings->too_many |= !known;
        free(reading);
        return 0;
    }
    readings->items[readings->n++] = reading;
    return 0;
}

/* LOCAL@DOMAIN of two parts that are not terminated. */
static int add_parts(struct readings *readings, const char *local, size_t local_len,
                     const char *domain, size_t domain_len) {
    char *text = malloc(local_len + domain_len + 2);
    if (text != NULL) {
        memcpy(text, local, local_len);
        text[local_len] = '@';
        memcpy(text + local_len + 1, domain, domain_len);
        text[local_len + 1 + domain_len] = '\0';
    }
    return add(readings, text);
}

/* One of the MTA's own users, '@' in the name or not. */
static int add_own(struct readings *readings, const char *name) {
    return add_parts(readings, name, strlen(name), "", 0);
}

/* What the part before the last '@' can mean on its own. */
static int add_inner(struct readings *readings, const char *local, size_t len) {
    const char *bang = memchr(local, '!', len), *percent = NULL;
    int rc = 0;
    for (size_t i = 0; i < len; i++)
        if (local[i] == '%')
            percent = local + i;
    if (memchr(local, '@', len) != NULL)
        rc = add(readings, strndup(local, len));
    if (rc == 0 && bang != NULL)
        rc = add_parts(readings, bang + 1, len - (size_t)(bang + 1 - local), local,
                       (size_t)(bang - local));
    if (rc == 0 && percent != NULL)
        rc = add_parts(readings, local, (size_t)(percent - local), percent + 1,
                       len - (size_t)(percent + 1 - local));
    return rc;
}

/* What is left when it is unquoted and stripped once more: Postfix reads some addresses twice. */
static int add_again(struct readings *readings, const char *text) {
    char *copy = strdup(text), *again = NULL;
    if (copy != NULL) {
        unquote(copy);
        again = strdup(strip(copy));
    }
    free(copy);
    return add(readings, again);
}

static int add_readings_of(struct readings *readings, const char *text) {
    const char *at = strrchr(text, '@');
    size_t local_len = at == NULL ? strlen(text) : (size_t)(at - text);
    int rc = add_inner(readings, text, local_len);
    if (rc == 0 && (strchr(text, '\\') != NULL || text[0] == '@'))
        rc = add_again(readings, text);
    if (rc == 0 && at != NULL && is_own(at + 1)) {
        rc = add(readings, strndup(text, local_len));
        if (rc == 0 && memchr(text, '@', local_len) != NULL)
            rc = add_parts(readings, text, local_len, "", 0);
    }
    /* the domain, too, may be a path: user@host!path, user@host%relay */
    const char *second = at == NULL ? NULL : strpbrk(at, "!%");
    if (rc == 0 && second != NULL)
        rc = add_parts(readings, text, local_len, at + 1, (size_t)(second - at - 1));
    return rc;
}

/* Is there no '@' but in quotes, comments and routes? */
static bool is_bare(const char *text) {
    unsigned depth = 0;
    bool bare = true, literal = false;
    for (; *text != '\0'; text++) {
        if (*text == '"' && depth == 0)
            text = address_skip_quoted(text) - 1;
        else if (*text == '\\' && text[1] != '\0')
            text++;
        else if (depth > 0 || *text == '(')
            depth += *text == '(' ? 1 : -(*text == ')');
        else if (*text == '[' || *text == ']')
            literal = *text == '[';
        else if (*text == '@')
            bare = false;
        else if (*text == '<' || (*text == ':' && !literal))
            bare = true; /* what counts begins here */
    }
    return bare;
}

static int add_spelling(struct readings *readings, const char *sender) {
    char *copy = strdup(sender);
    if (copy == NULL)
        return -1;
    bool bare = is_bare(copy);
    unquote(copy);
    const char *text = strip(copy), *at = strrchr(text, '@');
    /* Postfix takes all behind a route for a name when there is a literal in either */
    bool behind_route = text > copy && text[-1] == ':' && strchr(copy, '[') != NULL;
    int rc = add(readings, strdup(text));
    if (rc == 0 && at != NULL && (bare || behind_route))
        rc = add_own(readings, text);
    free(copy);
    return rc;
}

/* "list:address;", which Sendmail takes for a name when more was wrong with it. */
static bool is_group(const char *understood) {
    const char *at = strchr(understood, '@'), *list = strchr(understood, ':');
    size_t len = strlen(understood);
    return at != NULL && list != NULL && list < at && understood[len - 1] == ';';
}

/* The ordinary sender: LOCAL@DOMAIN and nothing in it that could mean anything else. */
static bool is_plain(const char *given, const char *understood) {
    size_t len = strlen(given);
    bool brackets = len >= 2 && given[0] == '<' && given[len - 1] == '>';
    const char *text = given + brackets;
    len -= brackets ? 2 : 0;
    if (understood != NULL && (strlen(understood) != len || memcmp(understood, text, len) != 0))
        return false;
    const char *at = memchr(text, '@', len);
    for (size_t i = 0; i < len; i++)
        if (strchr("%!\"\\()<>[]:;, \t\r\n", text[i]) != NULL || (text[i] == '@' && text + i != at))
            return false;
    return at != NULL && at + 1 < text + len && strncasecmp(at + 1, "localhost", 9) != 0;
}

int readings_find(const char *given, const char *understood, struct readings *out) {
    *out = (struct readings){0};
    if (is_plain(given, understood))
        return 0;
    int rc = add_spelling(out, given);
    if (rc == 0 && understood != NULL && understood[0] != '\0')
        rc = add_spelling(out, understood);
    if (rc == 0 && understood != NULL && is_group(understood))
        rc = add_own(out, understood);
    /* what a reading means on its own is added at the end, and gets its turn */
    for (size_t i = 0; rc == 0 && i < out->n; i++)
        rc = add_readings_of(out, out->items[i]);
    if (rc != 0)
        readings_clear(out);
    return rc;
}
