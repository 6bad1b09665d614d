/*
 * The SMTP reply of a verdict: code, enhanced status code (RFC 3463, RFC 7372) and one line of
 * text, made from a template with named placeholders.
 *
 * Templates are never format strings: `{name}` is replaced for the names below, everything else
 * stays as it is. The result is safe for smfi_setreply(3) whatever octets the values hold. Pure.
 */
#ifndef GATEPOST_CORE_REPLY_H
#define GATEPOST_CORE_REPLY_H

#include "gatepost/core/decision.h"
#include "gatepost/core/why.h"

/* What a template may name. NULL values are replaced by "-". */
struct reply_values {
    const char *account;     /* {account} */
    const char *service;     /* {service} */
    const char *client;      /* {client}: the client's IP address */
    const char *sender;      /* {sender} */
    const char *login;       /* {login} */
    const char *as;          /* {as}: the address that a login would send as */
    const char *helo;        /* {helo} */
    const char *listener;    /* {listener} */
    const char *domain;      /* {domain}: the domain whose SPF record was evaluated */
    const char *explanation; /* {explanation}: what that domain says of a fail; NULL for nothing */
    const char *session;     /* {session}; every reply ends with it in any case */
    size_t prefix;           /* octets that the MTA puts before the text */
};

#define REPLY_TEXT_SIZE 420

/* Up to so many octets before it the longest text leaves room in the line (RFC 5321 4.5.3.1.5). */
#define REPLY_PREFIX 70

struct reply {
    char code[4];               /* "550" */
    char enhanced[8];           /* "5.7.23" */
    char text[REPLY_TEXT_SIZE]; /* one line, printable US-ASCII; for the MTA '%' is doubled */
};

/*
 * Is `text` a template? Returns 0, or -1 with the reason in `why`: an unknown or unclosed
 * placeholder, a control character, nothing at all.
 */
int reply_check_template(const char *text, struct why *why);

/* The template that a reason has when the configuration gives none. */
const char *reply_default_template(const struct verdict *verdict);

/* A reply as one text: with its codes where it is one of SMTP, as at the MTA's door. */
void reply_format(const struct reply *reply, enum door door, char *out, size_t size);

/*
 * Writes the reply of a verdict whose kind is defer or reject. `template` is the configuration's
 * for its reason, NULL for the default.
 */
void reply_render(const struct verdict *verdict, const char *template,
                  const struct reply_values *values, struct reply *out);

#endif
