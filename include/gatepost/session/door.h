/*
 * A login at a door other than the MTA: who asks says what he knows, and reads what becomes of it.
 *
 * Finds the listener, has the login judged by judge.c, counts and logs the verdict. Knows nothing
 * of HTTP or of who asks. Any thread; may wait for the store as long as store_timeout says.
 */
#ifndef GATEPOST_SESSION_DOOR_H
#define GATEPOST_SESSION_DOOR_H

#include "gatepost/core/reply.h"
#include "gatepost/session/app_passwords.h"
#include "gatepost/session/judge.h"

struct session_observer;

/* Texts last until door_ask() returns; NULL or empty where the peer does not say. */
struct door_question {
    enum door door;
    const char *service;           /* as the peer calls it: "imap" */
    const char *login;             /* as the peer hands it over; never empty */
    struct ip_address client;      /* IP_NONE: not known, and listed nowhere */
    struct ip_address real_client; /* who is connected, where the client is another; or IP_NONE */
    struct ip_address local;       /* the address that the client came to, or IP_NONE */
    int port;                      /* and its port; 0: not known */
    bool tls;                      /* the client's connection is encrypted */
    const char *session;           /* the peer's name for it, for the log */
    const char *listener;          /* the title of the one to take, for `explain`; else NULL */
    bool app_password;             /* it was made with one of the account's app passwords */
    const char *password_id;       /* which one, for the log; NULL where nobody says */
    bool authenticated;            /* the peer has verified the password */
    bool quiet;                    /* no line and no count: it is one part of a question */
    const struct session_observer *observer; /* for `explain`, NULL for none */
};

struct door_answer {
    enum verdict_kind kind; /* carried out; never mark: accept, defer (not known), reject */
    enum reason reason;
    const struct config_listener *listener; /* of the runtime's configuration; NULL: no section */
    const char *service;                    /* it was judged for; "" where there is none */
    char text[REPLY_TEXT_SIZE];             /* one line, printable US-ASCII; "" when accepted */
};

/*
 * The listener that the question comes to: 1 and the listener, 0 where there is no section for its
 * service, which is then judged without one, -1 where the service does not exist here.
 */
int door_find_listener(struct runtime *runtime, const struct door_question *question,
                       const struct config_listener **out);

/*
 * Is what was typed an app password of this login, good for the service that the question is judged
 * for? Returns 1 and its id, 0 when it is none, -1 with the reason when that cannot be known.
 */
int door_check_password(struct runtime *runtime, const struct door_question *question,
                        const char *typed, char id[static APP_PASSWORD_ID_SIZE], struct why *why);

void door_ask(struct runtime *runtime, const struct door_question *question,
              struct door_answer *answer);

#endif
