/*
 * A message of a session. Owns its reverse-path, its forged fields and the texts of its new ones.
 */
#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/base/idna.h"
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
    free(message->login);
    free(message->account);
    free(message->from[0]);
    free(message->from[1]);
    claim_reader_clear(&message->reader);
    free(message->forged);
    free(message->authentication_results);
    free(message->received_spf);
    free(message);
    under_way_count(-1);
}

/* A copy of a text that may be absent. Returns 0, or -1 when there is no memory. */
static int keep(char **copy, const char *text) {
    free(*copy);
    *copy = text == NULL ? NULL : strdup(text);
    return text != NULL && *copy == NULL ? -1 : 0;
}

int message_keep(struct message *message, const struct verdict *refusal, const char *login,
                 const char *account) {
    message->refusal = *refusal;
    if (keep(&message->login, login) != 0 || keep(&message->account, account) != 0 ||
        keep(&message->from[0], refusal->from.subject) != 0 ||
        keep(&message->from[1], refusal->from.field) != 0)
        return -1;
    message->refusal.from = (struct policy_origin){message->from[0], message->from[1]};
    return 0;
}

/* One more forged field. Returns 0, or -1 when there is no memory. */
static int note_forged(struct message *message, enum session_field_name name) {
    if (message->n_forged == FORGED_MAX) {
        message->too_many = true;
        return 0;
    }
    if (message->forged == NULL &&
        (message->forged = calloc(FORGED_MAX, sizeof *message->forged)) == NULL)
        return -1;
    message->forged[message->n_forged++] = (struct session_field){name, message->seen[name]};
    return 0;
}

/* As claim_in_authres(). */
static int is_forged(struct message *message, const char *own, enum session_field_name name,
                     const char *value) {
    static const struct address_rules rules = {.default_domain = "",
                                               .delimiters = "",
                                               .domain_to_ascii = idna_domain_to_ascii,
                                               .lower_case = idna_lower_case};
    if (message->reader.rules == NULL && claim_reader_init(&message->reader, own, &rules) != 0)
        return -1;
    return name == FIELD_RECEIVED_SPF ? claim_in_received_spf(&message->reader, value)
                                      : claim_in_authres(&message->reader, value);
}

void message_see_field(struct message *message, const char *own, enum session_field_name name,
                       const char *value) {
    if (message->too_many)
        return;
    message->seen[name]++;
    int forged = is_forged(message, own, name, value);
    if (forged < 0 || (forged > 0 && note_forged(message, name) != 0))
        message->failed = true;
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
