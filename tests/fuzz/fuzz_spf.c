/*
 * Fuzz target: one SPF evaluation with everything that belongs to it, libspf2 included, on a name
 * server made of the input. Promises: one of the seven results, an explanation of a fail only, a
 * reason for an error only, no more look-ups than RFC 7208 allows, and the same with a trace as
 * without. Linked with --wrap for what spf.c asks of terms.c, to see the counters.
 */
#include "fuzz.h"

#include <string.h>

#include "fake_dns.h"
#include "gatepost/spf/spf.h"
#include "milter/spf/terms.h"

/* Above anything that ten terms with ten names each, %{p} and an explanation can ask. */
#define QUERIES_MAX 150

/* A line of the trace, its end included. */
#define TRACE_LINE_SIZE 700

int __real_spf_fetch(struct spf_evaluation *evaluation, const char *domain, struct spf_record *out);
int __wrap_spf_fetch(struct spf_evaluation *evaluation, const char *domain, struct spf_record *out);
int __real_spf_term_matches(struct spf_evaluation *evaluation, const struct spf_term *term,
                            const char *domain);
int __wrap_spf_term_matches(struct spf_evaluation *evaluation, const struct spf_term *term,
                            const char *domain);

static void check_name(const char *name) {
    size_t label = 0, len = strlen(name);
    PROMISE(len > 0 && len <= SPF_DOMAIN_MAX);
    for (size_t i = 0; i < len; i++) {
        PROMISE(name[i] != '.' || label > 0);
        label = name[i] == '.' ? 0 : label + 1;
        PROMISE(label <= 63);
    }
}

static void check_counters(const struct spf_evaluation *evaluation) {
    PROMISE(evaluation->lookups <= SPF_LOOKUPS_MAX + 1);
    PROMISE(evaluation->voids <= SPF_VOIDS_MAX + 1);
    PROMISE(evaluation->lookups <= SPF_LOOKUPS_MAX || evaluation->failed);
    PROMISE(evaluation->voids <= SPF_VOIDS_MAX || evaluation->failed);
    PROMISE(memchr(evaluation->problem, '\0', sizeof evaluation->problem) != NULL);
}

int __wrap_spf_fetch(struct spf_evaluation *evaluation, const char *domain,
                     struct spf_record *out) {
    PROMISE(!evaluation->failed);
    check_name(domain);
    int rc = __real_spf_fetch(evaluation, domain, out);
    PROMISE(rc >= -1 && rc <= 1 && (rc != -1 || evaluation->failed));
    check_counters(evaluation);
    return rc;
}

int __wrap_spf_term_matches(struct spf_evaluation *evaluation, const struct spf_term *term,
                            const char *domain) {
    unsigned before = fake_dns_queries();
    PROMISE(!evaluation->failed);
    check_name(domain);
    int rc = __real_spf_term_matches(evaluation, term, domain);
    PROMISE(rc >= -1 && rc <= 1 && (rc != -1 || evaluation->failed));
    PROMISE(fake_dns_queries() - before <= 2 * (SPF_PTR_MAX + 1)); /* the term's own and %{p} */
    check_counters(evaluation);
    return rc;
}

/* Counts the lines of a trace. */
static void take_line(void *context, const char *line) {
    PROMISE(strlen(line) < TRACE_LINE_SIZE);
    ++*(unsigned *)context;
}

/* An evaluation with a trace comes to what one without came to, by the same queries. */
static void check_traced(struct spf *spf, struct spf_query query, const struct spf_answer *plain) {
    struct spf_answer answer;
    unsigned before = fake_dns_queries(), lines = 0;
    query.trace = take_line;
    query.trace_context = &lines;
    spf_check(spf, &query, &answer);
    PROMISE(answer.result == plain->result);
    PROMISE(strcmp(answer.domain, plain->domain) == 0);
    PROMISE(strcmp(answer.problem, plain->problem) == 0);
    PROMISE(fake_dns_queries() == 2 * before);
    PROMISE((lines == 0) == (before == 0));
}

/* Every term that a survey takes is told whole. */
static void take_term(void *context, const struct spf_pass_term *term) {
    PROMISE(term->text[0] != '\0' && term->domain[0] != '\0');
    PROMISE(term->prefix4 <= 32 || term->prefix6 <= 128);
    ++*(unsigned *)context;
}

static void check_survey(struct spf *spf, const char *domain) {
    unsigned taken = 0;
    struct why why = {""};
    enum spf_survey survey = domain[0] == '\0'
                                 ? SPF_SURVEY_NONE
                                 : spf_survey(spf, domain, INT64_MAX, take_term, &taken, &why);
    PROMISE(survey != SPF_SURVEY_WRONG || why.text[0] != '\0');
    PROMISE(taken == 0 || (survey != SPF_SURVEY_NONE && survey != SPF_SURVEY_NO_NAME));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct spf *spf;
    struct spf_settings settings = {.timeout = 60000};
    struct spf_answer answer;
    struct fake_scene scene;
    struct why why;
    if (spf == NULL && spf_open(&settings, &spf, &why) != 0)
        abort();
    fake_dns_load(data, size, &scene);
    struct spf_query query = {.client = scene.client, .helo = scene.helo, .sender = scene.sender};
    memset(&answer, 0xa5, sizeof answer);
    spf_check(spf, &query, &answer);
    PROMISE((unsigned)answer.result < SPF_RESULTS);
    PROMISE(memchr(answer.domain, '\0', sizeof answer.domain) != NULL);
    PROMISE(memchr(answer.problem, '\0', sizeof answer.problem) != NULL);
    PROMISE(memchr(answer.explanation, '\0', sizeof answer.explanation) != NULL);
    PROMISE(answer.explanation[0] == '\0' || answer.result == RESULT_FAIL);
    bool error = answer.result == RESULT_TEMPERROR || answer.result == RESULT_PERMERROR;
    PROMISE(error == (answer.problem[0] != '\0'));
    PROMISE(memchr(answer.term, '\0', sizeof answer.term) != NULL);
    PROMISE(memchr(answer.term_domain, '\0', sizeof answer.term_domain) != NULL);
    /* every pass is by some mechanism, and that is found again */
    PROMISE((answer.result == RESULT_PASS) == (answer.term[0] != '\0'));
    PROMISE(answer.prefix <= (scene.client.family == IP_V6 ? 128 : 32));
    PROMISE(fake_dns_queries() < QUERIES_MAX);
    if (scene.trace)
        check_traced(spf, query, &answer);
    check_survey(spf, answer.domain);
    return 0;
}
