/*
 * The name servers of resolv.conf(5), and addresses as it writes them.
 */
#ifndef GATEPOST_DNS_RESOLV_CONF_H
#define GATEPOST_DNS_RESOLV_CONF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* As glibc: further ones are not used. */
#define RESOLV_CONF_SERVERS_MAX 3

/* Of a name server. Begins as zeros, so that two can be compared octet by octet. */
struct dns_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    socklen_t len;
};

/*
 * Reads an IPv4 address, or an IPv6 address that may have a scope (fe80::1%eth0, fe80::1%2).
 * Returns 0, 1 when there is no such interface (now), or -1 for what is no address.
 */
int dns_address_parse(const char *text, size_t len, uint16_t port, struct dns_address *out);

struct resolv_conf {
    struct dns_address servers[RESOLV_CONF_SERVERS_MAX];
    size_t n;
    bool incomplete; /* an interface was not there: another look may find it */
};

/*
 * Reads the text of a resolv.conf: its `nameserver` lines, in their order; everything else is
 * passed over, options too.
 */
void resolv_conf_parse(const char *text, struct resolv_conf *out);

#endif
