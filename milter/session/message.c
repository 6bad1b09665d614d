/*
 * A message of a session. Owns its reverse-path, its forged fields and the texts of its new ones.
 */
#include "message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/address.h"
#include "gatepost/core/textbuf.h"
#include "gatepost/session/under_way.h"

/* The reverse-path as SPF and headers want it: no brackets, no source route. */
static char *bare_path(const char *sender) {
    char *copy = strdup(sender), *bare = copy == NULL ? NULL : address_strip_path(copy);
    if (bare != NULL)
        memmove(copy, bare, strlen(bare) + 1);
    return copy;
}

struct message *message_new(const char *reverse_path) {
    struct message *message = calloc(1, sizeof *message);
    if (message == NULL)
        return NULL;
    message->sender = bare_path(reverse_path);
    if (message->sender == NULL) {
        free(message);
        return NULL;
    }
    under_way_count(1);
    return message;
}

void message_free(struct message *message) {
    if (message == NULL)
        return;
    free(message->sender);
    free(message->forged);
    free(message->authentication_results);
    free(message->received_spf);
    free(message);
    under_way_count(-1);
}

int message_see_field(struct message *message, const char *authserv_id, const char *name,
                      const char *value) {
    if (strcasecmp(name, "Authentication-Results") != 0)
        return 0;
    message->seen++;
    if (!authres_claims(value, authserv_id))
        return 0;
    unsigned *grown = realloc(message->forged, (message->n_forged + 1) * sizeof *grown);
    if (grown == NULL)
        return -1;
    message->forged = grown;
    message->forged[message->n_forged++] = message->seen;
    return 0;
}

static const char *make_field(char **field, void put(struct textbuf *, const struct spf_evidence *),
                              const struct spf_evidence *evidence) {
    char memory[AUTHRES_SIZE];
    struct textbuf buf;
    textbuf_init(&buf, memory, sizeof memory);
    put(&buf, evidence);
    free(*field);
    *field = strdup(memory);
    return *field;
}

const char *message_authentication_results(struct message *message,
                                           const struct spf_evidence *evidence) {
    return make_field(&message->authentication_results, authres_put, evidence);
}

const char *message_received_spf(struct message *message, const struct spf_evidence *evidence) {
    return make_field(&message->received_spf, received_spf_put, evidence);
}
