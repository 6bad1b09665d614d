/*
 * `doors check`: what its files share. One question - is this door of this host open to a stranger
 * or to the canary? - and a report for each door and address.
 */
#ifndef GATEPOST_CTL_DOORS_DOORS_H
#define GATEPOST_CTL_DOORS_DOORS_H

#include "../ctl.h"
#include "gatepost/base/json_text.h"
#include "gatepost/core/netblock.h"
#include "mail_talk.h"

struct door_entry {
    const char *name;                     /* as --port and --path call it */
    int port;                             /* of its own */
    const struct talk_protocol *protocol; /* NULL: HTTP, asked only where --path names it */
    bool wrapped;                         /* TLS from the first octet on */
};

#define DOOR_ENTRIES 15
extern const struct door_entry door_entries[DOOR_ENTRIES];

/* In order of severity. */
enum remark_kind { REMARK_NOTE, REMARK_UNKNOWN, REMARK_FINDING };

struct remark {
    enum remark_kind kind;
    const char *word; /* "let-in"; static */
    char text[600];
};

struct door_report {
    const struct door_entry *door;
    struct ip_address address;
    int port;
    bool closed;          /* nobody listens there */
    bool refused_by_us;   /* the canary read Gatepost's text */
    struct tls_seen seen; /* version NULL: no TLS */
    struct remark remarks[8];
    size_t n;
};

/* An account whose protocols are all off, and its password. */
struct canary {
    const char *login;
    char *token;  /* for PLAIN, in base64; NULL: there is no canary */
    char *basic;  /* for Basic, in base64 */
    char *sender; /* for MAIL FROM; "" where the login is no address */
};

struct doors_question {
    const struct config *config;
    const char *host; /* for the certificate */
    struct canary canary;
    int64_t patience;                /* milliseconds for one door at one address */
    int64_t now;                     /* seconds since the epoch */
    const char *paths[DOOR_ENTRIES]; /* of HTTP doors; NULL: not asked */
    int ports[DOOR_ENTRIES];         /* 0: not asked */
};

void door_remark(struct door_report *report, enum remark_kind kind, const char *word,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The worst of its remarks. */
enum remark_kind door_worst(const struct door_report *report);

/* What the certificate is worth; `needed`: passwords are taken behind it. */
void door_judge_certificate(const struct doors_question *q, struct door_report *report,
                            bool needed);

/* How a stream has ended before all was known. */
void door_judge_end(struct door_report *report, const struct stream *stream);

/* What the canary was told when it was refused. */
void door_judge_refusal(const struct doors_question *q, struct door_report *report,
                        const char *said);

/* Tries one door at the address and port of the report. */
void mail_door_try(const struct doors_question *q, struct door_report *report);
void http_door_try(const struct doors_question *q, size_t entry, struct door_report *report);

/* Reads the password of the file for the login. 0, or -1 with the reason. */
int canary_read(const struct ctl *ctl, const char *login, const char *file, struct canary *out,
                struct why *why);
void canary_clear(struct canary *canary);

/* Prints a report as lines; as an object of JSON, a new reference. */
void door_report_print(const struct door_report *report);
json_t *door_report_json(const struct door_report *report);

#endif
