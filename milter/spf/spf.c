/*
 * One SPF evaluation. libspf2 decides in which order terms are asked and what a match, an include
 * and a redirect come to; a stranger's octets never reach it. Every record is parsed by record.c
 * and rewritten into one that libspf2 reads right: each term becomes `exists:tN.q`, `include:tN.q`
 * or `redirect=tN.q`, and when libspf2 asks for tN.q, terms.c answers for the term that it stands
 * for. Owns these names; libspf2 itself is libspf2.c's.
 */
#include "gatepost/spf/spf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/textbuf.h"
#include "gatepost/dns/dns.h"
#include "libspf2.h"
#include "survey.h"
#include "terms.h"

/*
 * Names that libspf2 may ask for in one evaluation. No record gets more than the ten terms that may
 * look things up, one more that is refused, a redirect and the runs between them, and each record
 * after the first one costs a look-up: 155 at the most.
 */
#define TOKENS_MAX 160

struct spf {
    struct dns *dns;
    struct spf_engines *engines;
    int64_t timeout;
    struct shares *shares;
    atomic_uint references;
};

/* What a name tN.q stands for. */
struct token {
    const struct spf_term *term; /* NULL for the first record and a redirect's */
    size_t settled;              /* > 0: so many terms that were settled, asked for the trace */
    char *domain;                /* the current domain of the term; of a record, its own */
    const char *redirect;        /* of a redirect: its unexpanded target */
    bool governs;                /* its record's explanation is the message's */
    unsigned depth;              /* of includes */
    bool matched;                /* give_match() has said so */
    size_t record; /* of an include or a redirect: its number, from 1; 0: not fetched */
};

/* One evaluation. */
struct evaluation {
    struct spf_evaluation terms;
    struct token tokens[TOKENS_MAX];
    size_t n_tokens;
    struct spf_record *records[SPF_LOOKUPS_MAX + 2]; /* fetched so far; terms point into them */
    char *domains[SPF_LOOKUPS_MAX + 2];              /* theirs */
    size_t first[SPF_LOOKUPS_MAX + 2];               /* the first of their tokens */
    size_t n_records;
    const char *exp, *exp_domain; /* of the record that governs */
};

int spf_open(const struct spf_settings *settings, struct spf **out, struct why *why) {
    struct spf *spf = calloc(1, sizeof *spf);
    if (spf == NULL)
        return why_set(why, "no memory");
    atomic_init(&spf->references, 1);
    spf->engines = spf_engines_new();
    spf->shares = shares_new();
    if (spf->engines == NULL || spf->shares == NULL) {
        spf_release(spf);
        return why_set(why, "no memory");
    }
    spf->timeout = settings->timeout;
    if (dns_open(settings->nameservers, settings->n_nameservers, &spf->dns, why) != 0) {
        spf_release(spf);
        return -1;
    }
    *out = spf;
    return 0;
}

struct spf *spf_acquire(struct spf *spf) {
    atomic_fetch_add(&spf->references, 1);
    return spf;
}

void spf_release(struct spf *spf) {
    if (spf == NULL || atomic_fetch_sub(&spf->references, 1) != 1)
        return;
    spf_engines_free(spf->engines);
    dns_free(spf->dns);
    shares_free(spf->shares);
    free(spf);
}

static size_t add_token(struct evaluation *now, struct token token) {
    token.depth = now->terms.depth;
    if (now->n_tokens == TOKENS_MAX) {
        spf_fail(&now->terms, RESULT_PERMERROR, "more than %d terms", TOKENS_MAX);
        return TOKENS_MAX - 1;
    }
    now->tokens[now->n_tokens] = token;
    return now->n_tokens++;
}

/* The token of a name tN.q, NULL when it is none of ours. */
static struct token *token_of(struct evaluation *now, const char *name) {
    size_t at = 0;
    if (name == NULL || name[0] != 't')
        return NULL;
    for (name++; *name >= '0' && *name <= '9' && at < TOKENS_MAX; name++)
        at = at * 10 + (size_t)(*name - '0');
    return strcmp(name, ".q") == 0 && at < now->n_tokens ? &now->tokens[at] : NULL;
}

/* Writes " QUALIFIERmechanism:tN.q" for a token. */
static void put_term(struct textbuf *buf, char qualifier, const char *mechanism, size_t at) {
    char name[] = {
        't', (char)('0' + at / 100), (char)('0' + at / 10 % 10), (char)('0' + at % 10), '.', 'q'};
    textbuf_put(buf, " ", 1);
    textbuf_put(buf, &qualifier, qualifier != '\0');
    textbuf_puts(buf, mechanism);
    textbuf_put(buf, name, sizeof name);
}

/* Terms that were settled, `end` not among them: asked for in their turn if there is a trace. */
static void put_settled(struct evaluation *now, struct textbuf *buf,
                        const struct spf_record *record, size_t first, size_t end, char *domain) {
    if (first < end && now->terms.trace != NULL)
        put_term(buf, '?', "exists:",
                 add_token(now, (struct token){.term = &record->terms[first],
                                               .settled = end - first,
                                               .domain = domain}));
}

/*
 * Rewrites a record for libspf2. `all` and the terms on addresses are settled here: one that does
 * not match is left out, one that does ends the record. So is everything after the eleventh term
 * that looks things up, which is refused before libspf2 could come there.
 */
static void rewrite(struct evaluation *now, const struct spf_record *record, char *domain,
                    bool governs, struct textbuf *buf) {
    static const char qualifiers[] = {
        [RESULT_NEUTRAL] = '?', [RESULT_PASS] = '+', [RESULT_SOFTFAIL] = '~', [RESULT_FAIL] = '-'};
    unsigned lookups = now->terms.lookups;
    size_t settled = 0; /* where those after the last look-up begin */
    textbuf_puts(buf, "v=spf1");
    for (size_t i = 0; i < record->n; i++) {
        const struct spf_term *term = &record->terms[i];
        char qualifier = qualifiers[term->match];
        if (!spf_term_looks_up(term)) {
            if (!spf_term_settles(term, &now->terms.values.client))
                continue;
            put_settled(now, buf, record, settled, i + 1, domain);
            textbuf_put(buf, " ", 1);
            textbuf_put(buf, &qualifier, 1);
            textbuf_puts(buf, "all");
            return;
        }
        put_settled(now, buf, record, settled, i, domain);
        settled = i + 1;
        put_term(buf, qualifier, term->mechanism == MECHANISM_INCLUDE ? "include:" : "exists:",
                 add_token(now, (struct token){.term = term, .domain = domain}));
        if (++lookups > SPF_LOOKUPS_MAX)
            return;
    }
    put_settled(now, buf, record, settled, record->n, domain);
    if (record->redirect != NULL)
        put_term(buf, '\0', "redirect=",
                 add_token(now, (struct token){.domain = domain,
                                               .redirect = record->redirect,
                                               .governs = governs}));
}

/* The domain whose record a token asks for, into `out`; -1 when the evaluation failed over it. */
static int record_domain(struct evaluation *now, const struct token *token,
                         char out[SPF_DOMAIN_MAX + 1]) {
    const char *spec = token->term != NULL ? token->term->domain_spec : token->redirect;
    if (spec != NULL &&
        spf_count_lookup(&now->terms, token->term != NULL ? token->term->text : "redirect") != 0)
        return -1;
    int rc = spf_target(&now->terms, spec, token->domain, out);
    if (rc > 0)
        return spf_fail(&now->terms, RESULT_PERMERROR, "%.100s: its target is no domain name",
                        spec);
    return rc;
}

/* Keeps a record and its domain for the rest of the evaluation; -1 when that cannot be. */
static int keep(struct evaluation *now, struct spf_record *record, const char *domain) {
    size_t at = now->n_records;
    struct spf_record *copy = malloc(sizeof *copy);
    char *name = strdup(domain);
    if (copy == NULL || name == NULL || at == SPF_LOOKUPS_MAX + 2) {
        free(copy);
        free(name);
        spf_record_clear(record);
        return spf_fail(&now->terms, RESULT_TEMPERROR, "no memory");
    }
    *copy = *record;
    now->records[at] = copy;
    now->domains[at] = name;
    now->n_records++;
    return 0;
}

/* As spf_engine_source says: the record that a token asks for, rewritten. */
static int give_record(void *context, const char *name, char out[SPF_ENGINE_RECORD_SIZE]) {
    struct evaluation *now = context;
    const struct token *found = token_of(now, name);
    char domain[SPF_DOMAIN_MAX + 1];
    struct spf_record record;
    struct textbuf buf;
    if (found == NULL || now->terms.failed)
        return -1;
    const struct token token = *found; /* rewriting adds tokens */
    size_t at = (size_t)(found - now->tokens);
    now->terms.depth = token.depth;
    if (record_domain(now, &token, domain) != 0)
        return -1;
    if (token.term != NULL || token.redirect != NULL)
        spf_note(&now->terms, "  %s%s (look-up %u of %d)",
                 token.redirect != NULL ? "redirect=" : token.term->text,
                 token.redirect != NULL ? token.redirect : "", now->terms.lookups, SPF_LOOKUPS_MAX);
    now->terms.depth += token.term != NULL;
    int rc = spf_fetch(&now->terms, domain, &record);
    if (rc == 0 && token.redirect == NULL && token.term == NULL)
        return 0;
    if (rc == 0) /* RFC 7208 5.2, 6.1: an include or redirect without a record */
        rc = spf_fail(&now->terms, RESULT_PERMERROR, "%.100s has no SPF record", domain);
    if (rc < 0 || keep(now, &record, domain) != 0)
        return -1;
    char *kept_domain = now->domains[now->n_records - 1];
    const struct spf_record *kept = now->records[now->n_records - 1];
    if (token.governs) {
        now->exp = kept->exp;
        now->exp_domain = kept_domain;
    }
    now->tokens[at].record = now->n_records;
    now->first[now->n_records - 1] = now->n_tokens;
    textbuf_init(&buf, out, SPF_ENGINE_RECORD_SIZE);
    rewrite(now, kept, kept_domain, token.governs, &buf);
    return now->terms.failed ? -1 : 1;
}

/* As spf_engine_source says: does the term that a token stands for match? */
static int give_match(void *context, const char *name) {
    struct evaluation *now = context;
    struct token *token = token_of(now, name);
    if (now->terms.failed)
        return -1;
    if (token == NULL || token->term == NULL)
        return 0;
    now->terms.depth = token->depth;
    for (size_t i = 0; i < token->settled; i++)
        spf_term_matches(&now->terms, &token->term[i], token->domain);
    if (token->settled > 0)
        return 0;
    int matched = spf_term_matches(&now->terms, token->term, token->domain);
    token->matched = matched > 0;
    return matched;
}

/* The token of a term or of the redirect (NULL) of a record, from `at` on; NULL: it has none. */
static const struct token *token_from(const struct evaluation *now, size_t at,
                                      const struct spf_term *term) {
    for (; at < now->n_tokens; at++) {
        const struct token *token = &now->tokens[at];
        if (term != NULL ? token->term == term && token->settled == 0 : token->redirect != NULL)
            return token;
    }
    return NULL;
}

/*
 * The mechanism by which a record passes: libspf2 does not tell, so its way through the terms is
 * gone once more, with what each has come to. Returns NULL when the record does not pass; *domain
 * is whose record it is in.
 */
static const struct spf_term *find_pass(const struct evaluation *now, size_t number,
                                        const char **domain) {
    const struct spf_record *record = now->records[number - 1];
    size_t at = now->first[number - 1];
    for (size_t i = 0; i < record->n; i++) {
        const struct spf_term *term = &record->terms[i], *by = term;
        const struct token *token = NULL;
        bool matched = !spf_term_looks_up(term);
        *domain = now->domains[number - 1];
        if (matched)
            matched = spf_term_settles(term, &now->terms.values.client);
        else if ((token = token_from(now, at, term)) == NULL)
            return NULL;
        else if (term->mechanism != MECHANISM_INCLUDE)
            matched = token->matched;
        else
            matched = token->record > 0 && (by = find_pass(now, token->record, domain)) != NULL;
        if (matched)
            return term->match == RESULT_PASS ? by : NULL;
        at = token == NULL ? at : (size_t)(token - now->tokens) + 1;
    }
    const struct token *redirect = record->redirect == NULL ? NULL : token_from(now, at, NULL);
    return redirect == NULL || redirect->record == 0 ? NULL
                                                     : find_pass(now, redirect->record, domain);
}

/* What the answer says of the mechanism that has let the client pass. */
static void tell_pass(const struct evaluation *now, struct spf_answer *answer) {
    const char *domain = "";
    const struct spf_term *term = now->n_records == 0 ? NULL : find_pass(now, 1, &domain);
    if (term == NULL)
        return;
    answer->prefix = spf_term_prefix(term, &now->terms.values.client);
    /* both are zeros to their end; snprintf() costs more than the rest of a pass */
    strncpy(answer->term, term->text, sizeof answer->term - 1);
    strncpy(answer->term_domain, domain, sizeof answer->term_domain - 1);
}

/* A domain that check_host() can be asked about (RFC 7208 4.3): two labels or more, each good. */
static bool is_domain(const char *domain) {
    size_t label = 0, dots = 0, len = strlen(domain);
    if (len == 0 || len > SPF_DOMAIN_MAX || domain[0] == '[')
        return false;
    for (const char *p = domain; *p != '\0'; p++) {
        if (*p == '.' && label == 0)
            return false;
        label = *p == '.' ? 0 : label + 1;
        dots += *p == '.' && p[1] != '\0';
        if (label > 63)
            return false;
    }
    return dots > 0;
}

static void evaluation_clear(struct evaluation *now) {
    for (size_t i = 0; i < now->n_records; i++) {
        spf_record_clear(now->records[i]);
        free(now->records[i]);
        free(now->domains[i]);
    }
}

void spf_check(struct spf *spf, const struct spf_query *query, struct spf_answer *answer) {
    char local[320] = "postmaster", domain[SPF_DOMAIN_MAX + 1];
    const char *helo = query->helo == NULL ? "" : query->helo;
    const char *receiver = query->receiver == NULL ? "unknown" : query->receiver;
    const char *at = query->sender == NULL ? NULL : strrchr(query->sender, '@');
    const char *name = query->sender == NULL ? helo : at == NULL ? "" : at + 1;
    *answer = (struct spf_answer){.result = RESULT_NONE};
    snprintf(answer->domain, sizeof answer->domain, "%s", name);
    if (!is_domain(name) || query->client.family == IP_NONE)
        return;
    snprintf(domain, sizeof domain, "%s", name);
    if (domain[strlen(domain) - 1] == '.')
        domain[strlen(domain) - 1] = '\0';
    if (at != NULL && at > query->sender)
        snprintf(local, sizeof local, "%.*s", (int)(at - query->sender), query->sender);
    struct evaluation now; /* 8 KiB, most of it tokens that few records need */
    now.terms = (struct spf_evaluation){
        .dns = spf->dns,
        .shares = spf->shares,
        .deadline = query->deadline != 0 ? query->deadline : clock_now_ms() + spf->timeout,
        .values = {.client = query->client,
                   .local = local,
                   .sender_domain = domain,
                   .helo = helo,
                   .receiver = receiver,
                   .now = (int64_t)time(NULL)},
        .trace = query->trace,
        .trace_context = query->trace_context};
    now.n_tokens = now.n_records = 0;
    now.exp = now.exp_domain = NULL;
    const struct spf_engine_source source = {&now, give_record, give_match};
    add_token(&now, (struct token){.domain = domain, .governs = true});
    answer->result = spf_engines_run(spf->engines, &source);
    if (now.terms.failed)
        answer->result = now.terms.error;
    now.terms.depth = 0;
    answer->lookups = now.terms.lookups;
    answer->voids = now.terms.voids;
    if (answer->result == RESULT_PASS)
        tell_pass(&now, answer);
    spf_note(&now.terms, "%s: %s%s%s (look-ups %u of %d, void %u of %d)", domain,
             spf_result_name(answer->result), now.terms.failed ? ": " : "", now.terms.problem,
             now.terms.lookups, SPF_LOOKUPS_MAX, now.terms.voids, SPF_VOIDS_MAX);
    if (answer->result == RESULT_FAIL && now.exp != NULL)
        spf_explain(&now.terms, now.exp, now.exp_domain, answer->explanation,
                    sizeof answer->explanation);
    if (answer->result == now.terms.error && now.terms.failed)
        snprintf(answer->problem, sizeof answer->problem, "%s", now.terms.problem);
    evaluation_clear(&now);
    shares_give(spf->shares, &now.terms.share);
}

enum spf_survey spf_survey(struct spf *spf, const char *domain, int64_t deadline,
                           spf_take_term *take, void *context, struct why *why) {
    if (!is_domain(domain))
        return SPF_SURVEY_NO_NAME;
    return survey_domain(spf->dns, domain, deadline, take, context, why);
}
