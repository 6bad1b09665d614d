/*
 * Fuzz target: what strangers write to gatepost-settings. The first octet of the input says what it
 * is: the body of a change, the fields of a header, the account in a path, or a line of the tokens.
 * Promises: a change has only what there is a word for; nobody is anybody without a token; a user
 * gets at his own account, a panel at those of its domain.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "milter/settings/caller.h"
#include "milter/settings/patch.h"
#include "milter/settings/precondition.h"
#include "milter/settings/token_line.h"

bool tokens_find(const struct tokens *tokens, const char *given, struct token_grant *out) {
    (void)tokens;
    *out = (struct token_grant){.domain = given[0] == 'p' ? NULL : "example.com", .write = true};
    return given[0] == 'p' || given[0] == 'd';
}

/* As write/self.h promises: an address with one '@', in lower case. */
int self_account(const struct config *config, const char *name, char **out, struct why *why) {
    const char *at = strchr(name, '@');
    (void)config;
    why_set(why, "no account");
    if (at == NULL || at == name || at[1] == '\0' || strchr(at + 1, '@') != NULL)
        return 0;
    *out = strdup(name);
    return *out == NULL ? -1 : 1;
}

static void check_field(const char *field) {
    PROMISE(field[0] != '\0' && strlen(field) < PATCH_FIELD_SIZE);
}

static void read_body(const char *text, size_t size) {
    struct patch patch;
    struct why why = {""};
    enum patch_result result = patch_read(text, size, &patch, &why);
    PROMISE((result == PATCH_GOOD) == (why.text[0] == '\0'));
    PROMISE(patch.n_protocols <= PATCH_MEMBERS_MAX && patch.n_ips <= PATCH_MEMBERS_MAX);
    if (result == PATCH_REFUSED)
        check_field(patch.field);
    for (size_t i = 0; result == PATCH_GOOD && i < patch.n_protocols; i++)
        PROMISE(patch.protocols[i].name != NULL && patch.protocols[i].wish != SELF_LEAVE);
    for (size_t i = 0; result == PATCH_GOOD && i < patch.n_ips; i++)
        PROMISE(patch.ips[i].block != NULL &&
                (patch.ips[i].note == NULL || strlen(patch.ips[i].note) <= SELF_NOTE_MAX));
    patch_clear(&patch);
}

/* Lines as fields of a header. */
static size_t split_fields(char *text, struct http_field *out, size_t max) {
    size_t n = 0;
    for (char *line = strtok(text, "\n"); line != NULL && n < max; line = strtok(NULL, "\n")) {
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        out[n++] = (struct http_field){line, colon + 1};
    }
    return n;
}

static void read_header(char *text) {
    struct http_field fields[20];
    struct http_request request = {.method = "PATCH", .path = "/", .query = "", .fields = fields};
    struct caller caller;
    struct why why = {""};
    const char *value;
    request.n_fields = split_fields(text, fields, 20);
    unsigned status = caller_identify(NULL, NULL, &request, &caller, &why);
    bool by_proxy = status == 0 && caller.grant.domain == NULL;
    PROMISE(status == 0 || status == 403);
    if (status == 0)
        PROMISE(http_request_field(&request, "X-Gatepost-Token", &value) == 1);
    if (by_proxy)
        PROMISE(http_request_field(&request, "X-Remote-User", &value) == 1 && caller.self != NULL &&
                http_request_field(&request, "X-Real-IP", &value) >= 0);
    else if (status == 0)
        PROMISE(caller.self == NULL && caller.client[0] == '\0');
    caller_clear(&caller);
    const char *origin = "https://mail.example.com";
    if (precondition_same_site(&request, origin, &why) &&
        http_request_field(&request, "Origin", &value) != 0)
        PROMISE(strcmp(value, origin) == 0);
    precondition_matches(&request, "\"0123\"");
    if (precondition_is_type(&request, "application/json"))
        PROMISE(http_request_field(&request, "Content-Type", &value) == 1);
}

static void read_path(const char *text, size_t size) {
    struct caller user = {.self = "alice@example.com"};
    struct caller panel = {.grant = {.domain = "example.com"}};
    struct why why;
    char *account = NULL;
    if (caller_account(&user, NULL, text, size, &account, &why) == 0)
        PROMISE(strcmp(account, "alice@example.com") == 0);
    free(account);
    account = NULL;
    if (caller_account(&panel, NULL, text, size, &account, &why) == 0)
        PROMISE(strcmp(strchr(account, '@'), "@example.com") == 0);
    free(account);
}

static void read_token(char *text) {
    const char *token, *holder;
    bool write;
    struct why why;
    if (token_line(text, &token, &holder, &write, &why) != 1)
        return;
    PROMISE(token[0] != '\0' && token[0] != '#' && holder[0] != '\0');
    PROMISE(strcmp(holder, "proxy") != 0 || write);
    PROMISE(strchr(holder, '@') == NULL && strcmp(holder, "*") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 4) {
    case 0:
        read_body(text, size - 1);
        break;
    case 1:
        read_header(text);
        break;
    case 2:
        read_path(text, strlen(text));
        break;
    default:
        read_token(text);
    }
    free(text);
    return 0;
}
