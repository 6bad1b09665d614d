/*
 * SPF by libspf2. libspf2 decides in which order terms are asked and what a match, an include and
 * a redirect come to; a stranger's octets never reach it. Every record is parsed by spf_record.c
 * and rewritten into one that libspf2 reads right: each term becomes `exists:tN.q`, `include:tN.q`
 * or `redirect=tN.q`, and when libspf2 looks up tN.q, spf_terms.c answers for the term behind it.
 * Owns everything that names libspf2.
 */
#include "gatepost/spf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include <arpa/nameser.h>
#include <netinet/in.h>

#include <spf2/spf.h>

#include "gatepost/clock.h"
#include "gatepost/dns.h"
#include "gatepost/spf_terms.h"
#include "gatepost/textbuf.h"

/*
 * Terms that libspf2 may ask for in one evaluation: more than the ten that may look things up are
 * never put into a record, so these are enough, and a rewritten record stays below 511 octets.
 */
#define TOKENS_MAX 160
#define REWRITTEN_MAX 400

/* Evaluations under way at the most: a dead resolver must not pile up threads without bound. */
#define UNDER_WAY_MAX 256

/* A libspf2 server and the hook through which it asks; serves one evaluation at a time. */
struct engine {
    SPF_dns_server_t hook;
    SPF_server_t *server;
    struct engine *next;
};

struct spf {
    struct dns *dns;
    int64_t timeout;
    atomic_uint references, under_way;
    pthread_mutex_t lock;
    struct engine *idle; /* under lock; as many as evaluations were ever under way at once */
};

/* What stands behind a name tN.q. */
struct token {
    const struct spf_term *term; /* NULL for the first record and a redirect's */
    char *domain;                /* the current domain of the term; of a record, its own */
    const char *redirect;        /* of a redirect: its unexpanded target */
    bool governs;                /* its record's explanation is the message's */
    unsigned depth;              /* of includes */
};

/* One evaluation; the hook of its libspf2 server. */
struct evaluation {
    struct spf_evaluation terms;
    struct token tokens[TOKENS_MAX];
    size_t n_tokens;
    struct spf_record *records[SPF_LOOKUPS_MAX + 2]; /* fetched so far; terms point into them */
    char *domains[SPF_LOOKUPS_MAX + 2];              /* theirs */
    size_t n_records;
    const char *exp, *exp_domain; /* of the record that governs */
};

int spf_open(const struct spf_settings *settings, struct spf **out, char *why, size_t why_size) {
    struct spf *spf = calloc(1, sizeof *spf);
    if (spf == NULL) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    atomic_init(&spf->references, 1);
    spf->timeout = settings->timeout;
    pthread_mutex_init(&spf->lock, NULL);
    if (dns_open(settings->nameservers, settings->n_nameservers, &spf->dns, why, why_size) != 0) {
        free(spf);
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
    while (spf->idle != NULL) {
        struct engine *engine = spf->idle;
        spf->idle = engine->next;
        SPF_server_free(engine->server);
        free(engine);
    }
    pthread_mutex_destroy(&spf->lock);
    dns_free(spf->dns);
    free(spf);
}

static size_t add_token(struct evaluation *now, struct token token) {
    if (now->n_tokens == TOKENS_MAX) {
        spf_fail(&now->terms, RESULT_PERMERROR, "more than %d terms", TOKENS_MAX);
        return TOKENS_MAX - 1;
    }
    now->tokens[now->n_tokens] = token;
    return now->n_tokens++;
}

/* The token of a name tN.q, NULL when it is none of ours. */
static struct token *token_of(struct evaluation *now, const char *name) {
    unsigned long at;
    char *end;
    if (name == NULL || name[0] != 't')
        return NULL;
    at = strtoul(name + 1, &end, 10);
    return end == name + 1 || strcmp(end, ".q") != 0 || at >= now->n_tokens ? NULL
                                                                            : &now->tokens[at];
}

/*
 * Rewrites a record for libspf2. Terms on addresses are settled here: one that does not match is
 * left out, one that does ends the record. So is everything behind the eleventh term that looks
 * things up, which is refused before libspf2 could come there.
 */
static void rewrite(struct evaluation *now, const struct spf_record *record, char *domain,
                    const struct token *asked, char *out, size_t size) {
    static const char qualifiers[] = {
        [RESULT_NEUTRAL] = '?', [RESULT_PASS] = '+', [RESULT_SOFTFAIL] = '~', [RESULT_FAIL] = '-'};
    struct textbuf buf;
    unsigned lookups = now->terms.lookups;
    textbuf_init(&buf, out, size);
    textbuf_puts(&buf, "v=spf1");
    for (size_t i = 0; i < record->n; i++) {
        const struct spf_term *term = &record->terms[i];
        char qualifier = qualifiers[term->match];
        bool address = term->mechanism == MECHANISM_IP4 || term->mechanism == MECHANISM_IP6;
        if (term->mechanism == MECHANISM_ALL ||
            (address && spf_term_matches(&now->terms, term, domain) == 1)) {
            textbuf_printf(&buf, " %call", qualifier);
            return;
        }
        if (address)
            continue;
        size_t at = add_token(
            now, (struct token){.term = term, .domain = domain, .depth = now->terms.depth});
        textbuf_printf(&buf, " %c%s:t%zu.q", qualifier,
                       term->mechanism == MECHANISM_INCLUDE ? "include" : "exists", at);
        if (++lookups > SPF_LOOKUPS_MAX)
            return;
    }
    if (record->redirect != NULL) {
        size_t at = add_token(now, (struct token){.domain = domain,
                                                  .redirect = record->redirect,
                                                  .governs = asked->governs,
                                                  .depth = now->terms.depth});
        textbuf_printf(&buf, " redirect=t%zu.q", at);
    }
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

/* libspf2 wants the record of request->cur_dom, a token. */
static SPF_errcode_t hook_get_spf(SPF_server_t *server, SPF_request_t *request,
                                  SPF_response_t *response, SPF_record_t **out) {
    struct evaluation *now = server->resolver->hook;
    const struct token *found = token_of(now, request->cur_dom);
    char domain[SPF_DOMAIN_MAX + 1], text[REWRITTEN_MAX];
    struct spf_record record;
    *out = NULL;
    if (found == NULL || now->terms.failed)
        return SPF_E_DNS_ERROR;
    const struct token token = *found; /* rewriting adds tokens */
    now->terms.depth = token.depth;
    if (record_domain(now, &token, domain) != 0)
        return SPF_E_DNS_ERROR;
    if (token.term != NULL || token.redirect != NULL)
        spf_note(&now->terms, "  %s%s (look-up %u of %d)",
                 token.redirect != NULL ? "redirect=" : token.term->text,
                 token.redirect != NULL ? token.redirect : "", now->terms.lookups, SPF_LOOKUPS_MAX);
    now->terms.depth += token.term != NULL;
    int rc = spf_fetch(&now->terms, domain, &record);
    if (rc == 0 && token.redirect == NULL && token.term == NULL)
        return SPF_E_NOT_SPF;
    if (rc == 0) /* RFC 7208 5.2, 6.1: an include or redirect without a record */
        rc = spf_fail(&now->terms, RESULT_PERMERROR, "%.100s has no SPF record", domain);
    if (rc < 0 || keep(now, &record, domain) != 0)
        return SPF_E_DNS_ERROR;
    char *kept_domain = now->domains[now->n_records - 1];
    const struct spf_record *kept = now->records[now->n_records - 1];
    if (token.governs) {
        now->exp = kept->exp;
        now->exp_domain = kept_domain;
    }
    rewrite(now, kept, kept_domain, &token, text, sizeof text);
    return SPF_record_compile(server, response, out, text);
}

/* libspf2 wants to know whether a term matches: any A record says yes. */
static SPF_dns_rr_t *hook_lookup(SPF_dns_server_t *server, const char *name, ns_type type,
                                 int should_cache) {
    struct evaluation *now = server->hook;
    const struct token *token = token_of(now, name);
    int rc = 0;
    (void)should_cache;
    if (now->terms.failed)
        rc = -1;
    else if (type == ns_t_a && token != NULL && token->term != NULL) {
        now->terms.depth = token->depth;
        rc = spf_term_matches(&now->terms, token->term, token->domain);
    }
    SPF_dns_rr_t *rr = SPF_dns_rr_new_init(server, name, type, 0,
                                           rc > 0    ? NETDB_SUCCESS
                                           : rc == 0 ? NO_DATA
                                                     : TRY_AGAIN);
    if (rr != NULL && rc > 0 &&
        SPF_dns_rr_buf_realloc(rr, 0, sizeof(SPF_dns_rr_data_t)) == SPF_E_SUCCESS) {
        rr->rr[0]->a.s_addr = htonl(INADDR_LOOPBACK);
        rr->num_rr = 1;
    }
    return rr;
}

/* Explanations are spf_terms.c's business; libspf2 gets none. */
static SPF_errcode_t hook_get_exp(SPF_server_t *server, const char *domain, char **text,
                                  size_t *len) {
    (void)server;
    (void)domain;
    (void)text;
    (void)len;
    return SPF_E_NOT_SPF;
}

static enum spf_result map_result(const struct evaluation *now, SPF_result_t result) {
    if (now->terms.failed)
        return now->terms.error;
    switch (result) {
    case SPF_RESULT_NONE:
        return RESULT_NONE;
    case SPF_RESULT_NEUTRAL:
        return RESULT_NEUTRAL;
    case SPF_RESULT_PASS:
        return RESULT_PASS;
    case SPF_RESULT_SOFTFAIL:
        return RESULT_SOFTFAIL;
    case SPF_RESULT_FAIL:
        return RESULT_FAIL;
    case SPF_RESULT_TEMPERROR:
        return RESULT_TEMPERROR;
    case SPF_RESULT_PERMERROR:
    case SPF_RESULT_INVALID:
        break;
    }
    return RESULT_PERMERROR;
}

/*
 * The evaluation proper. SPF_request_query_mailfrom() would let 127/8 and ::1 pass unseen, so the
 * two steps behind it are called here.
 */
static enum spf_result evaluate(struct evaluation *now, SPF_server_t *server,
                                SPF_request_t *request) {
    SPF_response_t *response = SPF_response_new(request);
    SPF_record_t *record = NULL;
    enum spf_result result = RESULT_TEMPERROR;
    if (response == NULL)
        return result;
    request->cur_dom = request->env_from_dp;
    SPF_errcode_t error = SPF_server_get_record(server, request, response, &record);
    if (error == SPF_E_SUCCESS) {
        response->spf_record_exp = record;
        SPF_record_interpret(record, request, response, 0);
        response->spf_record_exp = NULL;
        result = map_result(now, SPF_response_result(response));
    } else {
        result = error == SPF_E_NOT_SPF && !now->terms.failed ? RESULT_NONE
                                                              : map_result(now, SPF_RESULT_INVALID);
    }
    if (record != NULL)
        SPF_record_free(record);
    SPF_response_free(response);
    return result;
}

/* An idle engine or a new one, for the evaluation; NULL when there is no memory. */
static struct engine *engine_take(struct spf *spf, struct evaluation *now) {
    pthread_mutex_lock(&spf->lock);
    struct engine *engine = spf->idle;
    if (engine != NULL)
        spf->idle = engine->next;
    pthread_mutex_unlock(&spf->lock);
    if (engine == NULL) {
        engine = calloc(1, sizeof *engine);
        if (engine == NULL)
            return NULL;
        engine->hook.lookup = hook_lookup;
        engine->hook.get_spf = hook_get_spf;
        engine->hook.get_exp = hook_get_exp;
        engine->hook.name = "gatepost";
        engine->server = SPF_server_new_dns(&engine->hook, 0);
        if (engine->server == NULL) {
            free(engine);
            return NULL;
        }
        engine->server->max_dns_mech = 1000; /* the limit is spf_terms.c's, for the evaluation */
    }
    engine->hook.hook = now;
    return engine;
}

static void engine_give(struct spf *spf, struct engine *engine) {
    engine->hook.hook = NULL;
    pthread_mutex_lock(&spf->lock);
    engine->next = spf->idle;
    spf->idle = engine;
    pthread_mutex_unlock(&spf->lock);
}

/* libspf2 is told of a client and a sender that say nothing: the terms are not asked by it. */
static enum spf_result run_libspf2(struct spf *spf, struct evaluation *now) {
    struct engine *engine = engine_take(spf, now);
    enum spf_result result = RESULT_TEMPERROR;
    struct in_addr client = {.s_addr = htonl(INADDR_LOOPBACK)};
    if (engine == NULL)
        return result;
    SPF_request_t *request = SPF_request_new(engine->server);
    if (request != NULL && SPF_request_set_helo_dom(request, "t0.q") == SPF_E_SUCCESS &&
        SPF_request_set_env_from(request, "x@t0.q") == 0) {
        SPF_request_set_ipv4(request, client);
        result = evaluate(now, engine->server, request);
    }
    if (request != NULL)
        SPF_request_free(request);
    engine_give(spf, engine);
    return result;
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
    if (atomic_fetch_add(&spf->under_way, 1) >= UNDER_WAY_MAX) {
        atomic_fetch_sub(&spf->under_way, 1);
        answer->result = RESULT_TEMPERROR;
        snprintf(answer->problem, sizeof answer->problem, "%d evaluations are under way",
                 UNDER_WAY_MAX);
        return;
    }
    struct evaluation now = {.terms = {.dns = spf->dns,
                                       .deadline = clock_now_ms() + spf->timeout,
                                       .values = {.client = query->client,
                                                  .local = local,
                                                  .sender_domain = domain,
                                                  .helo = helo,
                                                  .receiver = "unknown",
                                                  .now = (int64_t)time(NULL)},
                                       .trace = query->trace,
                                       .trace_context = query->trace_context}};
    add_token(&now, (struct token){.domain = domain, .governs = true});
    answer->result = run_libspf2(spf, &now);
    now.terms.depth = 0;
    spf_note(&now.terms, "%s: %s%s%s (look-ups %u of %d, void %u of %d)", domain,
             spf_result_name(answer->result), now.terms.failed ? ": " : "", now.terms.problem,
             now.terms.lookups, SPF_LOOKUPS_MAX, now.terms.voids, SPF_VOIDS_MAX);
    if (answer->result == RESULT_FAIL && now.exp != NULL)
        spf_explain(&now.terms, now.exp, now.exp_domain, answer->explanation,
                    sizeof answer->explanation);
    if (answer->result == now.terms.error && now.terms.failed)
        snprintf(answer->problem, sizeof answer->problem, "%s", now.terms.problem);
    evaluation_clear(&now);
    atomic_fetch_sub(&spf->under_way, 1);
}
