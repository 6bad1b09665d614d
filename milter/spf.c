/*
 * SPF by libspf2. Owns everything that names libspf2: its DNS hook onto dns.h, the mapping of its
 * results, and what must be kept away from it.
 */
#include "gatepost/spf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include <arpa/nameser.h>
#include <netinet/in.h>

#include <spf2/spf.h>

#include "gatepost/clock.h"
#include "gatepost/dns.h"
#include "gatepost/metrics.h"

/* Queries of one evaluation: ten terms, the costliest of them mx with ten hosts each. */
#define QUERIES_MAX 120

struct spf {
    struct dns *dns;
    int64_t timeout;
};

/* One evaluation; the hook of its libspf2 server. */
struct evaluation {
    struct dns *dns;
    int64_t deadline;
    unsigned queries;
    char problem[200];
};

int spf_open(const struct spf_settings *settings, struct spf **out, char *why, size_t why_size) {
    struct spf *spf = calloc(1, sizeof *spf);
    if (spf == NULL) {
        snprintf(why, why_size, "no memory");
        return -1;
    }
    spf->timeout = settings->timeout;
    if (dns_open(settings->nameservers, settings->n_nameservers, &spf->dns, why, why_size) != 0) {
        free(spf);
        return -1;
    }
    *out = spf;
    return 0;
}

void spf_free(struct spf *spf) {
    if (spf == NULL)
        return;
    dns_free(spf->dns);
    free(spf);
}

/*
 * libspf2 overruns its buffers, or silently drops the end of a record, when the compiled form comes
 * near 511 octets. A record whose generous estimate does is withheld from it.
 */
static bool is_tame(const char *record) {
    size_t compiled = 0;
    while (*record != '\0') {
        const char *mechanism = record + strspn(record, "+-~?");
        size_t len = strcspn(record, " ");
        bool address =
            strncasecmp(mechanism, "ip4:", 4) == 0 || strncasecmp(mechanism, "ip6:", 4) == 0;
        compiled += 8 + (address ? 16 : len);
        for (size_t i = 0; i < len; i++)
            compiled += record[i] == '%' ? 8 : 0;
        record += len + strspn(record + len, " ");
    }
    return compiled < 450;
}

static bool is_spf(const char *text) {
    return strncasecmp(text, "v=spf1", 6) == 0 && (text[6] == '\0' || text[6] == ' ');
}

/* Copies an answer into libspf2's form; what it cannot hold is left out. */
static void fill_rr(SPF_dns_rr_t *rr, const struct dns_answer *answer, struct evaluation *now) {
    for (size_t i = 0; i < answer->n; i++) {
        const char *data = answer->records[i].data;
        size_t len = answer->records[i].len;
        if (rr->rr_type == ns_t_txt && is_spf(data) && !is_tame(data)) {
            snprintf(now->problem, sizeof now->problem, "the record is too complex");
            data = "v=spf1 too-complex";
            len = strlen(data);
        }
        if (SPF_dns_rr_buf_realloc(rr, (int)i,
                                   len + 1 > sizeof(SPF_dns_rr_data_t)
                                       ? len + 1
                                       : sizeof(SPF_dns_rr_data_t)) != SPF_E_SUCCESS)
            return;
        memcpy(rr->rr[i], data, len);
        if (rr->rr_type != ns_t_a && rr->rr_type != ns_t_aaaa)
            rr->rr[i]->txt[len] = '\0';
        rr->num_rr = (int)i + 1;
    }
}

static SPF_dns_rr_t *hook_lookup(SPF_dns_server_t *server, const char *domain, ns_type type,
                                 int should_cache) {
    struct evaluation *now = server->hook;
    struct dns_answer answer = {0};
    SPF_dns_stat_t status = NO_DATA;
    int rc = 0;
    (void)should_cache;
    if (now->queries++ >= QUERIES_MAX) {
        snprintf(now->problem, sizeof now->problem, "more than %d DNS queries", QUERIES_MAX);
        rc = -1;
    } else if (type == ns_t_a || type == ns_t_aaaa || type == ns_t_mx || type == ns_t_txt ||
               type == ns_t_ptr) {
        rc = dns_query(now->dns, domain, (enum dns_type)type, now->deadline, &answer, now->problem,
                       sizeof now->problem);
        metrics_dns(rc < 0 ? OUTCOME_ERROR : OUTCOME_OK);
    }
    if (rc != 0)
        status = rc > 0 ? NETDB_SUCCESS : TRY_AGAIN;
    SPF_dns_rr_t *rr = SPF_dns_rr_new_init(server, domain, type, 0, status);
    if (rr != NULL && rc > 0)
        fill_rr(rr, &answer, now);
    dns_answer_clear(&answer);
    return rr;
}

/* libspf2's own handling of explanations is not safe; it gets none. */
static SPF_errcode_t hook_explanation(SPF_server_t *server, const char *domain, char **text,
                                      size_t *len) {
    (void)server;
    (void)domain;
    (void)text;
    (void)len;
    return SPF_E_NOT_SPF;
}

static enum spf_result error_result(SPF_errcode_t error) {
    if (error == SPF_E_DNS_ERROR || error == SPF_E_NO_MEMORY)
        return RESULT_TEMPERROR;
    return error == SPF_E_NOT_SPF ? RESULT_NONE : RESULT_PERMERROR;
}

static enum spf_result map_result(SPF_response_t *response, SPF_errcode_t error) {
    switch (SPF_response_result(response)) {
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
        return RESULT_PERMERROR;
    case SPF_RESULT_INVALID:
        break;
    }
    return error_result(error == SPF_E_SUCCESS ? SPF_response_errcode(response) : error);
}

static void set_client(SPF_request_t *request, const struct ip_address *client) {
    if (client->family == IP_V4) {
        struct in_addr v4;
        memcpy(&v4, client->bytes, sizeof v4);
        SPF_request_set_ipv4(request, v4);
    } else {
        struct in6_addr v6;
        memcpy(&v6, client->bytes, sizeof v6);
        SPF_request_set_ipv6(request, v6);
    }
}

/* A record in error is to libspf2 none at all; only its messages tell the two apart. */
static SPF_errcode_t record_error(SPF_response_t *response, SPF_errcode_t error) {
    for (int i = 0; error == SPF_E_NOT_SPF && i < SPF_response_messages(response); i++)
        error = SPF_error_code(SPF_response_message(response, i));
    return error;
}

/*
 * The evaluation proper. SPF_request_query_mailfrom() would let 127/8 and ::1 pass unseen, so the
 * two steps behind it are called here.
 */
static enum spf_result evaluate(SPF_server_t *server, SPF_request_t *request,
                                struct spf_answer *answer) {
    SPF_response_t *response = SPF_response_new(request);
    SPF_record_t *record = NULL;
    enum spf_result result = RESULT_TEMPERROR;
    if (response == NULL)
        return result;
    request->cur_dom = request->env_from_dp;
    SPF_errcode_t error = SPF_server_get_record(server, request, response, &record);
    if (error != SPF_E_SUCCESS) {
        result = error_result(record_error(response, error));
    } else {
        response->spf_record_exp = record;
        error = SPF_record_interpret(record, request, response, 0);
        result = map_result(response, error);
    }
    if (result == RESULT_PERMERROR && SPF_response_messages(response) > 0) {
        SPF_error_t *first = SPF_response_message(response, 0);
        snprintf(answer->problem, sizeof answer->problem, "%s", SPF_error_message(first));
    }
    if (record != NULL)
        SPF_record_free(record);
    SPF_response_free(response);
    return result;
}

/* A domain that check_host() can be asked about (RFC 7208 4.3). */
static bool is_domain(const char *domain) {
    size_t len = strlen(domain);
    return len > 0 && len <= 255 && strchr(domain, '.') != NULL && domain[0] != '[';
}

void spf_check(struct spf *spf, const struct spf_query *query, struct spf_answer *answer) {
    struct evaluation now = {.dns = spf->dns, .deadline = clock_now_ms() + spf->timeout};
    SPF_dns_server_t hook = {
        .lookup = hook_lookup, .get_exp = hook_explanation, .name = "gatepost"};
    hook.hook = &now;
    const char *helo = query->helo == NULL ? "" : query->helo;
    const char *at = query->sender == NULL ? NULL : strrchr(query->sender, '@');
    const char *domain = query->sender == NULL ? helo : at == NULL ? "" : at + 1;
    *answer = (struct spf_answer){.result = RESULT_NONE};
    snprintf(answer->domain, sizeof answer->domain, "%s", domain);
    if (!is_domain(domain) || query->client.family == IP_NONE)
        return;
    SPF_server_t *server = SPF_server_new_dns(&hook, 0);
    SPF_request_t *request = server == NULL ? NULL : SPF_request_new(server);
    answer->result = RESULT_TEMPERROR;
    if (request != NULL) {
        set_client(request, &query->client);
        SPF_request_set_helo_dom(request, helo);
        if (SPF_request_set_env_from(request, query->sender == NULL ? helo : query->sender) == 0)
            answer->result = evaluate(server, request, answer);
    }
    if (answer->problem[0] == '\0' || now.problem[0] != '\0')
        snprintf(answer->problem, sizeof answer->problem, "%s", now.problem);
    if (request != NULL)
        SPF_request_free(request);
    if (server != NULL)
        SPF_server_free(server);
}
