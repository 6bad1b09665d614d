/*
 * Fuzz target for comparison: libspf2 as its manual has it, with nothing in front of it, on the
 * same name server as fuzz_spf.c. It is here to show that the fuzzer finds what the guard is for;
 * no test runs it. corpus/fuzz_spf/explanation-of-127-macros ends it at once:
 * SPF_record_compile_macro() of Debian 12's libspf2 copies what follows 127 macros over its stack,
 * the canary first and then the return address, without any bound.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include <arpa/nameser.h>
#include <netinet/in.h>

#include <spf2/spf.h>

#include "fake_dns.h"

/* libspf2 counts look-ups per include; a tree of them is no finding here. */
#define QUERIES_MAX 2000

static void fill(SPF_dns_rr_data_t *data, enum dns_type type, const struct dns_record *record) {
    switch (type) {
    case DNS_A:
        memcpy(&data->a, record->data, 4);
        break;
    case DNS_AAAA:
        memcpy(&data->aaaa, record->data, 16);
        break;
    case DNS_MX:
        memcpy(data->mx, record->data, record->len + 1);
        break;
    case DNS_PTR:
        memcpy(data->ptr, record->data, record->len + 1);
        break;
    case DNS_TXT:
        memcpy(data->txt, record->data, record->len + 1);
        break;
    }
}

static SPF_dns_rr_t *lookup(SPF_dns_server_t *server, const char *name, ns_type type,
                            int should_cache) {
    struct dns_answer *answer = NULL;
    bool known = type == ns_t_a || type == ns_t_aaaa || type == ns_t_mx || type == ns_t_ptr ||
                 type == ns_t_txt;
    enum dns_status status = DNS_ABSENT; /* of the SPF type, which is asked for first */
    (void)should_cache;
    if (known && fake_dns_queries() < QUERIES_MAX)
        status = fake_dns_query(name, (enum dns_type)type, &answer);
    SPF_dns_rr_t *rr = SPF_dns_rr_new_init(server, name, type, 0,
                                           status == DNS_FOUND    ? NETDB_SUCCESS
                                           : status == DNS_ABSENT ? HOST_NOT_FOUND
                                                                  : TRY_AGAIN);
    for (size_t i = 0; status == DNS_FOUND && i < answer->n; i++) {
        size_t size = answer->records[i].len + 1;
        if (size < sizeof(SPF_dns_rr_data_t))
            size = sizeof(SPF_dns_rr_data_t);
        if (SPF_dns_rr_buf_realloc(rr, (int)i, size) != SPF_E_SUCCESS)
            break;
        fill(rr->rr[i], (enum dns_type)type, &answer->records[i]);
        rr->num_rr = (int)i + 1;
    }
    dns_answer_release(answer);
    return rr;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    SPF_dns_server_t dns = {.lookup = lookup, .name = "fuzz"};
    SPF_response_t *response = NULL;
    struct fake_scene scene;
    fake_dns_load(data, size, &scene);
    SPF_server_t *server = SPF_server_new_dns(&dns, 0);
    SPF_request_t *request = SPF_request_new(server);
    if (scene.client.family == IP_V4) {
        struct in_addr address;
        memcpy(&address, scene.client.bytes, 4);
        SPF_request_set_ipv4(request, address);
    } else {
        struct in6_addr address;
        memcpy(&address, scene.client.bytes, 16);
        SPF_request_set_ipv6(request, address);
    }
    SPF_request_set_helo_dom(request, scene.helo == NULL ? "c.example" : scene.helo);
    SPF_request_set_env_from(request, scene.sender == NULL ? "x@c.example" : scene.sender);
    SPF_request_query_mailfrom(request, &response);
    if (response != NULL) {
        SPF_response_get_explanation(response);
        SPF_response_free(response);
    }
    SPF_request_free(request);
    SPF_server_free(server);
    return 0;
}
