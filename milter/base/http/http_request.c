/*
 * Requests. Owns the syntax of targets and queries; what a member or field means is the caller's.
 */
#include "gatepost/base/http_request.h"

#include <string.h>
#include <strings.h>

int http_request_field(const struct http_request *request, const char *name, const char **value) {
    int found = 0;
    for (size_t i = 0; i < request->n_fields; i++) {
        if (strcasecmp(request->fields[i].name, name) != 0)
            continue;
        if (found++ > 0)
            return -1;
        *value = request->fields[i].value;
    }
    return found;
}

void http_target_split(char *target, const char **path, const char **query) {
    char *mark = strchr(target, '?'), *host;
    if (mark != NULL)
        *mark++ = '\0';
    *query = mark == NULL ? "" : mark;
    *path = target;
    if (target[0] != '/' && (host = strstr(target, "://")) != NULL && host > target &&
        strcspn(target, "/") == (size_t)(host - target) + 1)
        *path = host + 3 + strcspn(host + 3, "/");
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int percent_decode(const char *text, size_t len, char *out, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int octet = (unsigned char)text[i];
        if (octet == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            octet = high << 4 | low;
            i += 2;
        }
        if (octet == '\0' || n + 1 >= size)
            return -1;
        out[n++] = (char)octet;
    }
    if (n >= size)
        return -1;
    out[n] = '\0';
    return 0;
}

static int read_member(const char *text, size_t len, struct http_member *members, size_t n) {
    const char *equals = memchr(text, '=', len);
    size_t name = equals == NULL ? 0 : (size_t)(equals - text);
    for (size_t i = 0; i < n; i++)
        if (strlen(members[i].name) == name && strncmp(members[i].name, text, name) == 0)
            return members[i].found++ > 0 ? -1
                                          : percent_decode(text + name + 1, len - name - 1,
                                                           members[i].value, members[i].size);
    return -1;
}

int http_query_read(const char *query, struct http_member *members, size_t n) {
    while (query[0] != '\0') {
        size_t len = strcspn(query, "&");
        if (read_member(query, len, members, n) != 0)
            return -1;
        query += len;
        if (query[0] == '&' && *++query == '\0')
            return -1;
    }
    return 0;
}
