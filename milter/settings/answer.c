/*
 * Answers. Owns the header fields that each of them has.
 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/base/json_text.h"

/* Seconds after which a client shall ask again when the store cannot be asked. */
#define RETRY_AFTER "10"

/* Nothing from elsewhere, and nothing that stands in the text of the page itself. */
#define CONTENT_POLICY                                                                             \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

static const struct http_field fields[] = {
    {"Content-Security-Policy", CONTENT_POLICY},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

void answer_octets(struct http_response *response, unsigned status, const char *type,
                   const char *body, size_t len) {
    http_response_begin(response, status, type, body, len);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        http_response_field(response, fields[i].name, fields[i].value);
    if (status == 503)
        http_response_field(response, "Retry-After", RETRY_AFTER);
}

void answer_json(struct http_response *response, unsigned status, json_t *body) {
    static const char no_memory[] = "{\"status\":503,\"reason\":\"no memory\"}\n";
    char *text = json_dump_malloc(body, JSON_COMPACT);
    if (text != NULL)
        answer_octets(response, status, JSON_TYPE, text, strlen(text));
    else
        answer_octets(response, 503, JSON_TYPE, no_memory, sizeof no_memory - 1);
    if (text != NULL)
        explicit_bzero(text, strlen(text)); /* it may be a password that is shown once */
    free(text);
    json_decref(body);
}

void answer_refusal(struct http_response *response, unsigned status, const char *field,
                    const char *reason) {
    json_t *body = json_pack("{s:i}", "status", (int)status);
    if (field != NULL)
        json_object_set_new(body, "field", json_text(field));
    json_object_set_new(body, "reason", json_text(reason));
    answer_json(response, status, body);
}
