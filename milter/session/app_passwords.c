/*
 * The check of an app password. Owns where they are looked up; their syntax and where one is good
 * are core/app_password.c's.
 */
#include "gatepost/session/app_passwords.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gatepost/base/sha256.h"
#include "gatepost/core/app_password.h"

/* The field of that secret, whatever it says; takes as long wherever it stands. */
static const struct store_field *find(const struct store_hash *hash, const char *secret) {
    const struct store_field *found = NULL;
    for (size_t i = 0; i < hash->n; i++)
        if (hash->fields[i].name_len == SHA256_TEXT_SIZE - 1 &&
            sha256_same(hash->fields[i].name, secret))
            found = &hash->fields[i];
    return found;
}

static int judge(const struct runtime *runtime, const char *service, const struct store_hash *hash,
                 const char *secret, char id[static APP_PASSWORD_ID_SIZE], struct why *why) {
    struct app_password password;
    if (hash->answer == STORE_ABSENT)
        return 0;
    if (hash->answer != STORE_FOUND)
        return why_set(why, "the key of the app passwords is no hash, or too large");
    const struct store_field *field = find(hash, secret);
    if (field == NULL)
        return 0;
    if (!app_password_read(field->value, field->value_len, &password) ||
        password.id.len >= APP_PASSWORD_ID_SIZE)
        return why_set(why, "what is stored of an app password cannot be read");
    snprintf(id, APP_PASSWORD_ID_SIZE, "%.*s", (int)password.id.len, password.id.text);
    return app_password_covers(&password, &runtime->config->rules, service, (int64_t)time(NULL));
}

int app_passwords_check(struct runtime *runtime, const char *account, const char *service,
                        const char *typed, char id[static APP_PASSWORD_ID_SIZE], struct why *why) {
    char secret[APP_PASSWORD_SIZE], text[SHA256_TEXT_SIZE];
    const char *const subjects[] = {account};
    struct store_hash hash;
    if (runtime->passwords == NULL || !app_password_normalize(typed, secret))
        return 0;
    int rc = sha256_text(secret, APP_PASSWORD_LETTERS, text);
    explicit_bzero(secret, sizeof secret);
    if (rc != 0)
        return why_set(why, "no memory");
    rc = store_get(runtime->passwords, subjects, 1, &hash, NO_DEADLINE, why);
    if (rc == 0)
        rc = judge(runtime, service, &hash, text, id, why);
    store_hash_clear(&hash);
    return rc;
}
