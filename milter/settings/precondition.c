/*
 * Preconditions. Owns which header fields keep a change from being made.
 */
#include "precondition.h"

#include <string.h>
#include <strings.h>

static bool refuse(struct why *why, const char *reason) {
    why_set(why, "%s", reason);
    return false;
}

bool precondition_same_site(const struct http_request *request, const char *origin,
                            struct why *why) {
    const char *value;
    int n = http_request_field(request, "Origin", &value);
    if (n < 0)
        return refuse(why, "Origin is there twice");
    if (n == 1 && origin[0] == '\0')
        return refuse(why, "a browser may change nothing: the host has not set `origin`");
    if (n == 1 && strcmp(value, origin) != 0)
        return refuse(why, "another site asks for this (Origin)");
    n = http_request_field(request, "Sec-Fetch-Site", &value);
    if (n < 0)
        return refuse(why, "Sec-Fetch-Site is there twice");
    if (n == 1 && strcmp(value, "same-origin") != 0 && strcmp(value, "none") != 0)
        return refuse(why, "another site asks for this (Sec-Fetch-Site)");
    return true;
}

bool precondition_is_type(const struct http_request *request, const char *type) {
    const char *value;
    size_t len = strlen(type);
    if (http_request_field(request, "Content-Type", &value) != 1 ||
        strncasecmp(value, type, len) != 0)
        return false;
    value += len;
    value += strspn(value, " \t");
    return *value == '\0' || *value == ';';
}

/* Is the tag one of a list? */
static bool names(const char *list, const char *tag) {
    size_t len = strlen(tag);
    if (strcmp(list, "*") == 0)
        return true;
    while (*list != '\0') {
        list += strspn(list, " \t,");
        const char *open = *list == 'W' && list[1] == '/' ? list + 2 : list;
        if (*open != '"')
            return false; /* no list of tags */
        const char *end = strchr(open + 1, '"');
        if (end == NULL)
            return false;
        if (open == list && (size_t)(end + 1 - list) == len && strncmp(list, tag, len) == 0)
            return true;
        list = end + 1;
        list += strspn(list, " \t");
        if (*list != '\0' && *list != ',')
            return false;
    }
    return false;
}

int precondition_matches(const struct http_request *request, const char *tag) {
    int found = -1;
    for (size_t i = 0; i < request->n_fields; i++) {
        if (strcasecmp(request->fields[i].name, "If-Match") != 0)
            continue;
        if (found < 0)
            found = 0;
        if (names(request->fields[i].value, tag))
            found = 1;
    }
    return found;
}
