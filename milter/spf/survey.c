/*
 * Surveys. Owns the way through a record and those that it leads to, without a client or a message:
 * what depends on these is left out.
 */
#include "survey.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "terms.h"

/* Records that are read; no evaluation comes to more. */
#define RECORDS_MAX (SPF_LOOKUPS_MAX + 1)

struct survey {
    struct spf_evaluation terms;
    spf_take_term *take;
    void *context;
    char seen[RECORDS_MAX][SPF_DOMAIN_MAX + 1];
    size_t n;
};

static bool is_seen(const struct survey *survey, const char *domain) {
    for (size_t i = 0; i < survey->n; i++)
        if (strcasecmp(survey->seen[i], domain) == 0)
            return true;
    return false;
}

static void tell(struct survey *survey, const char *domain, const struct spf_term *term) {
    static const struct ip_address v4 = {.family = IP_V4}, v6 = {.family = IP_V6};
    struct spf_pass_term told = {.domain = domain,
                                 .text = term->text,
                                 .prefix4 = spf_term_prefix(term, &v4),
                                 .prefix6 = spf_term_prefix(term, &v6)};
    if (term->mechanism == MECHANISM_IP4)
        told.prefix6 = UINT_MAX;
    if (term->mechanism == MECHANISM_IP6)
        told.prefix4 = UINT_MAX;
    survey->take(survey->context, &told);
}

/* 1, 0: the domain has no record, -1: the survey has failed. */
static int survey_record(struct survey *survey, const char *domain);

/* The record of an include or a redirect; NULL and macros lead nowhere. */
static void follow(struct survey *survey, const char *spec, const char *domain) {
    char target[SPF_DOMAIN_MAX + 1];
    if (spec == NULL || strchr(spec, '%') != NULL)
        return;
    int rc = spf_target(&survey->terms, spec, domain, target);
    if (rc > 0)
        spf_fail(&survey->terms, RESULT_PERMERROR, "%.100s is no domain name", spec);
    if (rc != 0 || is_seen(survey, target) || survey->n == RECORDS_MAX)
        return;
    if (survey_record(survey, target) == 0)
        spf_fail(&survey->terms, RESULT_PERMERROR, "%.100s has no SPF record", target);
}

static int survey_record(struct survey *survey, const char *domain) {
    struct spf_record record;
    snprintf(survey->seen[survey->n++], sizeof *survey->seen, "%s", domain);
    int rc = spf_fetch(&survey->terms, domain, &record);
    if (rc != 1)
        return rc;
    for (size_t i = 0; i < record.n && !survey->terms.failed; i++) {
        const struct spf_term *term = &record.terms[i];
        if (term->match != RESULT_PASS)
            continue;
        if (term->mechanism == MECHANISM_INCLUDE)
            follow(survey, term->domain_spec, domain);
        else
            tell(survey, domain, term);
    }
    if (!record.has_all && !survey->terms.failed)
        follow(survey, record.redirect, domain);
    spf_record_clear(&record);
    return survey->terms.failed ? -1 : 1;
}

/* Is it that there is no such name at all? */
static bool is_missing(struct survey *survey, const char *domain) {
    struct dns_answer *answer;
    bool missing = dns_query(survey->terms.dns, domain, DNS_TXT, survey->terms.deadline, &answer) ==
                       DNS_ABSENT &&
                   answer->no_such_name;
    dns_answer_release(answer);
    return missing;
}

enum spf_survey survey_domain(struct dns *dns, const char *domain, int64_t deadline,
                              spf_take_term *take, void *context, struct why *why) {
    struct survey survey = {
        .terms = {.dns = dns, .deadline = deadline}, .take = take, .context = context};
    int rc = survey_record(&survey, domain);
    if (rc < 0) {
        why_set(why, "%s", survey.terms.problem);
        return survey.terms.error == RESULT_TEMPERROR ? SPF_SURVEY_UNKNOWN : SPF_SURVEY_WRONG;
    }
    if (rc > 0)
        return SPF_SURVEY_RECORD;
    return is_missing(&survey, domain) ? SPF_SURVEY_NO_NAME : SPF_SURVEY_NONE;
}
