/*
 * Addresses with ports. Owns their syntax.
 */
#include "gatepost/base/host_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int port_parse(const char *text, size_t len) {
    int port = 0;
    if (len == 0 || len > 5)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        port = port * 10 + (text[i] - '0');
    }
    return port >= 1 && port <= 65535 ? port : -1;
}

int host_port_parse(const char *text, struct host_port *out) {
    const char *address = text, *port = NULL, *colon = strchr(text, ':');
    size_t len = strlen(text);
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return -1;
        address = text + 1;
        len = (size_t)(end - address);
        port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        len = (size_t)(colon - text);
        port = colon + 1;
    }
    int number = port == NULL ? 0 : port_parse(port, strlen(port));
    *out = (struct host_port){.port = (uint16_t)number};
    return number < 0 ? -1 : ip_parse(address, len, &out->address);
}

const char *host_port_format(const struct host_port *where, char out[static HOST_PORT_SIZE]) {
    char text[IP_TEXT_SIZE];
    ip_format(&where->address, text);
    snprintf(out, HOST_PORT_SIZE, where->address.family == IP_V6 ? "[%s]:%u" : "%s:%u", text,
             (unsigned)where->port);
    return out;
}

bool host_port_is_loopback(const struct host_port *where) {
    static const unsigned char v6[16] = {[15] = 1};
    if (where->address.family == IP_V6)
        return memcmp(where->address.bytes, v6, sizeof v6) == 0;
    return where->address.family == IP_V4 && where->address.bytes[0] == 127;
}

socklen_t host_port_sockaddr(const struct host_port *where, struct sockaddr_storage *out) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (where->address.family == IP_V6) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(where->port);
        memcpy(&v6->sin6_addr, where->address.bytes, 16);
        return sizeof *v6;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons(where->port);
    memcpy(&v4->sin_addr, where->address.bytes, 4);
    return sizeof *v4;
}
