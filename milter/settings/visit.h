/*
 * One request that is answered, and those who answer it: each an endpoint of the API.
 */
#ifndef GATEPOST_SETTINGS_VISIT_H
#define GATEPOST_SETTINGS_VISIT_H

#include "answer.h"
#include "caller.h"
#include "office.h"

struct visit {
    const struct http_request *request;
    struct http_response *response;
    const struct config *config;
    struct desk *desk;
    const struct caller *caller;
    const char *account; /* canonical, and the caller may ask about it */
    const char *id;      /* of an app password, as the path has it; not terminated */
    size_t id_len;
    int64_t now; /* seconds since the epoch */
};

/* Answers; on a worker, may wait for the store. */
typedef void visit_endpoint(struct visit *visit);

visit_endpoint visit_account, visit_change, visit_passwords, visit_new_password,
    visit_revoke_password;

/* The store cannot be asked: 503, and the log knows why. */
void visit_unavailable(const struct visit *visit, const char *why);

/* event=change: what was changed, texts that need no NUL. */
void visit_log_change(const struct visit *visit, struct store_text field, struct store_text old,
                      struct store_text new_value);

/* The address that the request comes from; NULL: not known. */
const char *visit_client(const struct visit *visit);

/* What loosens waits for so many seconds: `loosen_after`, rounded up. */
int64_t visit_loosen_after(const struct visit *visit);

/* The app passwords that are good now; -1 with the reason. */
int visit_count_passwords(struct visit *visit, struct why *why);

#endif
