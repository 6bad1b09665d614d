/*
 * GET /v1/nginx-mail: the auth_http of nginx's mail proxy. Owns what nginx sends and takes. For
 * IMAP and POP3 the back end checks the password after an OK. For SMTP an OK is the login itself,
 * and nobody would have checked the password: SMTP is refused.
 */
#include "door.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/base/http_request.h"

#define PERMANENT "535 5.7.8"
#define TEMPORARY "454 4.7.0"

/* nginx sends the text behind NO or -ERR, the code instead of them to a client of SMTP. */
static void refuse(struct http_response *response, const char *protocol, bool temporary,
                   const char *text) {
    char status[REPLY_TEXT_SIZE + 32];
    const char *code = "";
    if (temporary && strcmp(protocol, "imap") == 0)
        code = "[UNAVAILABLE] "; /* RFC 5530 */
    else if (temporary && strcmp(protocol, "pop3") == 0)
        code = "[SYS/TEMP] "; /* RFC 3206 */
    snprintf(status, sizeof status, "%s%s", code, text);
    http_response_begin(response, 200, TEXT_TYPE, NULL, 0);
    http_response_field(response, "Auth-Status", status);
    if (strcmp(protocol, "smtp") == 0)
        http_response_field(response, "Auth-Error-Code", temporary ? TEMPORARY : PERMANENT);
}

static const char *protocol_of(const struct http_request *request) {
    const char *protocol = "";
    return http_request_field(request, "Auth-Protocol", &protocol) == 1 ? protocol : "";
}

void door_refuse_nginx_mail(const struct http_request *request, struct http_response *response,
                            unsigned status, const char *reason, const char *text) {
    (void)reason;
    refuse(response, protocol_of(request), status == 503, text);
}

/* A field that may be there once. */
static int read_field(const struct http_request *request, const char *name, const char **out,
                      struct why *why) {
    *out = "";
    if (http_request_field(request, name, out) >= 0)
        return 0;
    return why_set(why, "%s is there twice", name);
}

static int read_question(const struct http_request *request, struct door_question *q, char *login,
                         size_t size, struct why *why) {
    const char *user, *client, *ssl;
    *q = (struct door_question){.door = DOOR_HTTP, .login = login};
    if (read_field(request, "Auth-Protocol", &q->service, why) != 0 ||
        read_field(request, "Auth-User", &user, why) != 0 ||
        read_field(request, "Client-IP", &client, why) != 0 ||
        read_field(request, "Auth-SSL", &ssl, why) != 0)
        return -1;
    if (strcmp(q->service, "imap") != 0 && strcmp(q->service, "pop3") != 0)
        return why_set(why, "Auth-Protocol is neither imap nor pop3");
    if (user[0] == '\0' || percent_decode(user, strlen(user), login, size) != 0 ||
        !door_is_text(login, strlen(login)))
        return why_set(why, "Auth-User is no name");
    if (client[0] == '\0' || door_address(client, &q->client) != 0)
        return why_set(why, "Client-IP is no IP address");
    if (ssl[0] != '\0' && strcmp(ssl, "on") != 0)
        return why_set(why, "Auth-SSL is not on");
    q->real_client = q->client;
    q->tls = ssl[0] != '\0';
    return 0;
}

/* The back end checks it; whether it is an app password is known here alone. */
static int read_password(struct runtime *runtime, const struct http_request *request,
                         struct door_question *q, struct why *why) {
    char password[256], id[APP_PASSWORD_ID_SIZE];
    const char *field;
    if (read_field(request, "Auth-Pass", &field, why) != 0)
        return -1;
    if (percent_decode(field, strlen(field), password, sizeof password) != 0)
        return 0; /* longer than any app password, or no text */
    int rc = door_check_password(runtime, q, password, id, why);
    explicit_bzero(password, sizeof password);
    q->app_password = rc == 1;
    return rc < 0 ? -1 : 0;
}

static void lead_to(struct http_response *response, const struct host_port *backend) {
    char address[IP_TEXT_SIZE], port[8];
    http_response_begin(response, 200, TEXT_TYPE, NULL, 0);
    http_response_field(response, "Auth-Status", "OK");
    http_response_field(response, "Auth-Server", ip_format(&backend->address, address));
    snprintf(port, sizeof port, "%u", (unsigned)backend->port);
    http_response_field(response, "Auth-Port", port);
}

void door_nginx_mail(struct runtime *runtime, const struct http_request *request,
                     struct http_response *response) {
    const char *protocol = protocol_of(request);
    struct door_question question;
    struct door_answer answer;
    char login[1024];
    struct why why;
    if (strcmp(protocol, "smtp") == 0) {
        refuse(response, protocol, false, "no password is checked here: log in elsewhere to send");
        return;
    }
    if (read_question(request, &question, login, sizeof login, &why) != 0) {
        door_log_bad(request, why.text);
        refuse(response, protocol, false, "the login could not be judged");
        return;
    }
    if (read_password(runtime, request, &question, &why) != 0) {
        door_log_bad(request, why.text);
        refuse(response, protocol, true, "the password could not be checked");
        return;
    }
    door_ask(runtime, &question, &answer);
    if (answer.kind != VERDICT_ACCEPT) {
        refuse(response, protocol, answer.kind == VERDICT_DEFER, answer.text);
    } else if (answer.listener == NULL || answer.listener->backend.port == 0) {
        door_log_bad(request, "the listener has no backend");
        refuse(response, protocol, true, "this server's set-up is at fault");
    } else {
        lead_to(response, &answer.listener->backend);
    }
}
