/*
 * Fuzz target: what strangers write at the doors. The first octet of the input says to whom it is a
 * body, a query or fields of the header. Promises: each gets one answer that HTTP can carry; nobody
 * is let in without a question, and a question has a login, a service and texts without NUL.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/base/http_request.h"
#include "gatepost/base/log.h"
#include "milter/filter/doors/door.h"

static unsigned status, questions, fields;
static bool says_yes; /* the body of Dovecot's answer, or Auth-Status */

void log_event(int priority, const char *event, ...) {
    (void)priority;
    PROMISE(event[0] != '\0');
}

static void check_question(const struct door_question *q) {
    PROMISE(q->login != NULL && q->login[0] != '\0' && q->service != NULL && q->service[0] != '\0');
    PROMISE(q->port >= 0 && q->port <= 65535);
    PROMISE(q->client.family == IP_NONE || q->client.family == IP_V4 || q->client.family == IP_V6);
}

/* One port is webmail's, which takes no app passwords. */
int door_find_listener(struct runtime *runtime, const struct door_question *question,
                       const struct config_listener **out) {
    static const struct config_listener webmail = {.rules = {.service = "webmail"}};
    (void)runtime;
    check_question(question);
    *out = question->port == 10143 ? &webmail : NULL;
    return *out != NULL;
}

int door_check_password(struct runtime *runtime, const struct door_question *question,
                        const char *typed, char id[static APP_PASSWORD_ID_SIZE], struct why *why) {
    (void)runtime;
    (void)why;
    check_question(question);
    id[0] = '\0';
    return (int)(strlen(typed) & 1);
}

void door_ask(struct runtime *runtime, const struct door_question *question,
              struct door_answer *answer) {
    (void)runtime;
    check_question(question);
    PROMISE(question->door != DOOR_DOVECOT || !question->app_password || question->port != 10143 ||
            question->authenticated);
    questions++;
    *answer = (struct door_answer){.kind = VERDICT_ACCEPT, .reason = REASON_ACCOUNT};
}

void __wrap_http_response_begin(struct http_response *response, unsigned code, const char *type,
                                const char *body, size_t len);
void __wrap_http_response_begin(struct http_response *response, unsigned code, const char *type,
                                const char *body, size_t len) {
    (void)response;
    PROMISE(status == 0 && code >= 200 && code < 600 && type[0] != '\0');
    status = code;
    says_yes = len == 12 && memcmp(body, "{\"status\":0}", 12) == 0;
}

void __wrap_http_response_field(struct http_response *response, const char *name,
                                const char *value);
void __wrap_http_response_field(struct http_response *response, const char *name,
                                const char *value) {
    (void)response;
    PROMISE(status != 0 && name[0] != '\0' && strpbrk(value, "\r\n") == NULL);
    if (strcmp(name, "Auth-Status") == 0)
        says_yes = strcmp(value, "OK") == 0;
    fields++;
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

static void ask(unsigned whom, char *text, size_t size) {
    static door_face *const faces[] = {door_dovecot, door_dovecot, door_password,
                                       door_allow,   door_allow,   door_nginx_mail};
    struct http_field header[20];
    struct http_request request = {
        .method = "POST", .path = "/", .query = "command=allow", .fields = header};
    status = questions = fields = 0;
    says_yes = false;
    if (whom == 1) { /* a target before the body, up to the first line's end */
        char *end = strchr(text, '\n');
        if (end != NULL)
            *end = '\0';
        size_t line = strlen(text);
        http_target_split(text, &request.path, &request.query);
        text += end == NULL ? line : line + 1;
        size -= end == NULL ? line : line + 1;
    }
    if (whom <= 2) {
        request.body = text;
        request.body_len = size;
    } else if (whom == 3) {
        request.query = text;
    } else {
        request.query = "";
        request.n_fields = split_fields(text, header, 20);
    }
    static struct config config = {.record_use = true};
    static struct runtime runtime = {.config = &config};
    faces[whom](&runtime, &request, NULL);
    PROMISE(status != 0 && questions <= 1);
    if (whom <= 1)
        PROMISE(status == 200 &&
                (!says_yes || questions == 1 || strcmp(request.query, "command=report") == 0));
    else if (whom == 5)
        PROMISE(status == 200 && !says_yes); /* there is no back end */
    else
        PROMISE((status < 300) == (questions == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *text = malloc(size);
    if (text == NULL)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    ask(data[0] % 6, text, size - 1);
    free(text);
    return 0;
}
