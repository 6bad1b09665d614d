/*
 * What a change must fulfil before its body is read: that the user's own page asks for it, in a
 * form that no other page can send without the browser asking first, and that it is about what he
 * has seen. Pure.
 */
#ifndef GATEPOST_SETTINGS_PRECONDITION_H
#define GATEPOST_SETTINGS_PRECONDITION_H

#include <stdbool.h>

#include "gatepost/base/http_request.h"
#include "gatepost/core/why.h"

/*
 * Does no other site ask? Where there is an Origin it must be `origin`, where there is a
 * Sec-Fetch-Site, same-origin or none; each once. False with the reason.
 */
bool precondition_same_site(const struct http_request *request, const char *origin,
                            struct why *why);

/* Has the request exactly one Content-Type, this media type, with or without parameters? */
bool precondition_is_type(const struct http_request *request, const char *type);

/*
 * If-Match (RFC 9110 13.1.1): 1 when it names the tag, or is "*"; 0 when it does not; -1 when it is
 * not there. Tags are compared strongly.
 */
int precondition_matches(const struct http_request *request, const char *tag);

#endif
