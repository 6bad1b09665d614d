/*
 * App passwords in Redis. Owns how one is made and revoked; their syntax is core/app_password.c's.
 */
#include "gatepost/write/passwords.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "beside.h"
#include "gatepost/base/sha256.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/writer.h"

/* A number as the word of a command. */
#define HISTORY_DIGITS(number) #number
#define HISTORY_TEXT(number) HISTORY_DIGITS(number)

struct password_store {
    struct beside keys;
    struct beside self; /* what users do has its history there */
};

int password_store_open(const struct store_settings *settings, struct password_store **out,
                        struct why *why) {
    struct password_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return why_set(why, "no memory");
    if (beside_open(&store->keys, settings, "password", why) != 0) {
        free(store);
        return -1;
    }
    if (beside_open(&store->self, settings, "self", why) != 0) {
        beside_clear(&store->keys);
        free(store);
        return -1;
    }
    *out = store;
    return 0;
}

void password_store_free(struct password_store *store) {
    if (store == NULL)
        return;
    beside_clear(&store->keys);
    beside_clear(&store->self);
    free(store);
}

/* Letters of the alphabet, each as likely as the others. */
static int draw(char *out, size_t n, struct why *why) {
    const size_t letters = strlen(APP_PASSWORD_ALPHABET), fair = 256 - 256 % letters;
    for (size_t i = 0; i < n;) {
        unsigned char octet;
        if (getrandom(&octet, 1, 0) != 1)
            return why_set(why, "the system has no random octets");
        if (octet < fair)
            out[i++] = APP_PASSWORD_ALPHABET[octet % letters];
    }
    out[n] = '\0';
    return 0;
}

/* "NAME=TIME ", or nothing where there is no time. */
#define TIMED_SIZE (sizeof "until= " + TIMESTAMP_SIZE)
static const char *timed(const char *name, int64_t time, char out[static TIMED_SIZE]) {
    char text[TIMESTAMP_SIZE];
    out[0] = '\0';
    if (time != 0)
        snprintf(out, TIMED_SIZE, "%s=%s ", name, timestamp_format(time, text));
    return out;
}

static char *value_of(const struct new_password *password, const char *id) {
    char created[TIMESTAMP_SIZE], from[TIMED_SIZE], until[TIMED_SIZE], *value;
    int len =
        asprintf(&value, "id=%s protocols=%s services=%s created=%s %s%s%s", id,
                 password->protocols, password->services, timestamp_format(password->now, created),
                 timed("from", password->from, from), timed("until", password->until, until),
                 password->note == NULL ? "" : password->note);
    return len < 0 ? NULL : value;
}

/* Are there no more than so many now? */
static int has_room(struct password_store *store, const char *account, int most, struct why *why) {
    const char *const words[4] = {"HLEN"};
    redisReply *reply = beside_ask(&store->keys, account, words, why);
    if (reply == NULL)
        return -1;
    bool has = reply->type == REDIS_REPLY_INTEGER && reply->integer <= most;
    freeReplyObject(reply);
    if (has)
        return 0;
    why_set(why, "the account has %d app passwords already: remove one first", APP_PASSWORDS_MAX);
    return PASSWORDS_FULL;
}

/* Others may add one at the same time; who finds too many then takes his own back. */
static int put(struct password_store *store, const char *account, const char *hash,
               const char *value, struct why *why) {
    const char *const add[4] = {"HSETNX", hash, value}, *const remove[4] = {"HDEL", hash};
    struct why other;
    if (beside_run(&store->keys, account, add, why) != 0)
        return -1;
    int rc = has_room(store, account, APP_PASSWORDS_MAX, why);
    if (rc != 0)
        beside_run(&store->keys, account, remove, &other);
    return rc;
}

int password_add(struct password_store *store, const struct new_password *password,
                 char secret[static APP_PASSWORD_SHOWN_SIZE], char id[static PASSWORD_ID_SIZE],
                 struct why *why) {
    char plain[APP_PASSWORD_SIZE], hash[SHA256_TEXT_SIZE], *value = NULL;
    beside_follow(&store->keys);
    int rc = has_room(store, password->account, APP_PASSWORDS_MAX - 1, why);
    if (rc != 0)
        return rc;
    if (draw(plain, APP_PASSWORD_LETTERS, why) != 0 || draw(id, PASSWORD_ID_SIZE - 1, why) != 0)
        return -1;
    rc = sha256_text(plain, APP_PASSWORD_LETTERS, hash);
    if (rc == 0 && (value = value_of(password, id)) == NULL)
        rc = -1;
    if (rc != 0)
        why_set(why, "no memory");
    if (rc == 0)
        rc = put(store, password->account, hash, value, why);
    if (rc == 0)
        app_password_group(plain, secret);
    explicit_bzero(plain, sizeof plain);
    free(value);
    return rc;
}

int password_list(struct password_store *store, const char *account, password_take *take,
                  void *context, struct why *why) {
    beside_follow(&store->keys);
    redisReply *reply = beside_read(&store->keys, account, why);
    if (reply == NULL)
        return -1;
    for (size_t i = 1; i < reply->elements; i += 2) {
        struct app_password password;
        bool good = app_password_read(reply->element[i]->str, reply->element[i]->len, &password);
        take(context, good ? &password : NULL);
    }
    int rc = reply->elements > 0;
    freeReplyObject(reply);
    return rc;
}

/* Is it what is to go? What cannot be read goes only with all. */
static bool is_meant(const redisReply *value, const char *id) {
    struct app_password password;
    if (id == NULL)
        return true;
    return app_password_read(value->str, value->len, &password) && password.id.len == strlen(id) &&
           memcmp(password.id.text, id, password.id.len) == 0;
}

int password_remove(struct password_store *store, const char *account, const char *id,
                    struct why *why) {
    beside_follow(&store->keys);
    redisReply *reply = beside_read(&store->keys, account, why);
    int removed = reply == NULL ? -1 : 0;
    for (size_t i = 0; removed >= 0 && i + 1 < reply->elements; i += 2) {
        const char *const words[4] = {"HDEL", reply->element[i]->str};
        if (!is_meant(reply->element[i + 1], id))
            continue;
        removed = beside_run(&store->keys, account, words, why) == 0 ? removed + 1 : -1;
    }
    freeReplyObject(reply);
    return removed;
}

bool password_is_subject(const char *subject, size_t len) {
    return len >= strlen(PASSWORD_SUBJECT) &&
           memcmp(subject, PASSWORD_SUBJECT, strlen(PASSWORD_SUBJECT)) == 0;
}

int password_record(struct password_store *store, const struct password_event *event,
                    struct why *why) {
    const char *words[20] = {"XADD", "MAXLEN", "~", HISTORY_TEXT(HISTORY_KEPT), "*"};
    char *subject = NULL;
    size_t n = 5;
    if (asprintf(&subject, PASSWORD_SUBJECT "%s", event->account) < 0)
        return why_set(why, "no memory");
    const char *const pairs[][2] = {{"actor", event->actor}, {"client", event->client},
                                    {"subject", subject},    {"field", event->id},
                                    {"old", event->old},     {"new", event->new_value}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i][1] == NULL)
            continue;
        words[n++] = pairs[i][0];
        words[n++] = pairs[i][1];
    }
    beside_follow(&store->self);
    int rc = beside_run(&store->self, "history", words, why);
    free(subject);
    return rc;
}
