/*
 * Who may ask: the tokens of `token_file`.
 *
 * One a line: `TOKEN proxy`, of the host's own sign-on, which says for whom it asks; or
 * `TOKEN DOMAIN read` or `TOKEN DOMAIN write`, of a panel, for the accounts of that domain. Empty
 * lines, and those that begin with '#', are skipped.
 */
#ifndef GATEPOST_SETTINGS_TOKENS_H
#define GATEPOST_SETTINGS_TOKENS_H

#include <stdbool.h>

#include "gatepost/config/config.h"
#include "gatepost/core/why.h"

struct tokens;

/*
 * Reads the file of a configuration. One that others may read, or its group change, is refused, as
 * is one with a line that is no token or without any. Returns 0 and tokens owned by the caller,
 * which never change, or -1 with the reason.
 */
int tokens_read(const struct config *config, struct tokens **out, struct why *why);
void tokens_free(struct tokens *tokens);

/* What a token is good for. */
struct token_grant {
    const char *domain; /* as A-labels; NULL: the proxy's */
    bool write;
};

/*
 * Returns true when there is such a token; the grant lasts as long as the tokens. Takes as long
 * whatever is given, but for its length. Any thread.
 */
bool tokens_find(const struct tokens *tokens, const char *given, struct token_grant *out);

#endif
