/* The result of a run: it counts outcomes and errors, says the first of each on stderr, and prints
   the figures as a table or as JSON. It must not know how they were come by. */

#include "load_report.h"

#include <ctype.h>
#include <stdio.h>

static const char *const phase_names[LOAD_PHASES] = {"negotiate", "connect", "helo",
                                                     "mail",      "message", "session"};

static const char *const error_texts[LOAD_ERRORS] = {
    [LOAD_ERROR_CONNECT] = "cannot connect to the filter",
    [LOAD_ERROR_CLOSED] = "the filter dropped the connection",
    [LOAD_ERROR_MALFORMED] = "malformed answer",
    [LOAD_ERROR_UNASKED] = "an answer that nothing asked for",
    [LOAD_ERROR_TIME] = "no answer within the time limit",
    [LOAD_ERROR_SYSTEM] = "system error",
};

static const struct {
    const char *name;
    double fraction;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1.0}};
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

void load_report_error(struct load_report *report, enum load_error error, const char *step,
                       const char *detail) {
    if (report->errors[error]++ == 0)
        fprintf(stderr, "milter_load: %s (at %s)%s%s\n", error_texts[error], step,
                detail[0] != '\0' ? ": " : "", detail);
}

void load_report_outcome(struct load_report *report, enum load_outcome outcome, int expect,
                         const char *step, const char *words) {
    report->outcomes[outcome]++;
    if (expect < 0 || (int)outcome == expect || report->unexpected++ > 0)
        return;
    fprintf(stderr, "milter_load: %s instead of %s (at %s): ", load_outcome_names[outcome],
            load_outcome_names[expect], step);
    for (const char *c = words; *c != '\0'; c++)
        fputc(isprint((unsigned char)*c) ? *c : '?', stderr);
    fputc('\n', stderr);
}

uint64_t load_report_errors(const struct load_report *report) {
    uint64_t errors = 0;
    for (unsigned error = 0; error < LOAD_ERRORS; error++)
        errors += report->errors[error];
    return errors;
}

static uint64_t count_sessions(const struct load_report *report) {
    uint64_t sessions = 0;
    for (unsigned outcome = 0; outcome < LOAD_OUTCOMES; outcome++)
        sessions += report->outcomes[outcome];
    return sessions;
}

static double session_rate(const struct load_report *report) {
    return report->seconds > 0 ? (double)count_sessions(report) / report->seconds : 0;
}

static double quantile_us(const struct histogram *histogram, unsigned quantile) {
    return (double)histogram_quantile(histogram, quantiles[quantile].fraction) / 1000.0;
}

static void print_text(const struct load_report *report) {
    printf("sessions       %llu\n", (unsigned long long)count_sessions(report));
    printf("seconds        %.3f\n", report->seconds);
    printf("rate           %.1f sessions/s\n", session_rate(report));
    printf("own_cpu        %.3f seconds\n", report->cpu_seconds);
    for (unsigned outcome = 0; outcome < LOAD_OUTCOMES; outcome++)
        printf("%-14s %llu\n", load_outcome_names[outcome],
               (unsigned long long)report->outcomes[outcome]);
    printf("unexpected     %llu\n", (unsigned long long)report->unexpected);
    printf("errors         %llu\n", (unsigned long long)load_report_errors(report));
    printf("modifications  %llu\n", (unsigned long long)report->modifications);
    printf("idle           %llu\n", (unsigned long long)report->idle);
    printf("\n%-10s %10s", "us", "count");
    for (unsigned q = 0; q < QUANTILES; q++)
        printf(" %10s", quantiles[q].name);
    putchar('\n');
    for (unsigned phase = 0; phase < LOAD_PHASES; phase++) {
        const struct histogram *latency = &report->latency[phase];
        printf("%-10s %10llu", phase_names[phase], (unsigned long long)latency->total);
        for (unsigned q = 0; q < QUANTILES; q++)
            printf(" %10.1f", quantile_us(latency, q));
        putchar('\n');
    }
}

static void print_json(const struct load_report *report) {
    printf("{\"sessions\": %llu, \"seconds\": %.6f, \"sessions_per_second\": %.1f, "
           "\"own_cpu_seconds\": %.3f, \"outcomes\": {",
           (unsigned long long)count_sessions(report), report->seconds, session_rate(report),
           report->cpu_seconds);
    for (unsigned outcome = 0; outcome < LOAD_OUTCOMES; outcome++)
        printf("%s\"%s\": %llu", outcome > 0 ? ", " : "", load_outcome_names[outcome],
               (unsigned long long)report->outcomes[outcome]);
    printf("}, \"unexpected\": %llu, \"errors\": %llu, \"modifications\": %llu, \"idle\": %llu, "
           "\"latency_us\": {",
           (unsigned long long)report->unexpected, (unsigned long long)load_report_errors(report),
           (unsigned long long)report->modifications, (unsigned long long)report->idle);
    for (unsigned phase = 0; phase < LOAD_PHASES; phase++) {
        const struct histogram *latency = &report->latency[phase];
        printf("%s\"%s\": {\"count\": %llu", phase > 0 ? ", " : "", phase_names[phase],
               (unsigned long long)latency->total);
        for (unsigned q = 0; q < QUANTILES; q++)
            printf(", \"%s\": %.1f", quantiles[q].name, quantile_us(latency, q));
        putchar('}');
    }
    puts("}}");
}

void load_report_print(const struct load_report *report, bool json) {
    if (json)
        print_json(report);
    else
        print_text(report);
}
