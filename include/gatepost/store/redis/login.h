/*
 * User and password for Redis. Any thread.
 */
#ifndef GATEPOST_STORE_REDIS_LOGIN_H
#define GATEPOST_STORE_REDIS_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "gatepost/core/why.h"

struct redis_login;

/*
 * The user ("" for the default user) and the file whose first line is the password ("" for none).
 * Returns 0 and a login owned by the caller, or -1 with the reason when the file cannot be read.
 */
int redis_login_open(const char *user, const char *password_file, struct redis_login **out,
                     struct why *why);
void redis_login_free(struct redis_login *login);

/* "" for the default user. Lives as long as the login. */
const char *redis_login_user(const struct redis_login *login);

/*
 * Copies the password to `out`; false when there is none. After redis_login_refused() the file is
 * read anew first; where it cannot be read the old password stays.
 */
#define REDIS_PASSWORD_SIZE 1024
bool redis_login_password(struct redis_login *login, char out[static REDIS_PASSWORD_SIZE]);

/* The server did not take it: it may have been changed. */
void redis_login_refused(struct redis_login *login);

#endif
