/*
 * POST /v1/password: asked for each password before it is checked. Owns what Dovecot's passdb sends
 * and takes. A password reaches no log, and what held it is wiped.
 */
#include "door.h"

#include <string.h>

#include "gatepost/base/log.h"

/* The answer to an app password has what the peer has made up for this request: no other server
 * could know it. */
#define NONCE_MAX 200

/* What is asked beside the question for the door. */
struct secret {
    const char *password, *nonce;
};

static int read_question(const json_t *body, struct door_question *q, struct secret *secret,
                         struct why *why) {
    const char *ip;
    *q = (struct door_question){.door = DOOR_DOVECOT};
    if (door_json_text(body, "service", &q->service, why) != 0 ||
        door_json_text(body, "account", &q->login, why) != 0 ||
        door_json_text(body, "ip", &ip, why) != 0 ||
        door_json_flag(body, "tls", &q->tls, why) != 0 ||
        door_json_text(body, "password", &secret->password, why) != 0 ||
        door_json_text(body, "nonce", &secret->nonce, why) != 0)
        return -1;
    if (q->service == NULL || q->service[0] == '\0')
        return why_set(why, "there is no service");
    if (q->login == NULL || q->login[0] == '\0')
        return why_set(why, "there is no account");
    if (secret->password == NULL)
        return why_set(why, "there is no password");
    if (secret->nonce == NULL)
        secret->nonce = "";
    if (strlen(secret->nonce) > NONCE_MAX || !door_is_text(secret->nonce, strlen(secret->nonce)))
        return why_set(why, "the nonce is too long, or no text");
    if (door_address(ip, &q->client) != 0)
        return why_set(why, "ip is no IP address");
    q->real_client = q->client;
    return 0;
}

static void ask(struct runtime *runtime, struct door_question *q, const struct secret *secret,
                struct http_response *response) {
    struct door_answer answer;
    char id[APP_PASSWORD_ID_SIZE];
    struct why why;
    int rc = door_check_password(runtime, q, secret->password, id, &why);
    if (rc < 0) {
        log_event(LOG_ERR, "password-not-checked", "login", q->login, "problem", why.text,
                  (char *)NULL);
        door_respond(response, 503, verdict_name(VERDICT_DEFER),
                     reason_name(REASON_POLICY_UNAVAILABLE),
                     "the passwords of the account are unavailable: try again later");
        return;
    }
    q->app_password = q->authenticated = rc == 1;
    q->password_id = rc == 1 ? id : NULL;
    door_ask(runtime, q, &answer);
    door_respond_answer(response, rc == 1 ? 200 : 204, &answer);
    /* with 403 as well: it was one, and the peer can have the door itself say why it is closed */
    if (rc == 1 && answer.kind != VERDICT_DEFER)
        http_response_field(response, "X-Gatepost-Nonce", secret->nonce);
}

void door_password(struct runtime *runtime, const struct http_request *request,
                   struct http_response *response) {
    struct door_question question;
    struct secret secret;
    struct why why;
    json_t *body = door_json(request, &why);
    if (body == NULL || read_question(body, &question, &secret, &why) != 0) {
        door_log_bad(request, why.text);
        door_respond(response, 400, "reject", BAD_REQUEST, why.text);
    } else {
        ask(runtime, &question, &secret, response);
    }
    json_decref(body);
}
