/*
 * Where to listen or to connect, as the configuration writes it: ADDRESS, ADDRESS:PORT or
 * [ADDRESS]:PORT, with an IPv4 or IPv6 address. An IPv6 address with a port needs the brackets.
 */
#ifndef GATEPOST_BASE_HOST_PORT_H
#define GATEPOST_BASE_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gatepost/core/netblock.h"

/* Room for "[ADDRESS]:PORT". */
#define HOST_PORT_SIZE (IP_TEXT_SIZE + 8)

struct host_port {
    struct ip_address address;
    uint16_t port; /* 0: none was given */
};

/* The number of a port, 1 to 65535, in `len` octets; -1 when it is none. */
int port_parse(const char *text, size_t len);

/* Returns 0, or -1 when the text is something else (*out is then undefined). */
int host_port_parse(const char *text, struct host_port *out);

/* "ADDRESS:PORT", or "[ADDRESS]:PORT" for IPv6. Returns `out`. */
const char *host_port_format(const struct host_port *where, char out[static HOST_PORT_SIZE]);

/* Does nobody but this host reach it? */
bool host_port_is_loopback(const struct host_port *where);

/* The same for the system; returns the length of the address. */
socklen_t host_port_sockaddr(const struct host_port *where, struct sockaddr_storage *out);

#endif
