/*
 * The hook for the record of use. Owns who hears of a use; what becomes of it is the hearer's.
 */
#include "gatepost/session/use_hook.h"

#include <stddef.h>

static session_use *heard_by;

void session_hear_of_use(session_use *hear) {
    heard_by = hear;
}

void session_tell_use(const char *account, const char *service, const struct ip_address *client) {
    if (heard_by != NULL)
        heard_by(account, service, client);
}
