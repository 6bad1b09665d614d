/*
 * The terms of an SPF record against the DNS (RFC 7208 4.6.4, 5): does this one match?
 *
 * One struct spf_evaluation holds the limits of a whole evaluation, includes and redirects among
 * them, and what is known of the message. It belongs to one thread.
 */
#ifndef GATEPOST_SPF_TERMS_H
#define GATEPOST_SPF_TERMS_H

#include "gatepost/dns/dns.h"
#include "macro.h"
#include "record.h"
#include "shares.h"

/* RFC 7208 4.6.4 */
#define SPF_LOOKUPS_MAX 10
#define SPF_VOIDS_MAX 2
#define SPF_MX_MAX 10
#define SPF_PTR_MAX 10

struct spf_evaluation {
    struct dns *dns;
    struct shares *shares;          /* of the evaluations that wait; NULL: without bound */
    struct share share;             /* ours, once there was something to wait for */
    int64_t deadline;               /* clock_now_ms() */
    struct spf_macro_values values; /* but for domain and name */
    unsigned lookups, voids;        /* so far: terms that look things up, and that found nothing */
    bool term_void;                 /* the term being evaluated is counted in voids */
    bool failed;                    /* the evaluation is over: `error` is its result */
    enum spf_result error;          /* temperror or permerror */
    char problem[200];              /* why; "" while nothing failed */
    char name[SPF_DOMAIN_MAX + 1];  /* %{p} ... */
    char name_domain[SPF_DOMAIN_MAX + 1]; /* ... for this domain; "" while not asked for */
    void (*trace)(void *context, const char *line); /* NULL: nobody wants to know */
    void *trace_context;
    unsigned depth; /* of includes, for the indentation of the trace */
};

/* One line of the trace, at the current depth. Texts may have a stranger's octets. */
void spf_note(struct spf_evaluation *evaluation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the evaluation with temperror or permerror; the first end counts. Returns -1. */
int spf_fail(struct spf_evaluation *evaluation, enum spf_result error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The SPF record of a domain. Returns 1 and a record to be cleared, 0 when there is none, or -1
 * when the evaluation failed over it.
 */
int spf_fetch(struct spf_evaluation *evaluation, const char *domain, struct spf_record *out);

/* Counts a term that looks things up; -1 when it is one too many. */
int spf_count_lookup(struct spf_evaluation *evaluation, const char *term);

/*
 * Expands a domain-spec for the current domain; NULL gives that domain itself. Returns 0, 1 when
 * the result is no domain name, or -1 when the evaluation failed over it.
 */
int spf_target(struct spf_evaluation *evaluation, const char *spec, const char *domain,
               char out[SPF_DOMAIN_MAX + 1]);

/* Does the term need the DNS? `all`, ip4 and ip6 do not. */
bool spf_term_looks_up(const struct spf_term *term);

/* Does the client match a term that does not? */
bool spf_term_settles(const struct spf_term *term, const struct ip_address *client);

/*
 * Does the client match the term (any but `include`) in a record of `domain`? Returns 1 or 0, or -1
 * when the evaluation failed over it. Counts the look-ups.
 */
int spf_term_matches(struct spf_evaluation *evaluation, const struct spf_term *term,
                     const char *domain);

/*
 * The explanation of a fail (RFC 7208 6.2): the text that `spec` leads to, fetched, checked and
 * expanded, into `out`. "" when there is none that may be shown.
 */
void spf_explain(struct spf_evaluation *evaluation, const char *spec, const char *domain, char *out,
                 size_t size);

#endif
