/*
 * Who asks, and about whom. Nobody is believed without a token.
 */
#ifndef GATEPOST_SETTINGS_CALLER_H
#define GATEPOST_SETTINGS_CALLER_H

#include "gatepost/base/http_request.h"
#include "gatepost/core/netblock.h"
#include "tokens.h"

struct caller {
    struct token_grant grant;
    char *self;                /* owned; the account that the proxy asks for, canonical */
    char client[IP_TEXT_SIZE]; /* its address; "": not known */
};

/* May anything be asked with the request's token? Exactly one, and one that is known. */
bool caller_has_token(const struct tokens *tokens, const struct http_request *request,
                      struct token_grant *out);

/*
 * Who asks: with the proxy's token exactly one X-Remote-User, which is an account, and at most one
 * X-Real-IP, an address. A panel is itself; nothing that it says of users and addresses is
 * believed. Returns 0, or the status to refuse with: 403, or 503 for want of memory; with the
 * reason. To be cleared in every case.
 */
unsigned caller_identify(const struct config *config, const struct tokens *tokens,
                         const struct http_request *request, struct caller *out, struct why *why);
void caller_clear(struct caller *caller);

/*
 * The account that `name`, part of a path and percent-encoded, is for this caller: "me", or an
 * address. The proxy's may only be its own, a panel's one of its domain. Returns 0 and a malloc'd
 * text, or the status with the reason.
 */
unsigned caller_account(const struct caller *caller, const struct config *config, const char *name,
                        size_t len, char **out, struct why *why);

/* Room for it: two accounts with a long beginning in common are not one. */
#define CALLER_NAME_SIZE 2000

/* Whom the log names: "self:ACCOUNT" or "panel:DOMAIN", in `out`. Returns `out`. */
const char *caller_name(const struct caller *caller, char *out, size_t size);

#endif
