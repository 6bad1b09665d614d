/*
 * Addresses where the filter shall listen. Owns the judgement of one; opening it is socket.c's and
 * http.c's. Places of unix sockets are base/unix_place.c's.
 */
#include "place.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatepost/base/host_port.h"
#include "holder.h"

static int try_sockaddr(const struct sockaddr *address, socklen_t len, struct why *why) {
    int on = 1, error = 0;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (address->sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, address, len) != 0 || listen(fd, 1) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    if (error == 0 || (error == EADDRINUSE && holder_is_filter(address)))
        return 0;
    return why_set(why, "%s", strerror(error));
}

int place_resolve(const char *socket, bool to_listen, struct addrinfo **out) {
    char name[300], *host;
    const struct addrinfo wanted = {.ai_family =
                                        strncmp(socket, "inet6", 5) == 0 ? AF_INET6 : AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = to_listen ? AI_PASSIVE : 0};
    snprintf(name, sizeof name, "%s", strchr(socket, ':') + 1);
    host = strchr(name, '@');
    if (host != NULL)
        *host++ = '\0';
    return getaddrinfo(host, name, &wanted, out);
}

int place_try_inet(const char *socket, struct why *why) {
    struct addrinfo *found;
    int rc = place_resolve(socket, true, &found);
    if (rc != 0)
        return why_set(why, "its address: %s", gai_strerror(rc));
    rc = try_sockaddr(found->ai_addr, found->ai_addrlen, why);
    freeaddrinfo(found);
    return rc;
}

int place_try_address(const char *address, struct why *why) {
    struct sockaddr_storage where;
    struct host_port parsed;
    if (host_port_parse(address, &parsed) != 0)
        return why_set(why, "it is not ADDRESS:PORT");
    socklen_t len = host_port_sockaddr(&parsed, &where);
    return try_sockaddr((struct sockaddr *)&where, len, why);
}
