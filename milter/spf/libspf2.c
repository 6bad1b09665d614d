/*
 * libspf2. Owns everything that names it: its servers, its hooks and its results. It knows nothing
 * of the DNS, of a client or of a sender, and no stranger's octets come here; what the names in its
 * records stand for is spf.c's business.
 */
#include "libspf2.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>

#include <arpa/nameser.h>
#include <netinet/in.h>

#include <spf2/spf.h>

/* A libspf2 server and the hook through which it asks; serves one evaluation at a time. */
struct engine {
    SPF_dns_server_t hook; /* hook.hook: the spf_engine_source of the evaluation */
    SPF_server_t *server;
    SPF_request_t *request; /* the same for every evaluation */
    struct engine *next;
};

struct spf_engines {
    pthread_mutex_t lock;
    struct engine *idle; /* under lock; as many as there ever were evaluations at once */
};

/* libspf2 wants the record of request->cur_dom. */
static SPF_errcode_t hook_get_spf(SPF_server_t *server, SPF_request_t *request,
                                  SPF_response_t *response, SPF_record_t **out) {
    const struct spf_engine_source *source = server->resolver->hook;
    char text[SPF_ENGINE_RECORD_SIZE];
    *out = NULL;
    int rc = source->record(source->context, request->cur_dom, text);
    if (rc <= 0)
        return rc < 0 ? SPF_E_DNS_ERROR : SPF_E_NOT_SPF;
    return SPF_record_compile(server, response, out, text);
}

/* libspf2 wants to know whether a term matches: any A record says yes. */
static SPF_dns_rr_t *hook_lookup(SPF_dns_server_t *server, const char *name, ns_type type,
                                 int should_cache) {
    const struct spf_engine_source *source = server->hook;
    (void)should_cache;
    int rc = type == ns_t_a ? source->matches(source->context, name) : 0;
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

/* Explanations are terms.c's business; libspf2 gets none. */
static SPF_errcode_t hook_get_exp(SPF_server_t *server, const char *domain, char **text,
                                  size_t *len) {
    (void)server;
    (void)domain;
    (void)text;
    (void)len;
    return SPF_E_NOT_SPF;
}

static void engine_free(struct engine *engine) {
    if (engine->request != NULL)
        SPF_request_free(engine->request);
    if (engine->server != NULL)
        SPF_server_free(engine->server);
    free(engine);
}

/* libspf2 writes a comment for every result: it is to have next to nothing to say in it. */
static int be_brief(SPF_server_t *server) {
    SPF_response_t *response = NULL;
    SPF_errcode_t error = SPF_server_set_explanation(server, "-", &response);
    if (response != NULL)
        SPF_response_free(response);
    return error == SPF_E_SUCCESS ? SPF_server_set_rec_dom(server, "q") : error;
}

static struct engine *engine_new(void) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return NULL;
    engine->hook.lookup = hook_lookup;
    engine->hook.get_spf = hook_get_spf;
    engine->hook.get_exp = hook_get_exp;
    engine->hook.name = "gatepost";
    engine->server = SPF_server_new_dns(&engine->hook, 0);
    if (engine->server != NULL)
        engine->request = SPF_request_new(engine->server);
    if (engine->request == NULL || be_brief(engine->server) != SPF_E_SUCCESS ||
        SPF_request_set_env_from(engine->request, "x@" SPF_ENGINE_FIRST) != 0) {
        engine_free(engine);
        return NULL;
    }
    engine->server->max_dns_mech = 1000; /* the limit is terms.c's, for the evaluation */
    SPF_request_set_ipv6(engine->request, in6addr_any); /* says nothing, and is quick to print */
    return engine;
}

struct spf_engines *spf_engines_new(void) {
    struct spf_engines *engines = calloc(1, sizeof *engines);
    if (engines != NULL)
        pthread_mutex_init(&engines->lock, NULL);
    return engines;
}

void spf_engines_free(struct spf_engines *engines) {
    if (engines == NULL)
        return;
    while (engines->idle != NULL) {
        struct engine *engine = engines->idle;
        engines->idle = engine->next;
        engine_free(engine);
    }
    pthread_mutex_destroy(&engines->lock);
    free(engines);
}

/* An idle engine or a new one; NULL when there is no memory. */
static struct engine *engine_take(struct spf_engines *engines) {
    pthread_mutex_lock(&engines->lock);
    struct engine *engine = engines->idle;
    if (engine != NULL)
        engines->idle = engine->next;
    pthread_mutex_unlock(&engines->lock);
    return engine != NULL ? engine : engine_new();
}

static void engine_give(struct spf_engines *engines, struct engine *engine) {
    pthread_mutex_lock(&engines->lock);
    engine->next = engines->idle;
    engines->idle = engine;
    pthread_mutex_unlock(&engines->lock);
}

/*
 * What is wrong with a record is terms.c's to say (spf_fail). The records that libspf2 sees are
 * ours and right: an error that it finds itself means that memory ran out, and is never the
 * domain's fault.
 */
static enum spf_result map_result(SPF_result_t result) {
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
    return RESULT_TEMPERROR;
}

/*
 * The evaluation proper. SPF_request_query_mailfrom() would let 127/8 and ::1 pass unseen, so the
 * two steps that it consists of are called here.
 */
static enum spf_result evaluate(SPF_server_t *server, SPF_request_t *request) {
    SPF_response_t *response = SPF_response_new(request);
    SPF_record_t *record = NULL;
    enum spf_result result = RESULT_TEMPERROR;
    if (response == NULL)
        return RESULT_TEMPERROR;
    request->cur_dom = request->env_from_dp;
    SPF_errcode_t error = SPF_server_get_record(server, request, response, &record);
    if (error == SPF_E_SUCCESS) {
        response->spf_record_exp = record;
        SPF_record_interpret(record, request, response, 0);
        response->spf_record_exp = NULL;
        result = map_result(SPF_response_result(response));
    } else if (error == SPF_E_NOT_SPF) {
        result = RESULT_NONE;
    }
    if (record != NULL)
        SPF_record_free(record);
    SPF_response_free(response);
    return result;
}

enum spf_result spf_engines_run(struct spf_engines *engines,
                                const struct spf_engine_source *source) {
    struct engine *engine = engine_take(engines);
    if (engine == NULL)
        return RESULT_TEMPERROR;
    engine->hook.hook = (void *)source;
    enum spf_result result = evaluate(engine->server, engine->request);
    engine->hook.hook = NULL;
    engine_give(engines, engine);
    return result;
}
