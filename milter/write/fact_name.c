/*
 * Names of facts. Owns when two spellings are one field.
 */
#include "gatepost/write/fact_name.h"

#include <string.h>
#include <strings.h>

#include "gatepost/core/netblock.h"

bool fact_is_network(const char *subject) {
    return strncmp(subject, "network:", 8) == 0;
}

bool fact_is_block(bool network, const char *field, size_t len) {
    return network || (len > 3 && strncasecmp(field, "ip:", 3) == 0);
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
