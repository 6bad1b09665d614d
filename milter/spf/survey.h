/*
 * A survey of a domain's SPF record: what it lets pass, whoever asks; see spf_survey().
 */
#ifndef GATEPOST_SPF_SURVEY_H
#define GATEPOST_SPF_SURVEY_H

#include "gatepost/dns/dns.h"
#include "gatepost/spf/spf.h"

enum spf_survey survey_domain(struct dns *dns, const char *domain, int64_t deadline,
                              spf_take_term *take, void *context, struct why *why);

#endif
