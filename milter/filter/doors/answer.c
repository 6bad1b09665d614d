/*
 * What the faces of the doors share. Owns the header fields of a verdict, and how strictly a
 * stranger's words are read.
 */
#include "door.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/base/log.h"
#include "gatepost/core/textbuf.h"

/* Seconds until a client shall ask again when nothing can be known. */
#define RETRY_AFTER "30"

void door_respond(struct http_response *response, unsigned status, const char *verdict,
                  const char *reason, const char *text) {
    char body[REPLY_TEXT_SIZE + 2];
    int len = snprintf(body, sizeof body, "%s\n", text);
    http_response_begin(response, status, TEXT_TYPE, body, status == 204 ? 0 : (size_t)len);
    http_response_field(response, "X-Gatepost-Verdict", verdict);
    http_response_field(response, "X-Gatepost-Reason", reason);
    http_response_field(response, "X-Gatepost-Text", text);
    if (status == 503)
        http_response_field(response, "Retry-After", RETRY_AFTER);
}

void door_respond_answer(struct http_response *response, unsigned accepted,
                         const struct door_answer *answer) {
    unsigned status = answer->kind == VERDICT_ACCEPT  ? accepted
                      : answer->kind == VERDICT_DEFER ? 503
                                                      : 403;
    door_respond(response, status, verdict_name(answer->kind), reason_name(answer->reason),
                 answer->kind == VERDICT_ACCEPT ? "allowed" : answer->text);
}

void door_refuse(const struct http_request *request, struct http_response *response,
                 unsigned status, const char *reason, const char *text) {
    (void)request;
    door_respond(response, status, verdict_name(status == 503 ? VERDICT_DEFER : VERDICT_REJECT),
                 reason, text);
}

void door_log_bad(const struct http_request *request, const char *problem) {
    log_event(LOG_WARNING, "door-request", "method", request->method, "path", request->path,
              "problem", problem, (char *)NULL);
}

int door_address(const char *text, struct ip_address *out) {
    *out = (struct ip_address){.family = IP_NONE};
    return text == NULL || text[0] == '\0' ? 0 : ip_parse(text, strlen(text), out);
}

bool door_is_text(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t sequence = utf8_sequence(text + i, len - i);
        if (sequence == 0 || (unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
        i += sequence;
    }
    return true;
}

json_t *door_json(const struct http_request *request, struct why *why) {
    json_error_t error;
    json_t *body = request->body == NULL ? NULL
                                         : json_loadb(request->body, request->body_len,
                                                      JSON_REJECT_DUPLICATES, &error);
    if (request->body == NULL)
        why_set(why, "the request has no body");
    else if (body == NULL) /* never the text of the error: it quotes what may be a password */
        why_set(why, "the body is no JSON, or has a member twice, at octet %d", error.position);
    else if (!json_is_object(body)) {
        why_set(why, "the body is no JSON object");
        json_decref(body);
        body = NULL;
    }
    return body;
}

int door_json_text(const json_t *object, const char *name, const char **out, struct why *why) {
    const json_t *member = json_object_get(object, name);
    *out = json_string_value(member);
    if (member != NULL && *out == NULL)
        return why_set(why, "%s is no string", name);
    return 0;
}

int door_json_flag(const json_t *object, const char *name, bool *out, struct why *why) {
    const json_t *member = json_object_get(object, name);
    *out = json_is_true(member);
    if (member != NULL && !json_is_boolean(member))
        return why_set(why, "%s is neither true nor false", name);
    return 0;
}
