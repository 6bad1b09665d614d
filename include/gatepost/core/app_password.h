/*
 * App passwords: generated secrets of one account, each good for the protocols that it names and
 * nothing else.
 *
 * What is stored of one is a field of the hash `gatepost-password:ACCOUNT`: the name is the SHA-256
 * of the secret in hexadecimal, the value `id=ID protocols=NAME[,NAME] services=NAME[,NAME]
 * created=TIME [from=TIME] [until=TIME] NOTE`. Pure.
 */
#ifndef GATEPOST_CORE_APP_PASSWORD_H
#define GATEPOST_CORE_APP_PASSWORD_H

#include <stdint.h>

#include "gatepost/core/decision.h"

/* A secret has so many letters of this alphabet: 138 bits. */
#define APP_PASSWORD_LETTERS 28
#define APP_PASSWORD_ALPHABET "abcdefghjkmnpqrstuvwxyz23456789"

/* An account has so many at most. */
#define APP_PASSWORDS_MAX 32

/* The SHA-256 of a secret as text, with its NUL. */
#define APP_PASSWORD_HASH_SIZE 65

/* With its NUL; in groups of four with a dash between them. */
#define APP_PASSWORD_SIZE (APP_PASSWORD_LETTERS + 1)
#define APP_PASSWORD_SHOWN_SIZE (APP_PASSWORD_SIZE + APP_PASSWORD_LETTERS / 4 - 1)

/*
 * What somebody has typed, in the form that is hashed: spaces, dashes and case do not matter. False
 * when it has not the shape of an app password.
 */
bool app_password_normalize(const char *typed, char out[static APP_PASSWORD_SIZE]);

/* The form that people are shown. */
void app_password_group(const char *secret, char out[static APP_PASSWORD_SHOWN_SIZE]);

/* A piece of the stored value; not terminated. */
struct app_password_part {
    const char *text;
    size_t len;
};

struct app_password {
    struct app_password_part id, protocols, services, note;
    int64_t created, from, until; /* seconds since the epoch; 0: at once, it does not end */
};

/* Reads a stored value, which must outlive the result. False when it is malformed. */
bool app_password_read(const char *value, size_t len, struct app_password *out);

/*
 * Is it good for this service at this time (seconds since the epoch)? It is where the service is
 * one that it was made for, and one of its protocols contains that service still: a protocol that
 * is redefined widens nothing. Never for webmail, by which its owner could make others.
 */
bool app_password_covers(const struct app_password *password, const struct decision_rules *rules,
                         const char *service, int64_t now);

#endif
