/*
 * resolv.conf. Owns how the file is read; where it lies and when it is looked at is servers.c's
 * business.
 */
#include "resolv_conf.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define DNS_PORT 53

/* The interface that a scope names, by name or number; 0 when there is none. */
static unsigned scope_index(const char *scope) {
    char *end;
    unsigned index = if_nametoindex(scope);
    if (index != 0 || scope[0] < '0' || scope[0] > '9')
        return index;
    unsigned long number = strtoul(scope, &end, 10);
    return *end == '\0' && number <= UINT32_MAX ? (unsigned)number : 0;
}

int dns_address_parse(const char *text, size_t len, uint16_t port, struct dns_address *out) {
    char address[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    memset(out, 0, sizeof *out);
    if (len >= sizeof address)
        return -1;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, &out->socket.v4.sin_addr) == 1) {
        out->socket.v4.sin_family = AF_INET;
        out->socket.v4.sin_port = htons(port);
        out->len = sizeof out->socket.v4;
        return 0;
    }
    char *scope = strchr(address, '%');
    if (scope != NULL)
        *scope++ = '\0';
    if (inet_pton(AF_INET6, address, &out->socket.v6.sin6_addr) != 1)
        return -1;
    out->socket.v6.sin6_family = AF_INET6;
    out->socket.v6.sin6_port = htons(port);
    out->len = sizeof out->socket.v6;
    if (scope == NULL)
        return 0;
    out->socket.v6.sin6_scope_id = scope_index(scope);
    return out->socket.v6.sin6_scope_id != 0 ? 0 : 1;
}

void resolv_conf_parse(const char *text, struct resolv_conf *out) {
    static const char keyword[] = "nameserver";
    out->n = 0;
    out->incomplete = false;
    while (*text != '\0' && out->n < RESOLV_CONF_SERVERS_MAX) {
        const char *end = text + strcspn(text, "\n"), *at = text + sizeof keyword - 1;
        if (strncmp(text, keyword, sizeof keyword - 1) == 0 && (*at == ' ' || *at == '\t')) {
            at += strspn(at, " \t");
            int rc =
                dns_address_parse(at, strcspn(at, " \t\r\n;#"), DNS_PORT, &out->servers[out->n]);
            out->n += rc == 0;
            out->incomplete |= rc == 1;
        }
        text = end + (*end == '\n');
    }
}
