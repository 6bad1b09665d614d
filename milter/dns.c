/*
 * DNS look-ups on c-ares. Owns the resolver channels, the deadline of each look-up and the
 * unpacking of answers; knows nothing of SPF.
 */
#include "gatepost/dns.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include <ares.h>

#include "gatepost/clock.h"

/* Channels kept for the next look-up; more are made on need and freed behind it. */
#define CHANNELS_KEPT 32
/* Records taken from one answer. */
#define RECORDS_MAX 256

struct dns {
    char *servers; /* as c-ares takes them; NULL for resolv.conf's */
    pthread_mutex_t lock;
    ares_channel idle[CHANNELS_KEPT]; /* under lock */
    size_t n_idle;
};

static int channel_new(const struct dns *dns, ares_channel *out) {
    /* a lost packet is sent again after a second; the caller's deadline ends it all */
    struct ares_options options = {.flags = ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
                                   .timeout = 1000,
                                   .tries = 4,
                                   .ednspsz = 1232};
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

int dns_open(const char *const *nameservers, size_t n, struct dns **out, char *why,
             size_t why_size) {
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
        snprintf(why, why_size, "no memory");
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strcat(dns->servers, ",");
        strcat(dns->servers, nameservers[i]);
    }
    pthread_mutex_init(&dns->lock, NULL);
    rc = channel_new(dns, &first);
    if (rc != ARES_SUCCESS) {
        snprintf(why, why_size, "name servers: %s", ares_strerror(rc));
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

void dns_answer_clear(struct dns_answer *answer) {
    for (size_t i = 0; i < answer->n; i++)
        free(answer->records[i].data);
    free(answer->records);
    *answer = (struct dns_answer){0};
}

/* Appends octets to the last record, or to a new one; -1 when there is no memory. */
static int add(struct dns_answer *answer, bool new_record, const void *data, size_t len) {
    if (answer->records == NULL)
        answer->records = calloc(RECORDS_MAX, sizeof *answer->records);
    if (answer->records == NULL)
        return -1;
    if (new_record && answer->n == RECORDS_MAX)
        return 0;
    struct dns_record *record = &answer->records[new_record ? answer->n : answer->n - 1];
    char *grown = realloc(record->data, record->len + len + 1);
    if (grown == NULL)
        return -1;
    if (new_record)
        answer->n++;
    memcpy(grown + record->len, data, len);
    grown[record->len + len] = '\0';
    record->data = grown;
    record->len += len;
    return 0;
}

static int unpack_a(const unsigned char *packet, int len, struct dns_answer *answer) {
    struct ares_addrttl found[RECORDS_MAX];
    int n = RECORDS_MAX;
    int rc = ares_parse_a_reply(packet, len, NULL, found, &n);
    for (int i = 0; rc == ARES_SUCCESS && i < n; i++)
        if (add(answer, true, &found[i].ipaddr, 4) != 0)
            return ARES_ENOMEM;
    return rc;
}

static int unpack_aaaa(const unsigned char *packet, int len, struct dns_answer *answer) {
    struct ares_addr6ttl found[RECORDS_MAX];
    int n = RECORDS_MAX;
    int rc = ares_parse_aaaa_reply(packet, len, NULL, found, &n);
    for (int i = 0; rc == ARES_SUCCESS && i < n; i++)
        if (add(answer, true, &found[i].ip6addr, 16) != 0)
            return ARES_ENOMEM;
    return rc;
}

static int unpack_mx(const unsigned char *packet, int len, struct dns_answer *answer) {
    struct ares_mx_reply *found = NULL;
    int rc = ares_parse_mx_reply(packet, len, &found);
    for (struct ares_mx_reply *mx = found; rc == ARES_SUCCESS && mx != NULL; mx = mx->next)
        if (add(answer, true, mx->host, strlen(mx->host)) != 0)
            rc = ARES_ENOMEM;
    ares_free_data(found);
    return rc;
}

static int unpack_txt(const unsigned char *packet, int len, struct dns_answer *answer) {
    struct ares_txt_ext *found = NULL;
    int rc = ares_parse_txt_reply_ext(packet, len, &found);
    bool skipping = false;
    for (struct ares_txt_ext *txt = found; rc == ARES_SUCCESS && txt != NULL; txt = txt->next) {
        skipping = txt->record_start ? answer->n == RECORDS_MAX : skipping;
        if (!skipping && add(answer, txt->record_start, txt->txt, txt->length) != 0)
            rc = ARES_ENOMEM;
    }
    ares_free_data(found);
    return rc;
}

static int unpack_ptr(const unsigned char *packet, int len, struct dns_answer *answer) {
    struct hostent *found = NULL;
    static const unsigned char no_address[4];
    int rc = ares_parse_ptr_reply(packet, len, no_address, 4, AF_INET, &found);
    for (char **name = found == NULL ? NULL : found->h_aliases;
         rc == ARES_SUCCESS && name != NULL && *name != NULL; name++)
        if (add(answer, true, *name, strlen(*name)) != 0)
            rc = ARES_ENOMEM;
    if (found != NULL)
        ares_free_hostent(found);
    return rc;
}

struct look_up {
    enum dns_type type;
    struct dns_answer *answer;
    int status;
    bool done;
};

static void arrived(void *arg, int status, int timeouts, unsigned char *packet, int len) {
    struct look_up *look_up = arg;
    (void)timeouts;
    look_up->done = true;
    look_up->status = status;
    if (status != ARES_SUCCESS)
        return;
    switch (look_up->type) {
    case DNS_A:
        look_up->status = unpack_a(packet, len, look_up->answer);
        break;
    case DNS_AAAA:
        look_up->status = unpack_aaaa(packet, len, look_up->answer);
        break;
    case DNS_MX:
        look_up->status = unpack_mx(packet, len, look_up->answer);
        break;
    case DNS_TXT:
        look_up->status = unpack_txt(packet, len, look_up->answer);
        break;
    case DNS_PTR:
        look_up->status = unpack_ptr(packet, len, look_up->answer);
        break;
    }
}

/* Waits for the sockets of the channel once, and lets it act; false when the deadline passed. */
static bool channel_step(ares_channel channel, int64_t deadline) {
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
    int rc = poll(pfds, n, (int)(wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000));
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

int dns_query(struct dns *dns, const char *name, enum dns_type type, int64_t deadline,
              struct dns_answer *answer, char *why, size_t why_size) {
    struct look_up look_up = {.type = type, .answer = answer};
    ares_channel channel;
    *answer = (struct dns_answer){0};
    int rc = channel_take(dns, &channel);
    if (rc != ARES_SUCCESS) {
        snprintf(why, why_size, "%s", ares_strerror(rc));
        return -1;
    }
    ares_query(channel, name, ns_c_in, (int)type, arrived, &look_up);
    while (!look_up.done && channel_step(channel, deadline))
        continue;
    bool late = !look_up.done;
    if (late)
        ares_cancel(channel);
    channel_give(dns, channel);
    if (!late && look_up.status == ARES_SUCCESS && answer->n > 0)
        return 1;
    dns_answer_clear(answer);
    /* ARES_EBADNAME: no name that the DNS could hold, so there is nothing under it */
    if (!late && (look_up.status == ARES_SUCCESS || look_up.status == ARES_ENODATA ||
                  look_up.status == ARES_ENOTFOUND || look_up.status == ARES_EBADNAME))
        return 0;
    snprintf(why, why_size, "%s", late ? "no answer in time" : ares_strerror(look_up.status));
    return -1;
}
