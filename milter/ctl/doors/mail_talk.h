/*
 * What a client says to SMTP, IMAP, POP3 and ManageSieve servers before and at a login, and what
 * their answers mean: a table for each protocol, and one way through all of them.
 */
#ifndef GATEPOST_CTL_DOORS_MAIL_TALK_H
#define GATEPOST_CTL_DOORS_MAIL_TALK_H

#include <stdbool.h>

#include "stream.h"

/* What is said, in this order; TALK_GREETING after TLS too where the protocol has one there. */
enum talk_step {
    TALK_GREETING,
    TALK_CAPABILITIES,
    TALK_STARTTLS,
    TALK_GREETING_BY_TLS,
    TALK_LOGIN,  /* by PLAIN (RFC 4616), with the token where it has a place */
    TALK_TOKEN,  /* the token alone, when it is asked for */
    TALK_SENDER, /* MAIL FROM, of SMTP */
    TALK_BYE,
    TALK_STEPS
};

enum talk_answer {
    TALK_NOTHING, /* the protocol has no such step, and nothing was said */
    TALK_YES,
    TALK_GO_ON, /* it waits for more */
    TALK_LATER, /* no, but only for now */
    TALK_NO,
    TALK_OPEN, /* IMAP: whoever comes is logged in already */
    TALK_ODD,  /* no answer of this protocol */
    TALK_LOST  /* the stream has ended: its `end` and `why` */
};

/* What a server says of logins. */
struct talk_offers {
    bool starttls, login, plain;
    char mechanisms[120]; /* of SASL, as it lists them; "": none */
};

struct talk_protocol;
extern const struct talk_protocol talk_smtp, talk_imap, talk_pop3, talk_sieve;

struct talk {
    const struct talk_protocol *protocol;
    struct stream *stream;
    struct talk_offers offers;   /* of the last answer that had some */
    char said[STREAM_LINE_SIZE]; /* the line that was the answer */
};

const char *talk_name(const struct talk_protocol *protocol);

/*
 * Says the command of the step, with `argument` in its place, and hears the answer out, but for
 * TALK_BYE.
 */
enum talk_answer talk_say(struct talk *talk, enum talk_step step, const char *argument);

#endif
