/*
 * The verdict on one question: may this client, through this door, send as this account?
 *
 * Every door asks here: it says what it knows of the question, has it judged, reads the verdict and
 * clears the judgement. Nothing here knows a session, a message or a protocol. A judgement belongs
 * to one thread at a time; any number of them may exist at once.
 */
#ifndef GATEPOST_SESSION_JUDGE_H
#define GATEPOST_SESSION_JUDGE_H

#include "gatepost/cache/account_lookup.h"
#include "gatepost/core/decision.h"
#include "gatepost/session/runtime.h"

/* Who watches what is asked outside, for `explain`. What is passed lasts until the call returns. */
struct judge_observer {
    void *context;
    /* The store had no policy to give, and why. */
    void (*unavailable)(void *context, const char *why);
    void (*spf)(void *context, const char *line); /* as spf_query.trace */
    /* The end of an evaluation of SPF; IDENTITY_NONE: of a provider, not of the message. */
    void (*spf_done)(void *context, enum spf_identity identity, const struct spf_answer *answer);
};

struct judgement;

/*
 * What SPF said at the time, for a question that was asked before. False: it is not known, and the
 * verdict will be that of judge_defer(). DNS is not asked.
 */
struct judge_past {
    void *context;
    /* IDENTITY_NONE: of the provider that is asked about. */
    bool (*spf)(void *context, const struct judgement *j, enum spf_identity identity,
                enum spf_result *result, unsigned *prefix);
};

struct judgement {
    /* The question. Set by the caller, who owns what it points to until judge_clear(). */
    const struct runtime *runtime;
    const struct decision_listener *listener; /* the door, with its service */
    struct decision_facts
        facts;                 /* but those that the account decides: logged_in and what follows */
    const char *helo, *sender; /* for SPF: NULL where there is none; a bare reverse-path */
    const char *receiver;      /* the name of this host, for SPF; NULL where it is not known */
    const char *session;       /* how the log names who asks, or NULL */
    const struct judge_observer *observer; /* NULL for none */
    const struct judge_past *past;         /* NULL: it is asked now */
    /* The answer. Begins as zeros; valid after judge_decide() until judge_clear(). */
    struct address account; /* canonical; its text is NULL when there was no memory for it */
    struct decision decision;
    int64_t deadline;     /* of all look-ups in the store, clock_now_ms() */
    int64_t spf_deadline; /* of all evaluations of SPF, likewise; 0: there was none */
    struct account_lookup lookup;
    struct spf_answer spf;      /* of the last evaluation of the sender or of HELO */
    struct spf_answer provider; /* of the first provider that could not be asked */
    struct address *senders;    /* facts.senders, owned, and what facts.n_senders counts */
    /* What SPF says of the sender as it stands, whichever reading decides; for header fields. */
    enum spf_identity identity;
    enum spf_result result;
};

/* Whose account it is about. At a door other than the MTA there is always a login. */
struct judge_question {
    const char *login; /* NULL: the sender's account is judged, and that of each of its readings */
    const char *given, *understood; /* the sender as readings_find() takes it */
};

/*
 * Finds decision.verdict for the account of a login or of j->sender; of the null sender ("") it is
 * that of the HELO name, an empty text where that has none. Where
 * an MTA may deliver the sender as another, known account, the strictest verdict holds: `account`
 * is then that one, and the reason sender-ambiguous. May wait for the store and for DNS, for each
 * as long as the configuration says. Without memory the verdict is that of judge_defer().
 */
void judge_decide(struct judgement *j, const struct judge_question *question);

/* The account of a login. Returns 0 and an address to be cleared, or -1: no memory. */
int judge_name_login(const struct runtime *runtime, const char *login, struct address *out);

/* The login came for a service that does not exist: it is refused, and nothing is asked. */
void judge_unknown_service(struct judgement *j, const char *login);

/* Nothing can be asked because there is no memory: the question has to come again. */
void judge_defer(struct judgement *j);

void judge_clear(struct judgement *j);

#endif
