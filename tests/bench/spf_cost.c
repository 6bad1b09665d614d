/*
 * What one SPF evaluation costs by Gatepost's spf.h or by libspf2 as its manual has it, both on the
 * name servers of resolv.conf. Usage: spf_cost gatepost|libspf2 warm|cold SECONDS; reads lines
 * "CLIENT HELO SENDER" and prints for each "RESULT CPU_US WALL_US", means of one evaluation over
 * that time. Warm: libspf2 with its cache of the DNS; cold: without one. Gatepost always has its
 * own: the name server decides by its TTL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>

#include <spf2/spf.h>

#include "gatepost/spf/spf.h"

struct question {
    char client[50], helo[100], sender[200];
};

/* Who evaluates; the name of the result. */
typedef const char *evaluate(void *with, const struct question *question);

static const char *by_gatepost(void *with, const struct question *question) {
    struct spf_query query = {.helo = question->helo, .sender = question->sender};
    struct spf_answer answer;
    ip_parse(question->client, strlen(question->client), &query.client);
    spf_check(with, &query, &answer);
    return spf_result_name(answer.result);
}

static const char *by_libspf2(void *with, const struct question *question) {
    SPF_request_t *request = SPF_request_new(with);
    SPF_response_t *response = NULL;
    SPF_request_set_ipv4_str(request, question->client);
    SPF_request_set_helo_dom(request, question->helo);
    SPF_request_set_env_from(request, question->sender);
    SPF_request_query_mailfrom(request, &response);
    const char *result = SPF_strresult(SPF_response_result(response));
    SPF_response_free(response);
    SPF_request_free(request);
    return result;
}

static double microseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Behind one evaluation that is not counted: what is made once, and fills the cache if any. */
static void measure(evaluate *check, void *with, const struct question *question, double seconds) {
    const char *result = check(with, question);
    unsigned long n = 0;
    double cpu = microseconds(CLOCK_PROCESS_CPUTIME_ID), begin = microseconds(CLOCK_MONOTONIC);
    double wall = 0;
    for (unsigned long batch = 1; wall < seconds * 1e6; batch = batch < 64 ? 2 * batch : batch) {
        for (unsigned long i = 0; i < batch; i++)
            check(with, question);
        n += batch;
        wall = microseconds(CLOCK_MONOTONIC) - begin;
    }
    cpu = microseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%s %.3f %.3f\n", result, cpu / (double)n, wall / (double)n);
}

static void measure_all(evaluate *check, void *with, double seconds) {
    struct question question;
    while (scanf("%49s %99s %199s", question.client, question.helo, question.sender) == 3)
        measure(check, with, &question, seconds);
}

int main(int argc, char **argv) {
    bool warm = argc == 4 && strcmp(argv[2], "warm") == 0;
    if (argc != 4 || (!warm && strcmp(argv[2], "cold") != 0)) {
        fputs("usage: spf_cost gatepost|libspf2 warm|cold SECONDS\n", stderr);
        return 2;
    }
    if (strcmp(argv[1], "libspf2") == 0) {
        SPF_server_t *server = SPF_server_new(warm ? SPF_DNS_CACHE : SPF_DNS_RESOLV, 0);
        measure_all(by_libspf2, server, atof(argv[3]));
        SPF_server_free(server);
        return 0;
    }
    const struct spf_settings settings = {.timeout = 20000};
    struct spf *spf;
    struct why why;
    if (spf_open(&settings, &spf, &why) != 0) {
        fprintf(stderr, "spf_cost: %s\n", why.text);
        return 1;
    }
    measure_all(by_gatepost, spf, atof(argv[3]));
    spf_release(spf);
    return 0;
}
