/*
 * What the filter counts. Owns the counters and their text form; nobody asks it anything on the
 * way to a verdict.
 */
#include "gatepost/base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"

typedef atomic_uint_fast64_t counter;

struct metrics_listener {
    struct metrics_listener *next;
    char *name;
    enum door door;
    const char *service; /* at a door other than the MTA; a static text */
    counter verdicts[STAGES][VERDICT_KINDS][REASONS];
};

/* Upper bounds in microseconds; the last bucket has none. */
static const int64_t bounds[] = {100,   250,    500,    1000,    2500,    5000,    10000,
                                 50000, 100000, 250000, 1000000, 5000000, 10000000};
#define BUCKETS (sizeof bounds / sizeof *bounds + 1)

struct histogram {
    counter buckets[BUCKETS], sum; /* microseconds */
};

static struct {
    pthread_mutex_t lock; /* for new listeners */
    _Atomic(struct metrics_listener *) listeners;
    struct histogram verdict[STAGES], store, spf;
    counter store_requests[OUTCOMES], dns_queries[DNS_OUTCOMES], spf_results[SPF_RESULTS];
    counter malformed, log_lost, use_dropped, new_source, cache[CACHE_OUTCOMES];
    atomic_long sessions, cache_entries;
    atomic_int store_up;
    int64_t started;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void count(counter *c, uint64_t n) {
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static void observe(struct histogram *histogram, int64_t microseconds) {
    size_t i = 0;
    while (i < BUCKETS - 1 && microseconds > bounds[i])
        i++;
    count(&histogram->buckets[i], 1);
    count(&histogram->sum, microseconds > 0 ? (uint64_t)microseconds : 0);
}

static struct metrics_listener *find(const char *name, enum door door, const char *service) {
    struct metrics_listener *listener = atomic_load(&all.listeners);
    while (listener != NULL && (listener->door != door || strcmp(listener->name, name) != 0 ||
                                strcmp(listener->service, service) != 0))
        listener = listener->next;
    return listener;
}

static struct metrics_listener *find_or_make(const char *name, enum door door,
                                             const char *service) {
    const char *named = name == NULL ? "" : name;
    struct metrics_listener *listener = find(named, door, service);
    if (listener != NULL)
        return listener;
    pthread_mutex_lock(&all.lock);
    listener = find(named, door, service);
    if (listener == NULL && (listener = calloc(1, sizeof *listener)) != NULL) {
        listener->name = strdup(named);
        listener->door = door;
        listener->service = service;
        listener->next = atomic_load(&all.listeners);
        if (listener->name == NULL) {
            free(listener);
            listener = NULL;
        } else {
            atomic_store(&all.listeners, listener);
        }
    }
    pthread_mutex_unlock(&all.lock);
    return listener;
}

struct metrics_listener *metrics_listener(const char *name) {
    return find_or_make(name, DOOR_MTA, "");
}

struct metrics_listener *metrics_door(const char *name, enum door door, const char *service) {
    int known = words_find(&service_words, service, strlen(service));
    return find_or_make(name, door, known < 0 ? "" : service_words.names[known]);
}

void metrics_verdict(struct metrics_listener *listener, enum stage stage, enum verdict_kind verdict,
                     enum reason reason, int64_t microseconds) {
    if (listener != NULL)
        count(&listener->verdicts[stage][verdict][reason], 1);
    observe(&all.verdict[stage], microseconds);
}

void metrics_session(int change) {
    atomic_fetch_add_explicit(&all.sessions, change, memory_order_relaxed);
}

long metrics_sessions(void) {
    return atomic_load(&all.sessions);
}

void metrics_store(enum metrics_outcome outcome, int64_t microseconds) {
    count(&all.store_requests[outcome], 1);
    observe(&all.store, microseconds);
}

void metrics_spf(enum spf_result result, int64_t microseconds) {
    count(&all.spf_results[result], 1);
    observe(&all.spf, microseconds);
}

void metrics_dns(enum metrics_dns outcome) {
    count(&all.dns_queries[outcome], 1);
}

void metrics_malformed(void) {
    count(&all.malformed, 1);
}

void metrics_use_dropped(void) {
    count(&all.use_dropped, 1);
}

void metrics_new_source(void) {
    count(&all.new_source, 1);
}

void metrics_log_lost(uint64_t n) {
    count(&all.log_lost, n);
}

void metrics_cache(enum metrics_cache outcome, size_t n) {
    if (n > 0)
        count(&all.cache[outcome], n);
}

void metrics_cache_entries(int change) {
    atomic_fetch_add_explicit(&all.cache_entries, change, memory_order_relaxed);
}

void metrics_start(void) {
    all.started = clock_now_ms();
}

void metrics_store_up(bool up) {
    atomic_store(&all.store_up, up);
}

void metrics_read(struct metrics_now *now) {
    *now = (struct metrics_now){.started = all.started,
                                .sessions = metrics_sessions(),
                                .cache_entries = atomic_load(&all.cache_entries),
                                .store_ok = atomic_load(&all.store_requests[OUTCOME_OK]),
                                .store_failed = atomic_load(&all.store_requests[OUTCOME_ERROR]),
                                .malformed = atomic_load(&all.malformed)};
    for (struct metrics_listener *l = atomic_load(&all.listeners); l != NULL; l = l->next)
        for (int s = 0; s < STAGES; s++)
            for (int v = 0; v < VERDICT_KINDS; v++)
                for (int r = 0; r < REASONS; r++)
                    now->verdicts[v] += atomic_load(&l->verdicts[s][v][r]);
    for (int i = 0; i < CACHE_OUTCOMES; i++)
        now->cache[i] = atomic_load(&all.cache[i]);
    for (int i = 0; i < SPF_RESULTS; i++)
        now->spf[i] = atomic_load(&all.spf_results[i]);
}

static void head(FILE *to, const char *name, const char *type, const char *help) {
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value with the escapes of the format. */
static void put_label(FILE *to, const char *value) {
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            fputc('\\', to);
        fputc(*value == '\n' ? 'n' : *value, to);
    }
}

/* `label` is one whole label with its comma, or empty */
static void print_histogram(FILE *to, const char *name, const char *label,
                            struct histogram *histogram) {
    uint64_t total = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        total += atomic_load(&histogram->buckets[i]);
        if (i < BUCKETS - 1)
            fprintf(to, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, label, *label ? "," : "",
                    (double)bounds[i] / 1e6, total);
        else
            fprintf(to, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, *label ? "," : "",
                    total);
    }
    const char *open = *label ? "{" : "", *close = *label ? "}" : "";
    /* every microsecond: with fewer digits a rate would come in jumps after some days */
    fprintf(to, "%s_sum%s%s%s %.15g\n", name, open, label, close,
            (double)atomic_load(&histogram->sum) / 1e6);
    fprintf(to, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, total);
}

static void print_listener(FILE *to, struct metrics_listener *listener) {
    for (int s = 0; s < STAGES; s++) {
        for (int v = 0; v < VERDICT_KINDS; v++) {
            for (int r = 0; r < REASONS; r++) {
                uint64_t n = atomic_load(&listener->verdicts[s][v][r]);
                if (n == 0)
                    continue;
                fprintf(to, "gatepost_verdicts_total{stage=\"%s\",listener=\"",
                        stage_name((enum stage)s));
                put_label(to, listener->name);
                if (listener->door != DOOR_MTA)
                    fprintf(to, "\",door=\"%s\",service=\"%s", door_name(listener->door),
                            listener->service);
                fprintf(to, "\",verdict=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                        verdict_name((enum verdict_kind)v), reason_name((enum reason)r), n);
            }
        }
    }
}

/* `n` outcomes in the order ok, error, cached, late, as far as there are any */
static void print_outcomes(FILE *to, const char *name, counter *counters, int n) {
    static const char *const outcomes[] = {"ok", "error", "cached", "late"};
    for (int i = 0; i < n; i++)
        fprintf(to, "%s{outcome=\"%s\"} %" PRIu64 "\n", name, outcomes[i],
                atomic_load(&counters[i]));
}

static void print_cache(FILE *to) {
    static const struct {
        const char *name, *help;
    } outcomes[CACHE_OUTCOMES] = {
        {"gatepost_cache_hits", "Subjects answered from the policy cache."},
        {"gatepost_cache_misses", "Subjects asked of the store."},
        {"gatepost_cache_stale", "Subjects answered from the cache because the store did not."},
    };
    for (int i = 0; i < CACHE_OUTCOMES; i++) {
        head(to, outcomes[i].name, "untyped", outcomes[i].help);
        fprintf(to, "%s %" PRIu64 "\n", outcomes[i].name, atomic_load(&all.cache[i]));
    }
    head(to, "gatepost_cache_entries", "gauge", "Subjects in the policy cache.");
    fprintf(to, "gatepost_cache_entries %ld\n", atomic_load(&all.cache_entries));
}

void metrics_print(FILE *to) {
    head(to, "gatepost_verdicts_total", "counter", "Verdicts as they were carried out.");
    for (struct metrics_listener *l = atomic_load(&all.listeners); l != NULL; l = l->next)
        print_listener(to, l);
    head(to, "gatepost_verdict_seconds", "histogram", "Time to a verdict.");
    for (int s = 0; s < STAGES; s++) {
        char stage[40];
        snprintf(stage, sizeof stage, "stage=\"%s\"", stage_name((enum stage)s));
        print_histogram(to, "gatepost_verdict_seconds", stage, &all.verdict[s]);
    }
    head(to, "gatepost_sessions", "gauge", "Sessions under way.");
    fprintf(to, "gatepost_sessions %ld\n", atomic_load(&all.sessions));
    head(to, "gatepost_store_up", "gauge", "Whether the store answers.");
    fprintf(to, "gatepost_store_up %d\n", atomic_load(&all.store_up));
    head(to, "gatepost_store_requests_total", "counter", "Look-ups in the store.");
    print_outcomes(to, "gatepost_store_requests_total", all.store_requests, OUTCOMES);
    head(to, "gatepost_store_seconds", "histogram", "Time of a look-up in the store.");
    print_histogram(to, "gatepost_store_seconds", "", &all.store);
    print_cache(to);
    head(to, "gatepost_spf_results_total", "counter", "SPF evaluations by result.");
    for (int i = 0; i < SPF_RESULTS; i++)
        fprintf(to, "gatepost_spf_results_total{result=\"%s\"} %" PRIu64 "\n",
                spf_result_name((enum spf_result)i), atomic_load(&all.spf_results[i]));
    head(to, "gatepost_spf_seconds", "histogram", "Time of an SPF evaluation.");
    print_histogram(to, "gatepost_spf_seconds", "", &all.spf);
    head(to, "gatepost_dns_queries_total", "counter", "DNS queries.");
    print_outcomes(to, "gatepost_dns_queries_total", all.dns_queries, DNS_OUTCOMES);
    head(to, "gatepost_malformed_total", "counter", "Malformed fields of policies and networks.");
    fprintf(to, "gatepost_malformed_total %" PRIu64 "\n", atomic_load(&all.malformed));
    head(to, "gatepost_log_lost_total", "counter", "Lines of the log that were lost.");
    fprintf(to, "gatepost_log_lost_total %" PRIu64 "\n", atomic_load(&all.log_lost));
    head(to, "gatepost_use_dropped_total", "counter", "Uses that were not recorded.");
    fprintf(to, "gatepost_use_dropped_total %" PRIu64 "\n", atomic_load(&all.use_dropped));
    head(to, "gatepost_new_sources_total", "counter",
         "Accounts that came in from a block that their record did not have.");
    fprintf(to, "gatepost_new_sources_total %" PRIu64 "\n", atomic_load(&all.new_source));
    head(to, "gatepost_build_info", "gauge", "The version that runs.");
    fprintf(to, "gatepost_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
}
