/*
 * The redirections of a cluster. Owns their syntax. Pure.
 */
#include "gatepost/store/redis/redirect.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int redis_redirect_read(const char *error, struct redis_redirect *out) {
    bool moved = strncmp(error, "MOVED ", 6) == 0;
    const char *address = strrchr(error, ' ');
    const char *colon = strrchr(error, ':');
    if ((!moved && strncmp(error, "ASK ", 4) != 0) || address == NULL || colon == NULL ||
        colon < address)
        return -1;
    size_t len = (size_t)(colon - address - 1);
    long port = strtol(colon + 1, NULL, 10);
    if (len >= sizeof out->host || port < 1 || port > 65535)
        return -1;
    memcpy(out->host, address + 1, len);
    out->host[len] = '\0';
    if (strcmp(out->host, "?") == 0) /* cluster-preferred-endpoint-type unknown-endpoint */
        out->host[0] = '\0';
    out->port = (int)port;
    out->kind = moved ? REDIRECT_MOVED : REDIRECT_ASK;
    return 0;
}
