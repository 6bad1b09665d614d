/*
 * Local parts. Owns which of their octets name the user and which were added by an MTA or a list.
 */
#include "local_part.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A digit for the key, three for the day, six hexadecimal ones of the signature. */
#define TAG_DIGITS 4
#define TAG_LEN 10

const char *local_part_skip_tag(const char *local) {
    static const char kind[] = "prvs=";
    if (strncasecmp(local, kind, strlen(kind)) != 0)
        return local;
    const char *tag = local + strlen(kind);
    size_t digits = strspn(tag, "0123456789");
    if (digits < TAG_DIGITS || strspn(tag, "0123456789ABCDEFabcdef") != TAG_LEN)
        return local;
    return tag[TAG_LEN] == '=' && tag[TAG_LEN + 1] != '\0' ? tag + TAG_LEN + 1 : local;
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcasecmp(text + len - end_len, end) == 0;
}

/* The names of MTAs and lists, some with a "-" of their own. */
static bool is_whole(const char *local, const char *delimiters) {
    if (strcasecmp(local, "postmaster") == 0 || strcasecmp(local, "mailer-daemon") == 0 ||
        strcasecmp(local, "double-bounce") == 0)
        return true;
    return strchr(delimiters, '-') != NULL &&
           (strncasecmp(local, "owner-", 6) == 0 || ends_with(local, "-request"));
}

void local_part_cut_extension(char *local, const char *delimiters) {
    if (local[0] != '\0' && !is_whole(local, delimiters))
        local[1 + strcspn(local + 1, delimiters)] = '\0';
}
