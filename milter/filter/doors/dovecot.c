/*
 * POST /v1/dovecot: Dovecot's auth policy protocol. Owns what Dovecot sends and takes. It judges by
 * the body alone, and lets everybody in when that says nothing: so every answer is 200 with a
 * status, and what cannot be known is -1.
 */
#include "door.h"

#include <string.h>

#include "gatepost/base/host_port.h"
#include "gatepost/base/http_request.h"

#define ALLOW "{\"status\":0}"
#define DENY "{\"status\":-1}"
#define UNREADABLE "the login could not be judged: this server's set-up is at fault"

static void deny(struct http_response *response, const char *text) {
    char body[2 * REPLY_TEXT_SIZE + 40]; /* each octet is printable US-ASCII; '"' takes two */
    json_t *answer = json_pack("{s:i, s:s}", "status", -1, "msg", text);
    size_t len = answer == NULL ? 0 : json_dumpb(answer, body, sizeof body, JSON_COMPACT);
    if (len == 0 || len > sizeof body)
        http_response_begin(response, 200, JSON_TYPE, DENY, strlen(DENY));
    else
        http_response_begin(response, 200, JSON_TYPE, body, len);
    json_decref(answer);
}

void door_refuse_dovecot(const struct http_request *request, struct http_response *response,
                         unsigned status, const char *reason, const char *text) {
    (void)request;
    (void)status;
    (void)reason;
    deny(response, text);
}

/* The port that the client came to; 0 when Dovecot does not know it, as of Postfix. */
static int read_port(const char *text, int *out, struct why *why) {
    bool unknown = text == NULL || text[0] == '\0' || strcmp(text, "0") == 0;
    *out = unknown ? 0 : port_parse(text, strlen(text));
    return *out < 0 ? why_set(why, "local_port is no port") : 0;
}

static int read_address(const json_t *body, const char *name, struct ip_address *out,
                        struct why *why) {
    const char *text;
    if (door_json_text(body, name, &text, why) != 0)
        return -1;
    return door_address(text, out) == 0 ? 0 : why_set(why, "%s is no IP address", name);
}

static int read_question(const json_t *body, struct door_question *q, struct why *why) {
    const char *port, *secured, *app, *unused;
    *q = (struct door_question){.door = DOOR_DOVECOT};
    if (door_json_text(body, "protocol", &q->service, why) != 0 ||
        door_json_text(body, "login", &q->login, why) != 0 ||
        door_json_text(body, "session_id", &q->session, why) != 0 ||
        door_json_text(body, "local_port", &port, why) != 0 ||
        read_port(port, &q->port, why) != 0 ||
        door_json_text(body, "secured", &secured, why) != 0 ||
        door_json_text(body, "mech", &unused, why) != 0 ||
        door_json_text(body, "app", &app, why) != 0 ||
        door_json_flag(body, "tls", &q->tls, why) != 0 ||
        read_address(body, "remote", &q->client, why) != 0 ||
        read_address(body, "real_remote", &q->real_client, why) != 0 ||
        read_address(body, "local", &q->local, why) != 0)
        return -1;
    if (json_object_get(body, "real_remote") == NULL)
        q->real_client = q->client;
    if (q->service == NULL || q->service[0] == '\0' || q->login == NULL || q->login[0] == '\0')
        return why_set(why, "it has no %s",
                       q->login == NULL || q->login[0] == '\0' ? "login" : "protocol");
    q->app_password = app != NULL && strcmp(app, "app") == 0; /* the passdb's word for it */
    /* Postfix says by `secured` what Dovecot's own doors say by `tls` */
    if (port != NULL && strcmp(port, "0") == 0 && secured != NULL && secured[0] != '\0')
        q->tls = true;
    return 0;
}

/*
 * Has the passdb taken an app password for another service than webmail, which takes none? Then
 * gatepost.lua does not know the port as gatepost.conf does.
 */
static bool is_misplaced(struct runtime *runtime, const struct door_question *question) {
    const struct config_listener *listener;
    return question->app_password && door_find_listener(runtime, question, &listener) >= 0 &&
           listener != NULL && strcmp(listener->rules.service, "webmail") == 0;
}

static void allow(struct runtime *runtime, const struct http_request *request,
                  const struct door_question *question, struct http_response *response) {
    struct door_answer answer;
    if (is_misplaced(runtime, question)) {
        door_log_bad(request, "an app password at a port of webmail, which takes none: "
                              "gatepost.lua does not know that port");
        deny(response, UNREADABLE);
        return;
    }
    door_ask(runtime, question, &answer);
    if (answer.kind == VERDICT_ACCEPT)
        http_response_begin(response, 200, JSON_TYPE, ALLOW, strlen(ALLOW));
    else
        deny(response, answer.text);
}

/* What Dovecot has let in is a use of the door; it is not judged aloud a second time. */
static void note_use(struct runtime *runtime, const json_t *body, struct door_question *question) {
    struct door_answer answer;
    question->quiet = question->authenticated = true;
    if (runtime->config->record_use && json_is_true(json_object_get(body, "success")) &&
        !json_is_true(json_object_get(body, "policy_reject")))
        door_ask(runtime, question, &answer);
}

void door_dovecot(struct runtime *runtime, const struct http_request *request,
                  struct http_response *response) {
    char command[16] = "";
    struct http_member member = {.name = "command", .value = command, .size = sizeof command};
    struct door_question question;
    struct why why;
    json_t *body = door_json(request, &why);
    int rc = body == NULL ? -1 : read_question(body, &question, &why);
    if (http_query_read(request->query, &member, 1) != 0 ||
        (strcmp(command, "allow") != 0 && strcmp(command, "report") != 0))
        rc = why_set(&why, "command is neither allow nor report");
    if (rc != 0) {
        door_log_bad(request, why.text);
        deny(response, UNREADABLE);
    } else if (command[0] == 'a') {
        allow(runtime, request, &question, response);
    } else {
        note_use(runtime, body, &question);
        http_response_begin(response, 200, JSON_TYPE, ALLOW, strlen(ALLOW));
    }
    json_decref(body);
}
