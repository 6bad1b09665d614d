/*
 * The app passwords of accounts, for those who make and revoke them. The filter only reads them.
 * One thread.
 */
#ifndef GATEPOST_WRITE_PASSWORDS_H
#define GATEPOST_WRITE_PASSWORDS_H

#include "gatepost/core/app_password.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

struct password_store;

/*
 * Takes settings as for store_open(), with the key_prefix of the policy; nothing is connected yet.
 * Returns 0 and what is to be freed by the caller, or -1 with the reason.
 */
int password_store_open(const struct store_settings *settings, struct password_store **out,
                        struct why *why);
void password_store_free(struct password_store *store);

/* One to be made. */
struct new_password {
    const char *account, *protocols, *services; /* names with commas between them */
    const char *note;
    int64_t now, from, until; /* seconds since the epoch; 0: good at once, does not end */
};

#define PASSWORD_ID_SIZE 9

/*
 * Makes one and stores its hash. The secret is in `secret` and nowhere else; `id` names it from now
 * on. Returns 0, PASSWORDS_FULL when the account has APP_PASSWORDS_MAX, or -1; both with the
 * reason.
 */
#define PASSWORDS_FULL (-2)

int password_add(struct password_store *store, const struct new_password *password,
                 char secret[static APP_PASSWORD_SHOWN_SIZE], char id[static PASSWORD_ID_SIZE],
                 struct why *why);

/* What the history calls an account's app passwords: PASSWORD_SUBJECT and its name. */
#define PASSWORD_SUBJECT "password:"

bool password_is_subject(const char *subject, size_t len);

/* What was done with one, for the history of self facts; a text that is NULL is left out. */
struct password_event {
    const char *account, *id;
    const char *actor, *client; /* who, and the address from which */
    const char *old, *new_value;
};

/* Records it, as a change of subject `password:ACCOUNT`. Returns 0, or -1 with the reason. */
int password_record(struct password_store *store, const struct password_event *event,
                    struct why *why);

/* Takes what is stored of one, NULL where that cannot be read; lasts until it returns. */
typedef void password_take(void *context, const struct app_password *password);

/* Returns 1, 0 when the account has none, -1 with the reason. */
int password_list(struct password_store *store, const char *account, password_take *take,
                  void *context, struct why *why);

/* Revokes the one with that id, or all (NULL). Returns how many went, or -1 with the reason. */
int password_remove(struct password_store *store, const char *account, const char *id,
                    struct why *why);

#endif
