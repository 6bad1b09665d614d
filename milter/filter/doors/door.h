/*
 * What the faces of the doors share: each answers one request by HTTP, from a question to
 * door_ask(). For doors.c and the faces alone.
 */
#ifndef GATEPOST_FILTER_DOORS_DOOR_H
#define GATEPOST_FILTER_DOORS_DOOR_H

#include <jansson.h>

#include "gatepost/base/http_service.h"
#include "gatepost/session/door.h"

#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"

/* Reasons of answers without a verdict of the policy. */
#define BAD_REQUEST "bad-request"
#define BAD_TOKEN "bad-token"

/* Answers a request; on a worker. */
typedef void door_face(struct runtime *runtime, const struct http_request *request,
                       struct http_response *response);

/* Answers one that is not judged: `status` as HTTP says it, `text` for a person. Must not wait. */
typedef void door_refusal(const struct http_request *request, struct http_response *response,
                          unsigned status, const char *reason, const char *text);

door_face door_dovecot, door_allow, door_nginx_mail, door_password;
door_refusal door_refuse_dovecot, door_refuse, door_refuse_nginx_mail;

/* The verdict in X-Gatepost-Verdict, -Reason and -Text; the text is the body, too. */
void door_respond(struct http_response *response, unsigned status, const char *verdict,
                  const char *reason, const char *text);

/* The same of an answer: 200, or `accepted`, 403, 503. */
void door_respond_answer(struct http_response *response, unsigned accepted,
                         const struct door_answer *answer);

/* A request that asks for nothing that can be judged; the log has it, too. */
void door_log_bad(const struct http_request *request, const char *problem);

/*
 * The address in a text, IP_NONE where it is NULL or empty. Returns 0, or -1 when it is something
 * else.
 */
int door_address(const char *text, struct ip_address *out);

/* Valid UTF-8 without control characters? */
bool door_is_text(const char *text, size_t len);

/* ---- bodies in JSON ---- */

/* The object that the body is, with no member twice, or NULL with the reason. A new reference. */
json_t *door_json(const struct http_request *request, struct why *why);

/* A string, NULL when it is absent. Returns 0, or -1 with the reason when it is none. */
int door_json_text(const json_t *object, const char *name, const char **out, struct why *why);

/* true or false, false when it is absent. Likewise. */
int door_json_flag(const json_t *object, const char *name, bool *out, struct why *why);

#endif
