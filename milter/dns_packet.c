/*
 * DNS answers from the wire. Owns the reading of packets; who asked and what it is good for is not
 * its business.
 */
#include "gatepost/dns_packet.h"

#include <sys/types.h>

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* CNAMEs that are followed inside one answer. */
#define CHAIN_MAX 16

struct dns_answer *dns_answer_new(enum dns_status status, const char *why) {
    struct dns_answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return NULL;
    answer->status = status;
    snprintf(answer->why, sizeof answer->why, "%s", why);
    atomic_init(&answer->references, 1);
    return answer;
}

void dns_answer_release(struct dns_answer *answer) {
    if (answer == NULL || atomic_fetch_sub(&answer->references, 1) != 1)
        return;
    for (size_t i = 0; i < answer->n; i++)
        free(answer->records[i].data);
    free(answer->records);
    free(answer);
}

/*
 * A name as libresolv writes it, with its octets as they are; -1 for one that cannot be written so
 * (a dot or a NUL inside a label).
 */
static int plain_name(const char *escaped, char *out, size_t size) {
    size_t n = 0;
    for (const char *p = escaped; *p != '\0'; p++) {
        int octet = (unsigned char)*p;
        if (*p == '\\' && p[1] >= '0' && p[1] <= '9') {
            octet = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
            p += 3;
            if (octet == 0 || octet == '.')
                return -1;
        } else if (*p == '\\') {
            octet = (unsigned char)*++p;
            if (octet == '.')
                return -1;
        }
        if (n + 1 >= size)
            return -1;
        out[n++] = (char)octet;
    }
    while (n > 0 && out[n - 1] == '.')
        n--;
    out[n] = '\0';
    return 0;
}

static int add(struct dns_answer *answer, const void *data, size_t len) {
    if (answer->records == NULL)
        answer->records = calloc(DNS_RECORDS_MAX, sizeof *answer->records);
    char *copy = answer->records == NULL ? NULL : malloc(len + 1);
    if (copy == NULL)
        return -1;
    memcpy(copy, data, len);
    copy[len] = '\0';
    answer->records[answer->n++] = (struct dns_record){copy, len};
    return 0;
}

/* The strings of a TXT record, joined */
static int add_txt(struct dns_answer *answer, const unsigned char *rdata, size_t len) {
    unsigned char *joined = malloc(len + 1);
    size_t n = 0;
    if (joined == NULL)
        return -1;
    for (size_t i = 0; i < len;) {
        size_t string = rdata[i++];
        if (string > len - i)
            string = len - i;
        memcpy(joined + n, rdata + i, string);
        n += string;
        i += string;
    }
    int rc = add(answer, joined, n);
    free(joined);
    return rc;
}

/* A host name in the rdata of a PTR or, behind the preference, of an MX record. */
static int add_name(struct dns_answer *answer, ns_msg *msg, const unsigned char *at) {
    char escaped[NS_MAXDNAME], plain[NS_MAXDNAME];
    if (ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), at, escaped, sizeof escaped) < 0 ||
        plain_name(escaped, plain, sizeof plain) != 0)
        return 0; /* no name that could be looked up */
    return add(answer, plain, strlen(plain));
}

static int add_record(struct dns_answer *answer, ns_msg *msg, const ns_rr *rr) {
    const unsigned char *rdata = ns_rr_rdata(*rr);
    size_t len = ns_rr_rdlen(*rr);
    switch ((enum dns_type)ns_rr_type(*rr)) {
    case DNS_A:
        return len == 4 ? add(answer, rdata, 4) : 0;
    case DNS_AAAA:
        return len == 16 ? add(answer, rdata, 16) : 0;
    case DNS_TXT:
        return add_txt(answer, rdata, len);
    case DNS_PTR:
        return add_name(answer, msg, rdata);
    case DNS_MX:
        return len > 2 ? add_name(answer, msg, rdata + 2) : 0;
    }
    return 0;
}

/* The end of the CNAME chain that begins at `name`, in place; lowers *ttl on the way. */
static void follow_cnames(ns_msg *msg, char name[NS_MAXDNAME], uint32_t *ttl) {
    for (int hops = 0; hops < CHAIN_MAX; hops++) {
        bool found = false;
        for (int i = 0; !found && i < ns_msg_count(*msg, ns_s_an); i++) {
            ns_rr rr;
            if (ns_parserr(msg, ns_s_an, i, &rr) != 0)
                return;
            if (ns_rr_type(rr) != ns_t_cname || strcasecmp(ns_rr_name(rr), name) != 0)
                continue;
            found = ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), ns_rr_rdata(rr), name,
                                       NS_MAXDNAME) >= 0;
            *ttl = found && ns_rr_ttl(rr) < *ttl ? ns_rr_ttl(rr) : *ttl;
        }
        if (!found)
            return;
    }
}

/* RFC 2308 5: an absence lasts as long as the SOA and its MINIMUM allow. */
static uint32_t absence_ttl(ns_msg *msg) {
    for (int i = 0; i < ns_msg_count(*msg, ns_s_ns); i++) {
        ns_rr rr;
        if (ns_parserr(msg, ns_s_ns, i, &rr) != 0)
            return 0;
        if (ns_rr_type(rr) != ns_t_soa || ns_rr_rdlen(rr) < 4)
            continue;
        uint32_t minimum = ns_get32(ns_rr_rdata(rr) + ns_rr_rdlen(rr) - 4);
        return minimum < ns_rr_ttl(rr) ? minimum : ns_rr_ttl(rr);
    }
    return 0;
}

struct preference {
    unsigned value;
    struct dns_record record;
};

static int order_preference(const void *a, const void *b) {
    const struct preference *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static int collect(struct dns_answer *answer, ns_msg *msg, const char *owner, enum dns_type type,
                   uint32_t *ttl) {
    struct preference order[DNS_RECORDS_MAX];
    for (int i = 0; i < ns_msg_count(*msg, ns_s_an) && answer->n < DNS_RECORDS_MAX; i++) {
        ns_rr rr;
        size_t before = answer->n;
        if (ns_parserr(msg, ns_s_an, i, &rr) != 0)
            return -2;
        if ((int)ns_rr_type(rr) != (int)type || strcasecmp(ns_rr_name(rr), owner) != 0)
            continue;
        if (add_record(answer, msg, &rr) != 0)
            return -1;
        if (answer->n > before && type == DNS_MX)
            order[before] = (struct preference){ns_get16(ns_rr_rdata(rr)), answer->records[before]};
        *ttl = ns_rr_ttl(rr) < *ttl ? ns_rr_ttl(rr) : *ttl;
    }
    if (type == DNS_MX && answer->n > 1) {
        qsort(order, answer->n, sizeof *order, order_preference);
        for (size_t i = 0; i < answer->n; i++)
            answer->records[i] = order[i].record;
    }
    return 0;
}

struct dns_answer *dns_packet_read(const unsigned char *packet, int len, enum dns_type type,
                                   uint32_t *ttl) {
    struct dns_answer *answer = dns_answer_new(DNS_ABSENT, "");
    char name[NS_MAXDNAME];
    ns_msg msg;
    ns_rr question;
    *ttl = UINT32_MAX;
    if (answer == NULL)
        return NULL;
    if (ns_initparse(packet, len, &msg) != 0 || ns_msg_count(msg, ns_s_qd) != 1 ||
        ns_parserr(&msg, ns_s_qd, 0, &question) != 0) {
        answer->status = DNS_FAILED;
        snprintf(answer->why, sizeof answer->why, "the answer cannot be read");
        return answer;
    }
    snprintf(name, sizeof name, "%s", ns_rr_name(question));
    follow_cnames(&msg, name, ttl);
    int rc = collect(answer, &msg, name, type, ttl);
    if (rc == -1) {
        dns_answer_release(answer);
        return NULL;
    }
    if (rc == -2) {
        answer->status = DNS_FAILED;
        snprintf(answer->why, sizeof answer->why, "the answer cannot be read");
    } else if (answer->n > 0) {
        answer->status = DNS_FOUND;
    } else {
        *ttl = absence_ttl(&msg);
    }
    return answer;
}
