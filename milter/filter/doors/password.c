/*
 * POST /v1/password: asked for each password before it is checked. Owns what Dovecot's passdb sends
 * and takes. The password is looked at nowhere yet; it reaches no log, and what held it is wiped.
 */
#include "door.h"

static int read_question(const json_t *body, struct door_question *q, struct why *why) {
    const char *ip, *password, *nonce;
    *q = (struct door_question){.door = DOOR_DOVECOT};
    if (door_json_text(body, "service", &q->service, why) != 0 ||
        door_json_text(body, "account", &q->login, why) != 0 ||
        door_json_text(body, "ip", &ip, why) != 0 ||
        door_json_flag(body, "tls", &q->tls, why) != 0 ||
        door_json_text(body, "password", &password, why) != 0 ||
        door_json_text(body, "nonce", &nonce, why) != 0)
        return -1;
    if (q->service == NULL || q->service[0] == '\0')
        return why_set(why, "there is no service");
    if (q->login == NULL || q->login[0] == '\0')
        return why_set(why, "there is no account");
    if (password == NULL)
        return why_set(why, "there is no password");
    if (door_address(ip, &q->client) != 0)
        return why_set(why, "ip is no IP address");
    q->real_client = q->client;
    return 0;
}

void door_password(struct runtime *runtime, const struct http_request *request,
                   struct http_response *response) {
    struct door_question question;
    struct door_answer answer;
    struct why why;
    json_t *body = door_json(request, &why);
    if (body == NULL || read_question(body, &question, &why) != 0) {
        door_log_bad(request, why.text);
        door_respond(response, 400, "reject", BAD_REQUEST, why.text);
    } else {
        door_ask(runtime, &question, &answer);
        door_respond_answer(response, 204, &answer);
    }
    json_decref(body);
}
