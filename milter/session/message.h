/*
 * A message of a session, from MAIL to its end: what the verdict left for its header.
 *
 * Belongs to its session, and like that to one thread at a time.
 */
#ifndef GATEPOST_SESSION_MESSAGE_H
#define GATEPOST_SESSION_MESSAGE_H

#include "gatepost/core/authres.h"
#include "gatepost/core/decision.h"

struct message {
    char *sender; /* owned: the reverse-path without angle brackets and source route */
    struct verdict verdict;
    unsigned seen; /* Authentication-Results fields so far */
    unsigned *forged;
    size_t n_forged;
    char *authentication_results, *received_spf;
};

/*
 * Begins a message from the reverse-path as the MTA gives it; it is counted as under way until it
 * is freed. NULL when there is no memory.
 */
struct message *message_new(const char *reverse_path);
void message_free(struct message *message);

/*
 * Sees a field of the header; one of Authentication-Results that claims to be `authserv_id`'s is
 * noted as forged. Returns 0, or -1 when there is no memory.
 */
int message_see_field(struct message *message, const char *authserv_id, const char *name,
                      const char *value);

/* Values for the fields to insert, owned by the message; NULL when there is no memory. */
const char *message_authentication_results(struct message *message,
                                           const struct spf_evidence *evidence);
const char *message_received_spf(struct message *message, const struct spf_evidence *evidence);

#endif
