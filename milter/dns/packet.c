/*
 * DNS answers from the wire. Owns the reading of packets; who sent them, and what the answer is
 * for, is not its business.
 */
#include "packet.h"

#include <sys/types.h>

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* CNAMEs that are followed inside one answer; more are an error, as a loop is (RFC 1034 3.6.2). */
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

enum { READ = 0, NO_MEMORY = -1, UNREADABLE = -2, ENDLESS = -3 };

static int add(struct dns_answer *answer, const void *data, size_t len) {
    if ((answer->n & (answer->n - 1)) == 0) { /* the packet's 64 KB bound their number */
        size_t room = answer->n == 0 ? 1 : answer->n * 2;
        struct dns_record *grown = realloc(answer->records, room * sizeof *grown);
        if (grown == NULL)
            return NO_MEMORY;
        answer->records = grown;
    }
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return NO_MEMORY;
    memcpy(copy, data, len);
    copy[len] = '\0';
    answer->records[answer->n].data = copy;
    answer->records[answer->n++].len = len;
    return READ;
}

/* The strings of a TXT record, joined */
static int add_txt(struct dns_answer *answer, const unsigned char *rdata, size_t len) {
    unsigned char *joined = malloc(len + 1);
    size_t n = 0;
    if (joined == NULL)
        return NO_MEMORY;
    for (size_t i = 0; i < len;) {
        size_t string = rdata[i++];
        if (string > len - i) {
            free(joined);
            return UNREADABLE;
        }
        memcpy(joined + n, rdata + i, string);
        n += string;
        i += string;
    }
    int rc = add(answer, joined, n);
    free(joined);
    return rc;
}

/* A host name in the rdata of a PTR or, after the preference, of an MX record. */
static int add_name(struct dns_answer *answer, ns_msg *msg, const unsigned char *at) {
    char escaped[NS_MAXDNAME], plain[NS_MAXDNAME];
    if (ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), at, escaped, sizeof escaped) < 0)
        return UNREADABLE;
    if (plain_name(escaped, plain, sizeof plain) != 0)
        return READ; /* no name that could be looked up */
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

/* Is it a record of the Internet class, of this type and owner? */
static bool is_record(const ns_rr *rr, int type, const char *owner) {
    return (int)ns_rr_type(*rr) == type && ns_rr_class(*rr) == ns_c_in &&
           strcasecmp(ns_rr_name(*rr), owner) == 0;
}

/* RFC 2181 8: one with the highest bit set is 0. */
static uint32_t ttl_of(const ns_rr *rr) {
    return ns_rr_ttl(*rr) <= INT32_MAX ? ns_rr_ttl(*rr) : 0;
}

/* Goes from `name` to what its CNAME says, in place: 1, 0 when it has none, or UNREADABLE. */
static int next_cname(ns_msg *msg, char name[NS_MAXDNAME], uint32_t *ttl) {
    for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
        ns_rr rr;
        if (ns_parserr(msg, ns_s_an, i, &rr) != 0)
            return UNREADABLE;
        if (!is_record(&rr, ns_t_cname, name))
            continue;
        if (ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), ns_rr_rdata(rr), name,
                               NS_MAXDNAME) < 0)
            return UNREADABLE;
        *ttl = ttl_of(&rr) < *ttl ? ttl_of(&rr) : *ttl;
        return 1;
    }
    return 0;
}

/* The end of the CNAME chain that begins at `name`, in place; ENDLESS for a loop. */
static int follow_cnames(ns_msg *msg, char name[NS_MAXDNAME], uint32_t *ttl) {
    for (int hops = 0; hops < CHAIN_MAX; hops++) {
        int rc = next_cname(msg, name, ttl);
        if (rc <= 0)
            return rc;
    }
    return ENDLESS;
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
        return minimum < ttl_of(&rr) ? minimum : ttl_of(&rr);
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

/* `values` are the preferences of the records. */
static int sort_mx(struct dns_answer *answer, const unsigned *values) {
    struct preference *order = calloc(answer->n + 1, sizeof *order);
    if (order == NULL)
        return NO_MEMORY;
    for (size_t i = 0; i < answer->n; i++)
        order[i] = (struct preference){values[i], answer->records[i]};
    qsort(order, answer->n, sizeof *order, order_preference);
    for (size_t i = 0; i < answer->n; i++)
        answer->records[i] = order[i].record;
    free(order);
    return READ;
}

static int collect(struct dns_answer *answer, ns_msg *msg, const char *owner, enum dns_type type,
                   uint32_t *ttl) {
    int count = ns_msg_count(*msg, ns_s_an), rc = READ;
    unsigned *preferences = calloc((size_t)count + 1, sizeof *preferences);
    if (preferences == NULL)
        return NO_MEMORY;
    for (int i = 0; rc == READ && i < count; i++) {
        ns_rr rr;
        size_t before = answer->n;
        if (ns_parserr(msg, ns_s_an, i, &rr) != 0) {
            rc = UNREADABLE;
        } else if (is_record(&rr, (int)type, owner)) {
            rc = add_record(answer, msg, &rr);
            if (answer->n > before && type == DNS_MX)
                preferences[before] = ns_get16(ns_rr_rdata(rr));
            *ttl = ttl_of(&rr) < *ttl ? ttl_of(&rr) : *ttl;
        }
    }
    if (rc == READ && type == DNS_MX)
        rc = sort_mx(answer, preferences);
    free(preferences);
    return rc;
}

/* The records of an answer whose head is in order: READ, NO_MEMORY, UNREADABLE or ENDLESS. */
static int read_records(struct dns_answer *answer, ns_msg *msg, enum dns_type type, uint32_t *ttl) {
    char name[NS_MAXDNAME];
    ns_rr question;
    if (ns_parserr(msg, ns_s_qd, 0, &question) != 0)
        return UNREADABLE;
    snprintf(name, sizeof name, "%s", ns_rr_name(question));
    *ttl = UINT32_MAX;
    int rc = follow_cnames(msg, name, ttl);
    /* a name that does not exist has no records */
    answer->no_such_name = ns_msg_getflag(*msg, ns_f_rcode) == ns_r_nxdomain;
    if (rc == READ && !answer->no_such_name)
        rc = collect(answer, msg, name, type, ttl);
    if (rc != READ)
        return rc;
    answer->status = answer->n > 0 ? DNS_FOUND : DNS_ABSENT;
    uint32_t kept = answer->n > 0 ? *ttl : absence_ttl(msg);
    *ttl = kept < *ttl ? kept : *ttl; /* that of a CNAME before it counts too */
    return READ;
}

static void read_error(unsigned rcode, struct dns_reading *out) {
    static const char *const names[] = {"",        "FORMERR", "SERVFAIL", "",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                        "NXRRSET", "NOTAUTH", "NOTZONE"};
    out->kind = READING_ERROR;
    out->rcode = rcode;
    if (rcode < sizeof names / sizeof *names)
        snprintf(out->problem, sizeof out->problem, "the name server answers %s", names[rcode]);
    else
        snprintf(out->problem, sizeof out->problem, "the name server answers error %u", rcode);
}

void dns_packet_read(const struct dns_question *question, uint16_t id, const unsigned char *packet,
                     size_t len, struct dns_reading *out) {
    ns_msg msg;
    *out = (struct dns_reading){.kind = READING_FOREIGN};
    if (!dns_question_answered(question, id, packet, len))
        return;
    unsigned rcode = packet[3] & 0xf;
    if (rcode != ns_r_noerror && rcode != ns_r_nxdomain) {
        read_error(rcode, out);
        return;
    }
    if ((packet[2] & 0x02) != 0) { /* TC */
        out->kind = READING_TRUNCATED;
        return;
    }
    out->kind = READING_MALFORMED;
    if (ns_initparse(packet, (int)len, &msg) != 0)
        return;
    struct dns_answer *answer = dns_answer_new(DNS_ABSENT, "");
    int rc = answer == NULL ? NO_MEMORY : read_records(answer, &msg, question->type, &out->ttl);
    if (rc == READ || rc == NO_MEMORY)
        out->kind = READING_ANSWER;
    if (rc == READ) {
        out->answer = answer;
        return;
    }
    dns_answer_release(answer);
    if (rc == ENDLESS) {
        out->kind = READING_ERROR;
        snprintf(out->problem, sizeof out->problem, "the aliases of the name have no end");
    }
}
