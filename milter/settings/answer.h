/*
 * What every answer has: its header fields, and the form of a refusal.
 */
#ifndef GATEPOST_SETTINGS_ANSWER_H
#define GATEPOST_SETTINGS_ANSWER_H

#include <jansson.h>

#include "gatepost/base/http_service.h"

#define JSON_TYPE "application/json"

/* An answer of octets, with all that keeps a browser from using it in another way. */
void answer_octets(struct http_response *response, unsigned status, const char *type,
                   const char *body, size_t len);

/* The same of JSON, which is taken over; NULL: there was no memory. */
void answer_json(struct http_response *response, unsigned status, json_t *body);

/*
 * A refusal: {"status":, "field":, "reason":}, `field` NULL for none. 503 asks to come again, as
 * does 429, which says when itself.
 */
void answer_refusal(struct http_response *response, unsigned status, const char *field,
                    const char *reason);

#endif
