/*
 * A message of a session, from MAIL to its end: what the verdict left for its header, and what the
 * header says in our name.
 *
 * Belongs to its session, and like that to one thread at a time.
 */
#ifndef GATEPOST_SESSION_MESSAGE_H
#define GATEPOST_SESSION_MESSAGE_H

#include "gatepost/core/authres.h"
#include "gatepost/core/claim.h"
#include "gatepost/core/decision.h"
#include "gatepost/session/session.h"

/*
 * So many forged fields are removed from a message; one with more is refused. An MTA looks for each
 * among all the others, so that the cost grows with their square.
 */
#define FORGED_MAX 100

struct message {
    char *sender; /* owned: the reverse-path without angle brackets and source route */
    struct verdict verdict;
    /* What becomes of it if its header refuses it, and what its line then says; see message_keep()
     */
    struct verdict refusal;
    char *login, *account;
    bool tls;
    char *from[2]; /* what refusal.from points to */
    /* Of its header so far. */
    struct claim_reader reader; /* unused as long as nothing was seen */
    unsigned seen[SESSION_FIELDS];
    struct session_field *forged; /* room for FORGED_MAX, where there is one */
    size_t n_forged;
    bool too_many; /* more than FORGED_MAX are forged; those after them are not looked at */
    bool failed;   /* a field was not examined because there was no memory */
    char *authentication_results, *received_spf;
};

/*
 * Begins a message from the reverse-path as the MTA gives it; it counts as in progress until it is
 * freed. NULL when there is no memory.
 */
struct message *message_new(const char *reverse_path);
void message_free(struct message *message);

/*
 * Keeps what a verdict on its header needs: the refusal as the decision makes it, and whose message
 * it is; NULLs where there is none. Returns 0, or -1 when there is no memory.
 */
int message_keep(struct message *message, const struct verdict *refusal, const char *login,
                 const char *account);

/*
 * Sees a field of the header, of the kind that `name` is; one that claims to be `own`'s is noted as
 * forged. Where there is no memory, message->failed.
 */
void message_see_field(struct message *message, const char *own, enum session_field_name name,
                       const char *value);

/* Values for the fields to insert, owned by the message; NULL when there is no memory. */
const char *message_authentication_results(struct message *message,
                                           const struct spf_evidence *evidence);
const char *message_received_spf(struct message *message, const struct spf_evidence *evidence);

#endif
