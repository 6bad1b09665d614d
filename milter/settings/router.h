/*
 * Which request goes where: the HTTP of gatepost-settings, from the first line to the answer.
 */
#ifndef GATEPOST_SETTINGS_ROUTER_H
#define GATEPOST_SETTINGS_ROUTER_H

#include "gatepost/base/http_service.h"
#include "page.h"
#include "rate.h"

/* What all requests share; the caller's. */
struct router {
    struct rate *rate;
    const struct page *page;
};

/* Those of http_service_settings; the context is a struct router. Offices are published. */
bool router_admit(void *context, const struct http_request *request,
                  struct http_response *response);
void router_answer(void *context, const struct http_request *request,
                   struct http_response *response);
void router_refuse(void *context, const struct http_request *request, enum http_refusal refusal,
                   struct http_response *response);

#endif
