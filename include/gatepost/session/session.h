/*
 * One connection of an MTA: what is known of the client, and the verdicts on its messages.
 *
 * Nothing here knows libmilter. A session belongs to one thread at a time, and not always to the
 * same one. Texts given to it are copied where they are needed later.
 */
#ifndef GATEPOST_SESSION_SESSION_H
#define GATEPOST_SESSION_SESSION_H

#include "gatepost/core/reply.h"
#include "gatepost/session/judge.h"

struct session;
struct verdict_record;

/*
 * Who looks on while a verdict is found, for `explain`. What is passed lasts until the call
 * returns, and so do the decision, its facts and its policy.
 */
struct session_observer {
    struct judge_observer judge; /* its context is that of all */
    /* The client may connect, which leaves no verdict. */
    void (*connected)(void *context, const struct decision *decision);
    /* The verdict; it is then not logged. */
    void (*verdict)(void *context, const struct verdict_record *record);
};

/* A session on the runtime, of which it takes a reference; NULL when there is no memory. */
struct session *session_new(struct runtime *runtime);
void session_free(struct session *session);

/* A number that the caller may keep with the session; 0 at first. */
unsigned *session_tag(struct session *session);

/* The configuration that the session began with. */
const struct config *session_config(const struct session *session);

/* What the MTA says at connect; texts may be NULL where it says nothing. */
struct session_peer {
    struct ip_address client; /* IP_NONE: the MTA knows none; it is then listed nowhere */
    const char *daemon_name, *daemon_port, *daemon_addr;
    const char *mta_name;                    /* {j} */
    const char *mta_version;                 /* {v} */
    const struct session_observer *observer; /* NULL for none */
};

/* What becomes of a connection or a message. */
struct session_answer {
    enum verdict_kind kind; /* defer and reject come with a reply */
    struct reply reply;
    bool wants_headers; /* accepted or marked, but its header has to be seen or added to */
};

void session_connect(struct session *session, const struct session_peer *peer,
                     struct session_answer *answer);

/* Something that the MTA said was lost: every message of the session is deferred from now on. */
void session_lose(struct session *session);

/* HELO or EHLO; a later one takes the place of an earlier one. */
void session_helo(struct session *session, const char *name);

/* What the MTA says at MAIL FROM; texts other than sender may be NULL. */
struct session_mail {
    const char *sender;                      /* with or without angle brackets */
    const char *understood;                  /* {mail_addr} */
    const char *login;                       /* {auth_authen} */
    const char *tls;                         /* {tls_version} */
    const char *queue;                       /* {i} */
    const struct session_observer *observer; /* NULL for none */
};

/* Judges a message and begins it, ending the one before if the MTA did not say so. */
void session_mail(struct session *session, const struct session_mail *mail,
                  struct session_answer *answer);

/* One field of the message's header. */
void session_header(struct session *session, const char *name, const char *value);

/* Fields that others forge, and their names as they are written. */
enum session_field_name { FIELD_AUTHENTICATION_RESULTS, FIELD_RECEIVED_SPF, SESSION_FIELDS };
extern const char *const session_field_names[SESSION_FIELDS];

struct session_field {
    enum session_field_name name;
    unsigned instance; /* among those of its name, from 1 */
};

/* The header fields that the session removes from a message or adds to it. */
struct session_changes {
    const struct session_field *forged; /* in the order in which they stand */
    size_t n_forged;
    const char *authentication_results; /* value to insert, or NULL */
    const char *received_spf;           /* likewise */
};

/*
 * At the end of the message, whose queue id is `queue` (NULL where the MTA has none). Too many
 * forged fields refuse it, or their verdict is only logged: then those that are known are removed
 * and the others stay. Returns 0, or -1 when there is no memory: the message must wait. Texts of
 * `out` belong to the session and last until the next message.
 */
int session_end_of_message(struct session *session, const char *queue,
                           struct session_answer *answer, struct session_changes *out);

/* The message ended or was aborted. */
void session_end_message(struct session *session);

#endif
