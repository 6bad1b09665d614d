/*
 * Who asks. Owns what is believed of a request's header.
 */
#include "caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/write/self.h"

#define NAME_MAX_SIZE 1024

static unsigned refuse(struct why *why, const char *reason) {
    why_set(why, "%s", reason);
    return 403;
}

bool caller_has_token(const struct tokens *tokens, const struct http_request *request,
                      struct token_grant *out) {
    const char *token;
    return http_request_field(request, "X-Gatepost-Token", &token) == 1 &&
           tokens_find(tokens, token, out);
}

/* The account of a name; 0, or the status with the reason. */
static unsigned name_account(const struct config *config, const char *name, char **out,
                             struct why *why) {
    int rc = self_account(config, name, out, why);
    return rc > 0 ? 0 : rc == 0 ? 403 : 503;
}

static bool is_ascii(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static size_t local_len(const char *name) {
    const char *at = strrchr(name, '@');
    return at == NULL ? strlen(name) : (size_t)(at - name);
}

/*
 * Has the local part lost all that was not US-ASCII? The Kelvin sign is a k in lower case: for the
 * sign-on that is perhaps another user, who could have chosen his name for that.
 */
static bool is_look_alike(const char *name, const char *account) {
    return !is_ascii(name, local_len(name)) && is_ascii(account, local_len(account));
}

static unsigned identify_user(const struct config *config, const struct http_request *request,
                              struct caller *out, struct why *why) {
    const char *user, *address;
    struct ip_address ip;
    int n = http_request_field(request, "X-Remote-User", &user);
    if (n != 1 || user[0] == '\0')
        return refuse(why, n < 0 ? "X-Remote-User is there twice" : "there is no X-Remote-User");
    if (strlen(user) >= NAME_MAX_SIZE)
        return refuse(why, "X-Remote-User is too long");
    unsigned status = name_account(config, user, &out->self, why);
    if (status != 0)
        return status;
    if (is_look_alike(user, out->self))
        return refuse(why, "X-Remote-User is no account, but looks like one");
    n = http_request_field(request, "X-Real-IP", &address);
    if (n < 0)
        return refuse(why, "X-Real-IP is there twice");
    if (n == 1 && ip_parse(address, strlen(address), &ip) != 0)
        return refuse(why, "X-Real-IP is no address");
    if (n == 1)
        ip_format(&ip, out->client);
    return 0;
}

unsigned caller_identify(const struct config *config, const struct tokens *tokens,
                         const struct http_request *request, struct caller *out, struct why *why) {
    *out = (struct caller){.self = NULL};
    if (!caller_has_token(tokens, request, &out->grant))
        return refuse(why, "the token is missing or wrong");
    return out->grant.domain == NULL ? identify_user(config, request, out, why) : 0;
}

void caller_clear(struct caller *caller) {
    free(caller->self);
    caller->self = NULL;
}

/* Is it one that the caller may ask about? */
static bool is_his(const struct caller *caller, const char *account) {
    const char *at = strrchr(account, '@');
    if (caller->self != NULL)
        return strcmp(account, caller->self) == 0;
    return at != NULL && strcmp(at + 1, caller->grant.domain) == 0;
}

unsigned caller_account(const struct caller *caller, const struct config *config, const char *name,
                        size_t len, char **out, struct why *why) {
    char decoded[NAME_MAX_SIZE];
    if (percent_decode(name, len, decoded, sizeof decoded) != 0)
        return refuse(why, "the account in the path is no name");
    if (strcmp(decoded, "me") == 0) {
        if (caller->self == NULL)
            return refuse(why, "a panel's token has no account of its own: name one");
        *out = strdup(caller->self);
        if (*out != NULL)
            return 0;
        why_set(why, "no memory");
        return 503;
    }
    unsigned status = name_account(config, decoded, out, why);
    if (status != 0 || is_his(caller, *out))
        return status;
    free(*out);
    *out = NULL;
    return refuse(why, "this is the account of somebody else");
}

const char *caller_name(const struct caller *caller, char *out, size_t size) {
    snprintf(out, size, "%s:%s", caller->self != NULL ? "self" : "panel",
             caller->self != NULL ? caller->self : caller->grant.domain);
    return out;
}
