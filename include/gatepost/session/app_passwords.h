/*
 * The app passwords of accounts, as the doors check them.
 */
#ifndef GATEPOST_SESSION_APP_PASSWORDS_H
#define GATEPOST_SESSION_APP_PASSWORDS_H

#include "gatepost/session/runtime.h"

/* Room for the id of one, with its NUL. */
#define APP_PASSWORD_ID_SIZE 24

/*
 * Is what was typed an app password of this account that is good for the service? The store is
 * asked only when it has the shape of one. Returns 1 and its id, 0 when it is none, -1 with the
 * reason when that cannot be known. Any thread; may wait as long as store_timeout says.
 */
int app_passwords_check(struct runtime *runtime, const char *account, const char *service,
                        const char *typed, char id[static APP_PASSWORD_ID_SIZE], struct why *why);

#endif
