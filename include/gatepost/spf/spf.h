/*
 * SPF evaluation (RFC 7208) of one identity.
 *
 * Any number of threads may evaluate at once; an evaluation never takes longer than the time-out
 * that was given at the start, and always has a result.
 */
#ifndef GATEPOST_SPF_SPF_H
#define GATEPOST_SPF_SPF_H

#include <stddef.h>
#include <stdint.h>

#include "gatepost/core/netblock.h"
#include "gatepost/core/vocabulary.h"
#include "gatepost/core/why.h"

struct spf;

struct spf_settings {
    const char *const *nameservers; /* as dns_open() takes them */
    size_t n_nameservers;
    int64_t timeout; /* milliseconds for one evaluation */
};

/* Returns 0 and an evaluator with one reference, or -1 with the reason. */
int spf_open(const struct spf_settings *settings, struct spf **out, struct why *why);

/* Another reference; no evaluation may be in progress when the last one is released. */
struct spf *spf_acquire(struct spf *spf);
void spf_release(struct spf *spf);

struct spf_query {
    struct ip_address client;
    const char *helo;     /* NULL when the client gave none */
    const char *sender;   /* local@domain for the MAIL FROM identity; NULL: the HELO identity */
    const char *receiver; /* %{r}: the name of this host; NULL when it is not known */
    int64_t deadline;     /* clock_now_ms(); 0: the time-out from now on */
    /* Told every step as one line, which may have a stranger's octets; NULL for nobody. */
    void (*trace)(void *context, const char *line);
    void *trace_context;
};

struct spf_answer {
    enum spf_result result;
    char domain[256];        /* whose record was evaluated */
    char problem[200];       /* why an error is one; "" otherwise */
    unsigned lookups, voids; /* of 10 and 2 that RFC 7208 4.6.4 allows */
    char explanation[256]; /* of a fail: what the domain says of it, its own octets; "" for none */
    /*
     * Of a pass: the mechanism that matched, and of which domain's record; of an include or
     * redirect the one that matched there. `prefix` is how many bits of the client's address it
     * looks at: the prefix length of a, mx, ip4 and ip6, 0 of `all`, all bits of ptr. What `exists`
     * asks for may have as many bits as its %{i} gives; without %{i} it is 0.
     */
    unsigned prefix;
    char term[120], term_domain[256];
};

void spf_check(struct spf *spf, const struct spf_query *query, struct spf_answer *answer);

/* A mechanism by which somebody passes; texts last until the function that takes it returns. */
struct spf_pass_term {
    const char *domain, *text;
    /* bits of the address that it looks at, as spf_answer.prefix; UINT_MAX: not of this family */
    unsigned prefix4, prefix6;
};
typedef void spf_take_term(void *context, const struct spf_pass_term *term);

enum spf_survey {
    SPF_SURVEY_RECORD,  /* the domain has a record */
    SPF_SURVEY_NONE,    /* it publishes none */
    SPF_SURVEY_NO_NAME, /* it does not exist */
    SPF_SURVEY_WRONG,   /* its record, or one that it leads to, is in error, as the reason says */
    SPF_SURVEY_UNKNOWN, /* the DNS does not say, for the reason */
};

/*
 * What a domain's record lets pass, whoever asks: takes each mechanism with the result pass, of the
 * record and of those that it includes or redirects to, as far as macros do not choose them. At the
 * latest at `deadline` (clock_now_ms()).
 */
enum spf_survey spf_survey(struct spf *spf, const char *domain, int64_t deadline,
                           spf_take_term *take, void *context, struct why *why);

#endif
