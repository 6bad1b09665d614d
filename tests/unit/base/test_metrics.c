/*
 * metrics: what is counted from many threads is all there, under the pinned names.
 */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "gatepost/base/metrics.h"

#define THREADS 8
#define ROUNDS 5000

static void *count_all(void *arg) {
    const char *name = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct metrics_listener *listener = metrics_listener(name);
        metrics_session(1);
        metrics_verdict(listener, STAGE_MAIL, VERDICT_REJECT, REASON_SPF, 300);
        metrics_spf(RESULT_FAIL, 7);
        metrics_store(i % 2 ? OUTCOME_OK : OUTCOME_ERROR, 200000);
        metrics_dns(i % 2 ? DNS_ANSWERED : DNS_CACHED);
        metrics_malformed();
        metrics_session(-1);
    }
    return NULL;
}

static void test_counts_of_threads_add_up(void **state) {
    static char text[20000];
    static const char *const lines[] = {
        "gatepost_verdicts_total{stage=\"mail\",listener=\"mx\",verdict=\"reject\",reason=\"spf\"} "
        "20000\n",
        "gatepost_verdicts_total{stage=\"mail\",listener=\"a\\\"b\\\\\\n\",verdict=\"reject\","
        "reason=\"spf\"} 20000\n",
        "gatepost_verdict_seconds_bucket{stage=\"mail\",le=\"0.00025\"} 0\n",
        "gatepost_verdict_seconds_bucket{stage=\"mail\",le=\"0.0005\"} 40000\n",
        "gatepost_verdict_seconds_bucket{stage=\"mail\",le=\"+Inf\"} 40000\n",
        "gatepost_verdict_seconds_sum{stage=\"mail\"} 12\n",
        "gatepost_verdict_seconds_count{stage=\"connect\"} 0\n",
        "gatepost_sessions 0\n",
        "gatepost_store_up 1\n",
        "gatepost_store_requests_total{outcome=\"ok\"} 20001\n",
        "gatepost_store_requests_total{outcome=\"error\"} 20001\n",
        "gatepost_store_seconds_count 40002\n",
        "gatepost_spf_results_total{result=\"fail\"} 40000\n",
        "gatepost_spf_seconds_sum 2000000.28\n",
        "gatepost_spf_results_total{result=\"pass\"} 0\n",
        "gatepost_spf_seconds_bucket{le=\"0.0001\"} 40000\n",
        "gatepost_dns_queries_total{outcome=\"ok\"} 20000\n",
        "gatepost_dns_queries_total{outcome=\"cached\"} 20000\n",
        "gatepost_dns_queries_total{outcome=\"late\"} 0\n",
        "gatepost_malformed_total 40000\n",
        "# TYPE gatepost_verdicts_total counter\n",
        "gatepost_build_info{version=",
    };
    static char names[][8] = {"mx", "a\"b\\\n"};
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_all, names[i % 2]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    metrics_store(OUTCOME_ERROR, 1);
    metrics_store(OUTCOME_OK, 1);
    metrics_store_up(true);
    for (int i = 0; i < 40; i++)
        metrics_spf(RESULT_NONE, 50000000000); /* sums keep every microsecond */
    FILE *to = fmemopen(text, sizeof text, "w");
    metrics_print(to);
    fclose(to);
    for (size_t i = 0; i < COUNT(lines); i++) {
        if (strstr(text, lines[i]) == NULL)
            fail_msg("missing: %s in\n%s", lines[i], text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_of_threads_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
