/*
 * A question of the past: what a verdict line of the log says that was asked, and what came of it.
 */
#ifndef GATEPOST_CTL_REPLAY_PAST_H
#define GATEPOST_CTL_REPLAY_PAST_H

#include "gatepost/core/netblock.h"
#include "verdict_line.h"

#include "gatepost/core/vocabulary.h"

/* Why a verdict cannot be told from its line. */
enum unsaid {
    UNSAID_NOT, /* it can */
    UNSAID_LONG,
    UNSAID_DAMAGED,
    UNSAID_CUT,
    UNSAID_HEADER,
    UNSAID_LISTENER,
    UNSAID_SERVICE,
    UNSAID_SENDER,
    UNSAID_SPF,
    UNSAID_HELO,
    UNSAID_PREFIX,
    UNSAID_PROVIDER,
    UNSAID_TLS,
    UNSAIDS
};

/* One word, and what it means to a person; static texts. */
const char *unsaid_name(enum unsaid unsaid);
const char *unsaid_text(enum unsaid unsaid);

struct outcome {
    enum verdict_kind kind; /* what was decided */
    enum reason reason;
    bool monitor; /* only reported: the message was accepted */
};

/* Is the verdict the same, done and reported? The reason may be another. */
bool outcome_is_same(const struct outcome *a, const struct outcome *b);

/* Whether there was TLS, as the line says. */
enum past_tls { TLS_NO, TLS_YES, TLS_NOT_LOGGED };

/* Texts are those of the line; "" is the null sender, NULL what there is not. */
struct past {
    enum stage stage;
    enum door door;
    const char *listener, *service, *helo, *sender, *login, *account;
    struct ip_address client; /* IP_NONE: the MTA knew none */
    enum past_tls tls;
    bool app_password; /* the login was made with one */
    int spf, helo_spf; /* enum spf_result, or -1: not evaluated, or not beside that of MAIL FROM */
    int spf_prefix;    /* of a pass, by how many bits of the address; -1: not logged */
    struct outcome outcome;
};

/* What the line says, or why that is not enough to ask again. */
enum unsaid past_read(const struct verdict_line *line, struct past *past);

#endif
