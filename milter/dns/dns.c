/*
 * DNS look-ups on c-ares. Owns the resolver channels and the deadline of each look-up; packets are
 * read by packet.c and answers kept by cache.c.
 */
#include "gatepost/dns/dns.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include <ares.h>

#include "cache.h"
#include "gatepost/base/clock.h"
#include "gatepost/base/metrics.h"
#include "gatepost/base/waiting.h"
#include "packet.h"

/* Channels kept for the next look-up; more are made on need and freed behind it. */
#define CHANNELS_KEPT 32
/* Answers kept. */
#define CACHE_ENTRIES 20000
/* The longest that an answer is kept, and how long a failure is, in milliseconds. */
#define KEPT_MAX (24 * 3600 * 1000LL)
#define FAILURE_KEPT 1000

/* Who is late after asking for less than this, in milliseconds, knows nothing of use to others. */
#define PATIENCE_MIN 500

struct dns {
    struct dns_cache *cache;
    char *servers; /* as c-ares takes them; NULL for resolv.conf's */
    pthread_mutex_t lock;
    ares_channel idle[CHANNELS_KEPT]; /* under lock */
    size_t n_idle;
};

static int channel_new(const struct dns *dns, ares_channel *out) {
    /* a lost packet is sent again after 400 ms; the caller's deadline ends it all */
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES | ARES_FLAG_EDNS, .timeout = 400, .tries = 5, .ednspsz = 1232};
    int rc = ares_init_options(
        out, &options, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ);
    if (rc != ARES_SUCCESS)
        return rc;
    if (dns->servers != NULL) {
        rc = ares_set_servers_ports_csv(*out, dns->servers);
        if (rc != ARES_SUCCESS)
            ares_destroy(*out);
    }
    return rc;
}

int dns_open(const char *const *nameservers, size_t n, struct dns **out, struct why *why) {
    ares_channel first;
    int rc = ares_library_init(ARES_LIB_INIT_ALL);
    struct dns *dns = rc == ARES_SUCCESS ? calloc(1, sizeof *dns) : NULL;
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += strlen(nameservers[i]) + 1;
    if (dns != NULL && n > 0)
        dns->servers = calloc(1, size);
    if (dns == NULL || (n > 0 && dns->servers == NULL)) {
        free(dns);
        return why_set(why, "no memory");
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strcat(dns->servers, ",");
        strcat(dns->servers, nameservers[i]);
    }
    dns->cache = dns_cache_new(CACHE_ENTRIES);
    pthread_mutex_init(&dns->lock, NULL);
    if (dns->cache == NULL) {
        why_set(why, "no memory");
        dns_free(dns);
        return -1;
    }
    rc = channel_new(dns, &first);
    if (rc != ARES_SUCCESS) {
        why_set(why, "name servers: %s", ares_strerror(rc));
        dns_free(dns);
        return -1;
    }
    dns->idle[dns->n_idle++] = first;
    *out = dns;
    return 0;
}

void dns_free(struct dns *dns) {
    if (dns == NULL)
        return;
    while (dns->n_idle > 0)
        ares_destroy(dns->idle[--dns->n_idle]);
    pthread_mutex_destroy(&dns->lock);
    dns_cache_free(dns->cache);
    free(dns->servers);
    free(dns);
    ares_library_cleanup();
}

static int channel_take(struct dns *dns, ares_channel *out) {
    bool taken = false;
    pthread_mutex_lock(&dns->lock);
    if (dns->n_idle > 0) {
        *out = dns->idle[--dns->n_idle];
        taken = true;
    }
    pthread_mutex_unlock(&dns->lock);
    return taken ? ARES_SUCCESS : channel_new(dns, out);
}

static void channel_give(struct dns *dns, ares_channel channel) {
    bool kept = false;
    pthread_mutex_lock(&dns->lock);
    if (dns->n_idle < CHANNELS_KEPT) {
        dns->idle[dns->n_idle++] = channel;
        kept = true;
    }
    pthread_mutex_unlock(&dns->lock);
    if (!kept)
        ares_destroy(channel);
}

struct look_up {
    enum dns_type type;
    struct dns_answer *answer;
    bool done;
};

static struct dns_answer *failure(const char *why) {
    struct dns_answer *answer = dns_answer_new(DNS_FAILED, why);
    if (answer != NULL)
        answer->expires = clock_now_ms() + FAILURE_KEPT;
    return answer;
}

static void arrived(void *arg, int status, int timeouts, unsigned char *packet, int len) {
    struct look_up *look_up = arg;
    uint32_t ttl = 0;
    (void)timeouts;
    look_up->done = true;
    if (status == ARES_SUCCESS ||
        ((status == ARES_ENODATA || status == ARES_ENOTFOUND) && packet != NULL)) {
        look_up->answer = dns_packet_read(packet, len, look_up->type, &ttl);
    } else if (status == ARES_ENODATA || status == ARES_ENOTFOUND || status == ARES_EBADNAME) {
        /* EBADNAME: no name that the DNS could hold, so there is nothing under it */
        look_up->answer = dns_answer_new(DNS_ABSENT, "");
    } else {
        look_up->answer = failure(ares_strerror(status));
    }
    if (look_up->answer != NULL && look_up->answer->status != DNS_FAILED) {
        int64_t kept = (int64_t)ttl * 1000 < KEPT_MAX ? (int64_t)ttl * 1000 : KEPT_MAX;
        look_up->answer->expires = clock_now_ms() + kept;
    }
}

/* Waits for the sockets of the channel once, and lets it act; false when the deadline passed. */
static bool channel_step(ares_channel channel, struct waiting *w, int64_t deadline) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd pfds[ARES_GETSOCK_MAXNUM];
    struct timeval left, next;
    nfds_t n = 0;
    int64_t ms = deadline - clock_now_ms();
    if (ms <= 0)
        return false;
    left = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct timeval *wait = ares_timeout(channel, &left, &next);
    /* bit i: read socket i, bit 16 + i: write it; c-ares' own macros shift into the sign */
    unsigned bits = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        short events = (short)(((bits >> i & 1) != 0 ? POLLIN : 0) |
                               ((bits >> (i + ARES_GETSOCK_MAXNUM) & 1) != 0 ? POLLOUT : 0));
        if (events != 0)
            pfds[n++] = (struct pollfd){.fd = sockets[i], .events = events};
    }
    w->deadline = clock_now_ms() + wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000;
    int rc = waiting_poll(w, pfds, n);
    if (rc <= 0) {
        ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        return true;
    }
    for (nfds_t i = 0; i < n; i++)
        if (pfds[i].revents != 0)
            ares_process_fd(channel,
                            (pfds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 ? pfds[i].fd
                                                                                  : ARES_SOCKET_BAD,
                            (pfds[i].revents & POLLOUT) != 0 ? pfds[i].fd : ARES_SOCKET_BAD);
    return true;
}

/* c-ares takes a backslash for an escape; every other octet is as it is. */
static int escape_name(const char *name, char *out, size_t size) {
    size_t n = 0;
    for (; *name != '\0'; name++) {
        if (n + 3 > size)
            return -1;
        if (*name == '\\')
            out[n++] = '\\';
        out[n++] = *name;
    }
    out[n] = '\0';
    return 0;
}

/* Asks the name servers; NULL when there is no memory. */
static struct dns_answer *ask(struct dns *dns, const char *name, enum dns_type type,
                              int64_t deadline) {
    struct look_up look_up = {.type = type};
    char escaped[600];
    ares_channel channel;
    if (escape_name(name, escaped, sizeof escaped) != 0)
        return dns_answer_new(DNS_ABSENT, "");
    int rc = channel_take(dns, &channel);
    if (rc != ARES_SUCCESS)
        return failure(ares_strerror(rc));
    ares_query(channel, escaped, ns_c_in, (int)type, arrived, &look_up);
    struct waiting w = waiting_begin(deadline);
    while (!look_up.done && channel_step(channel, &w, deadline))
        continue;
    waiting_end(&w);
    bool late = !look_up.done;
    if (late)
        ares_cancel(channel);
    channel_give(dns, channel);
    if (!late)
        return look_up.answer;
    dns_answer_release(look_up.answer);
    return failure("no answer in time");
}

enum dns_status dns_query(struct dns *dns, const char *name, enum dns_type type, int64_t deadline,
                          struct dns_answer **out) {
    bool owner;
    enum metrics_dns outcome = DNS_CACHED;
    struct dns_answer *answer = dns_cache_get(dns->cache, name, type, deadline, &owner);
    if (answer == NULL) {
        int64_t begin = clock_now_ms();
        answer = begin < deadline ? ask(dns, name, type, deadline) : failure("no answer in time");
        int64_t end = clock_now_ms();
        bool failed = answer == NULL || answer->status == DNS_FAILED;
        outcome = end >= deadline ? DNS_LATE : failed ? DNS_ERROR : DNS_ANSWERED;
        bool hasty = failed && outcome == DNS_LATE && end - begin < PATIENCE_MIN;
        if (owner)
            dns_cache_put(dns->cache, name, type, hasty ? NULL : answer);
    }
    metrics_dns(outcome);
    *out = answer;
    return answer == NULL ? DNS_FAILED : answer->status;
}
