/*
 * The account of the null sender. Owns which HELO names have one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/address.h"

/* The most that a domain name and a label of it have (RFC 1035 2.3.4), in text. */
#define NAME_MAX_LEN 253
#define LABEL_MAX_LEN 63

/*
 * In lower case and A-labels, of two labels at least (as SPF wants it, RFC 7208 4.3): no empty one,
 * and not an IPv4 address without its brackets.
 */
static bool is_host_name(const char *name) {
    size_t label = 0, labels = 1;
    bool number = true; /* the last label */
    for (const char *p = name; *p != '\0'; p++) {
        bool digit = *p >= '0' && *p <= '9';
        if (*p == '.') {
            if (label == 0)
                return false;
            label = 0;
            labels++;
            number = true;
            continue;
        }
        if (!digit && !(*p >= 'a' && *p <= 'z') && *p != '-' && *p != '_')
            return false;
        number = number && digit;
        if (++label > LABEL_MAX_LEN)
            return false;
    }
    return label > 0 && labels > 1 && !number && strlen(name) <= NAME_MAX_LEN;
}

int address_from_helo(const char *helo, const struct address_rules *rules, struct address *out) {
    char *sender;
    if (asprintf(&sender, "postmaster@%s", helo) < 0)
        return -1;
    int rc = address_from_sender(sender, rules, out);
    free(sender);
    if (rc != 0)
        return rc;
    bool is_whole = out->domain == out->text + strlen("postmaster@"); /* no '@' in the name */
    if (helo[0] == '\0' || !is_whole || !is_host_name(out->domain)) {
        out->domain = NULL;
        out->text[0] = '\0';
    }
    return 0;
}
