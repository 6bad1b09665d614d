/*
 * The name servers that are asked, in the order in which to ask them.
 *
 * They are the configured ones, or those of resolv.conf, which is looked at again as it changes.
 * A server that did not answer is asked after the others for a while. Any thread.
 */
#ifndef GATEPOST_DNS_SERVERS_H
#define GATEPOST_DNS_SERVERS_H

#include "gatepost/core/why.h"
#include "resolv_conf.h"

/* At most so many can be configured. */
#define DNS_SERVERS_MAX 16

struct dns_servers;

/*
 * The n servers given as "ADDRESS:PORT" or "[ADDRESS]:PORT", or with n = 0 those of the file
 * `resolv_conf`, which must stay valid: 127.0.0.1 as long as it has none. Returns 0 and a list
 * owned by the caller, or -1 with the reason.
 */
int dns_servers_open(const char *const *texts, size_t n, const char *resolv_conf,
                     struct dns_servers **out, struct why *why);
void dns_servers_free(struct dns_servers *servers);

/*
 * Looks whether the file has changed, twice a second at most; to be called before each question.
 * Returns true when the servers are others now. A file that has none (any more) changes nothing.
 */
bool dns_servers_follow(struct dns_servers *servers, int64_t now);

struct dns_server {
    struct dns_address address;
    bool silent; /* it did not answer lately */
    bool tried;  /* it was silent, and this question is to find out whether it still is */
};

/* The servers in the order in which to ask them, at least one; returns how many. */
size_t dns_servers_take(struct dns_servers *servers, int64_t now,
                        struct dns_server out[DNS_SERVERS_MAX]);

/* What became of a question: a server answered; it did not, though a later one did. */
void dns_servers_answered(struct dns_servers *servers, const struct dns_server *server);
void dns_servers_silent(struct dns_servers *servers, const struct dns_server *server, int64_t now);

#endif
