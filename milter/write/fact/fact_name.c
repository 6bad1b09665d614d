/*
 * Names of facts. Owns when two spellings are one field, and how a name is written that a look-up
 * or a comparison finds.
 */
#include "gatepost/write/fact_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fact_inside.h"
#include "gatepost/core/netblock.h"
#include "gatepost/core/policy_field.h"

bool fact_is_network(const char *subject) {
    return strncmp(subject, "network:", 8) == 0;
}

bool fact_is_entry(bool network, const char *field, size_t len) {
    struct policy_field_key key;
    const struct policy_field *row = network ? NULL : policy_field_find(field, len, &key);
    return network || (row != NULL && row->kind == FIELD_HAS_ENTRIES && key.len > 0);
}

bool fact_is_block(bool network, const char *field, size_t len) {
    struct policy_field_key key;
    const struct policy_field *row = network ? NULL : policy_field_find(field, len, &key);
    return network || (row != NULL && row->id == FIELD_IP && key.len > 0);
}

bool fact_is_same(bool network, const char *a, size_t a_len, const char *b, size_t b_len) {
    struct netblock x, y;
    struct why why;
    size_t skip = network ? 0 : 3;
    if (a_len == b_len && memcmp(a, b, a_len) == 0)
        return true;
    if (!fact_is_block(network, a, a_len) || !fact_is_block(network, b, b_len))
        return a_len == b_len && strncasecmp(a, b, a_len) == 0;
    return netblock_parse(a + skip, a_len - skip, &x, &why) == 0 &&
           netblock_parse(b + skip, b_len - skip, &y, &why) == 0 && x.prefix == y.prefix &&
           x.base.family == y.base.family &&
           memcmp(x.base.bytes, y.base.bytes, x.base.family == IP_V4 ? 4 : 16) == 0;
}

int fact_name_sender(const char *name, const struct address_rules *rules, char **out) {
    struct address address = {0};
    size_t skip = name[0] != '@' ? 0 : name[1] == '.' ? 2 : 1; /* "@" or "@." of a domain */
    char *sender = NULL;
    *out = NULL;
    if (name[skip] == '\0')
        return (*out = strdup(name)) == NULL ? -1 : 0;
    if (asprintf(&sender, "%s%s", skip == 0 ? "" : "x@", name + skip) < 0)
        return -1;
    int rc = address_from_sender(sender, rules, &address);
    free(sender);
    if (rc != 0)
        return -1;
    if (asprintf(out, "%.*s%s", (int)skip, name,
                 skip == 0                ? address.text
                 : address.domain == NULL ? ""
                                          : address.domain) < 0)
        *out = NULL;
    address_clear(&address);
    return *out == NULL ? -1 : 0;
}

int fact_name_domain(const char *domain, const struct address_rules *rules, char **out) {
    *out = NULL;
    if (rules->domain_to_ascii != NULL && rules->domain_to_ascii(domain, out) < 0)
        return -1;
    if (*out == NULL && (*out = strdup(domain)) == NULL)
        return -1;
    for (char *c = *out; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    size_t len = strlen(*out);
    if (len > 1 && (*out)[len - 1] == '.')
        (*out)[len - 1] = '\0';
    return 0;
}

const char *fact_domain_fault(const char *domain) {
    size_t len = strlen(domain), label = 0;
    if (domain[0] == '[')
        return NULL; /* an address literal */
    if (len == 0)
        return "the domain after '@' is missing";
    if (len > 253)
        return "the domain is longer than 253 octets";
    for (size_t i = 0; i <= len; i++) {
        char c = domain[i];
        if (c == '.' || c == '\0') {
            if (label == 0)
                return "the domain has an empty label";
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
            if (++label > 63)
                return "a label of the domain is longer than 63 octets";
        } else {
            return "a domain may contain only letters, digits, '-' and '.'";
        }
    }
    return NULL;
}
