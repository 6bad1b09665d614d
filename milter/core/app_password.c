/*
 * App passwords. Owns their alphabet, the syntax of what is stored of them, and where one is good;
 * who has which is the store's.
 */
#include "gatepost/core/app_password.h"

#include <string.h>

#include "gatepost/core/timestamp.h"

bool app_password_normalize(const char *typed, char out[static APP_PASSWORD_SIZE]) {
    size_t n = 0;
    for (; *typed != '\0'; typed++) {
        char c = *typed >= 'A' && *typed <= 'Z' ? (char)(*typed - 'A' + 'a') : *typed;
        if (c == ' ' || c == '-')
            continue;
        if (n == APP_PASSWORD_LETTERS || strchr(APP_PASSWORD_ALPHABET, c) == NULL)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n == APP_PASSWORD_LETTERS;
}

void app_password_group(const char *secret, char out[static APP_PASSWORD_SHOWN_SIZE]) {
    for (size_t i = 0; i < APP_PASSWORD_LETTERS; i++) {
        if (i > 0 && i % 4 == 0)
            *out++ = '-';
        *out++ = secret[i];
    }
    *out = '\0';
}

/* Takes the next word if it begins with `name`, and the space behind it. */
static bool take(struct app_password_part *rest, const char *name, struct app_password_part *out) {
    size_t head = strlen(name);
    if (rest->len <= head || memcmp(rest->text, name, head) != 0)
        return false;
    const char *space = memchr(rest->text, ' ', rest->len);
    size_t word = space == NULL ? rest->len : (size_t)(space - rest->text);
    if (word == head)
        return false;
    *out = (struct app_password_part){rest->text + head, word - head};
    word += space != NULL;
    *rest = (struct app_password_part){rest->text + word, rest->len - word};
    return true;
}

/* The same of a time after the epoch, which may be absent; false when it is something else. */
static bool take_time(struct app_password_part *rest, const char *name, int64_t *out) {
    struct app_password_part time;
    size_t head = strlen(name);
    if (rest->len < head || memcmp(rest->text, name, head) != 0)
        return true;
    return take(rest, name, &time) && timestamp_parse(time.text, time.len, out) == 0 && *out > 0;
}

bool app_password_read(const char *value, size_t len, struct app_password *out) {
    struct app_password_part rest = {value, len}, created;
    *out = (struct app_password){.until = 0};
    if (!take(&rest, "id=", &out->id) || !take(&rest, "protocols=", &out->protocols) ||
        !take(&rest, "services=", &out->services) || !take(&rest, "created=", &created) ||
        timestamp_parse(created.text, created.len, &out->created) != 0)
        return false;
    if (!take_time(&rest, "from=", &out->from) || !take_time(&rest, "until=", &out->until))
        return false;
    out->note = rest;
    return true;
}

/* Is the name in a list with commas? */
static bool lists(struct app_password_part list, const char *name) {
    size_t len = strlen(name);
    while (list.len > 0) {
        const char *comma = memchr(list.text, ',', list.len);
        size_t word = comma == NULL ? list.len : (size_t)(comma - list.text);
        if (word == len && memcmp(list.text, name, len) == 0)
            return true;
        word += comma != NULL;
        list = (struct app_password_part){list.text + word, list.len - word};
    }
    return false;
}

static bool is_in_force(const struct app_password *password, int64_t now) {
    return password->from <= now && (password->until == 0 || password->until > now);
}

bool app_password_covers(const struct app_password *password, const struct decision_rules *rules,
                         const char *service, int64_t now) {
    bool named = false;
    if (strcmp(service, "webmail") == 0 || !lists(password->services, service) ||
        !is_in_force(password, now))
        return false;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (!protocol_contains(&rules->protocols[i], service))
            continue;
        named = true;
        if (lists(password->protocols, rules->protocols[i].name))
            return true;
    }
    return !named && lists(password->protocols, service);
}
