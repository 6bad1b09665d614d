/*
 * IP addresses and CIDR blocks. Owns their syntax and the matching of one against the other; knows
 * nothing of who is listed where.
 */
#include "gatepost/core/netblock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct ip_address ip_from_bytes(enum ip_family family, const uint8_t *bytes) {
    struct ip_address ip = {.family = (uint8_t)family};
    if (family == IP_V6 && memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        ip.family = IP_V4;
        bytes += sizeof mapped_prefix;
    }
    memcpy(ip.bytes, bytes, ip.family == IP_V4 ? 4 : 16);
    return ip;
}

/* The address as written, v4-mapped not yet folded: a prefix length counts from there. */
static int parse_unfolded(const char *text, size_t len, enum ip_family *family, uint8_t bytes[16]) {
    char copy[IP_TEXT_SIZE];
    if (len >= 5 && strncasecmp(text, "IPv6:", 5) == 0) {
        text += 5;
        len -= 5;
    }
    if (len == 0 || len >= sizeof copy || memchr(text, '\0', len) != NULL)
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        *family = IP_V4;
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        *family = IP_V6;
    else
        return -1;
    return 0;
}

int ip_parse(const char *text, size_t len, struct ip_address *out) {
    enum ip_family family;
    uint8_t bytes[16];
    if (parse_unfolded(text, len, &family, bytes) != 0)
        return -1;
    *out = ip_from_bytes(family, bytes);
    return 0;
}

const char *ip_format(const struct ip_address *ip, char out[IP_TEXT_SIZE]) {
    out[0] = '\0';
    if (ip->family != IP_NONE)
        inet_ntop(ip->family == IP_V4 ? AF_INET : AF_INET6, ip->bytes, out, IP_TEXT_SIZE);
    return out;
}

bool ip_mask(struct ip_address *ip, unsigned prefix) {
    bool cleared = false;
    unsigned octets = ip->family == IP_V4 ? 4 : 16;
    for (unsigned i = 0; i < octets; i++) {
        unsigned kept = prefix > i * 8 ? prefix - i * 8 : 0;
        uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00u >> kept);
        if ((ip->bytes[i] & ~mask) != 0)
            cleared = true;
        ip->bytes[i] &= mask;
    }
    return cleared;
}

/* One to three decimal digits without a leading zero; -1 for anything else. */
static int parse_prefix(const char *text, size_t len) {
    int value = 0;
    if (len == 0 || len > 3 || (len > 1 && text[0] == '0'))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

int netblock_parse(const char *text, size_t len, struct netblock *out, struct why *why) {
    const char *slash = memchr(text, '/', len);
    size_t address_len = slash ? (size_t)(slash - text) : len;
    enum ip_family family;
    uint8_t bytes[16];
    if (len == 0) {
        return why_set(why, "the address is empty");
    }
    if (parse_unfolded(text, address_len, &family, bytes) != 0)
        return why_set(why, "not an IPv4 or IPv6 address or CIDR block");
    int bits = family == IP_V4 ? 32 : 128;
    int prefix = bits;
    if (slash != NULL)
        prefix = parse_prefix(slash + 1, len - address_len - 1);
    if (prefix < 0 || prefix > bits)
        return why_set(why, "the prefix length must be a number from 0 to %d", bits);
    out->base = ip_from_bytes(family, bytes);
    if (family == IP_V6 && out->base.family == IP_V4) {
        if (prefix >= 96) {
            prefix -= 96;
        } else { /* wider than all of IPv4: what is left of it is an IPv6 block */
            out->base.family = IP_V6;
            memcpy(out->base.bytes, bytes, sizeof bytes);
        }
    }
    out->prefix = (uint8_t)prefix;
    out->host_bits = ip_mask(&out->base, out->prefix);
    return 0;
}

const char *netblock_format(const struct netblock *block, char out[NETBLOCK_TEXT_SIZE]) {
    unsigned bits = block->base.family == IP_V4 ? 32 : 128;
    ip_format(&block->base, out);
    size_t len = strlen(out);
    if (block->prefix < bits)
        snprintf(out + len, NETBLOCK_TEXT_SIZE - len, "/%u", block->prefix);
    return out;
}

bool netblock_contains(const struct netblock *block, const struct ip_address *ip) {
    if (ip->family == IP_NONE || ip->family != block->base.family)
        return false;
    unsigned whole = block->prefix / 8;
    unsigned rest = block->prefix % 8;
    if (memcmp(block->base.bytes, ip->bytes, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return (ip->bytes[whole] & mask) == block->base.bytes[whole];
}
