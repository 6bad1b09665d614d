/*
 * The state of the filter. Owns what is shown and in what form; each fact belongs to its own
 * module.
 */
#include "status.h"

#include <time.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/json_text.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "gatepost/session/under_way.h"

/* Octets that are no UTF-8 JSON cannot say. */
static json_t *plain_text(const char *value) {
    json_t *text = json_string(value);
    return text != NULL ? text : json_string("(not printable)");
}

static json_t *time_text(time_t when) {
    char text[32];
    struct tm tm;
    gmtime_r(&when, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static void add_error(void *context, time_t when, const char *line) {
    json_t *entry = json_object();
    json_object_set_new(entry, "time", time_text(when));
    json_object_set_new(entry, "line", plain_text(line));
    json_array_append_new(context, entry);
}

static json_t *describe_store(const struct runtime *runtime, const struct metrics_now *now) {
    static const char *const watches[] = {
        [WATCHING_LOST] = "lost", [WATCHING_ALL] = "watched", [WATCHING_BLIND] = "blind"};
    struct live_store_state state;
    live_store_state(runtime->store, &state);
    json_t *store = json_object();
    json_object_set_new(store, "url", plain_text(runtime->config->store));
    json_object_set_new(store, "up", json_boolean(store_is_up(runtime->store->store)));
    json_object_set_new(store, "requests", json_integer((json_int_t)now->store_ok));
    json_object_set_new(store, "failed", json_integer((json_int_t)now->store_failed));
    if (store_is_remote(runtime->store->store))
        json_object_set_new(store, "changes", json_string(watches[state.watching]));
    return store;
}

static json_t *describe_cache(const struct runtime *runtime, const struct metrics_now *now) {
    json_t *cache = json_object();
    json_object_set_new(cache, "entries", json_integer(now->cache_entries));
    json_object_set_new(cache, "limit", json_integer((json_int_t)runtime->config->cache_entries));
    json_object_set_new(cache, "hits", json_integer((json_int_t)now->cache[CACHE_HIT]));
    json_object_set_new(cache, "misses", json_integer((json_int_t)now->cache[CACHE_MISS]));
    json_object_set_new(cache, "stale", json_integer((json_int_t)now->cache[CACHE_STALE]));
    return cache;
}

static json_t *describe_spf(const struct metrics_now *now) {
    json_t *spf = json_object();
    for (int i = 0; i < SPF_RESULTS; i++)
        json_object_set_new(spf, spf_result_name((enum spf_result)i),
                            json_integer((json_int_t)now->spf[i]));
    return spf;
}

static json_t *describe_verdicts(const struct metrics_now *now) {
    json_t *verdicts = json_object();
    for (int i = 0; i < VERDICT_KINDS; i++)
        json_object_set_new(verdicts, verdict_name((enum verdict_kind)i),
                            json_integer((json_int_t)now->verdicts[i]));
    return verdicts;
}

void status_print(FILE *to, const struct runtime *runtime) {
    struct metrics_now now;
    metrics_read(&now);
    json_t *status = json_object(), *configuration = json_object(), *errors = json_array();
    json_object_set_new(status, "version", json_string(PACKAGE_VERSION));
    json_object_set_new(status, "pid", json_integer(getpid()));
    json_object_set_new(status, "uptime_seconds",
                        json_integer((clock_now_ms() - now.started) / 1000));
    json_object_set_new(configuration, "file", plain_text(runtime->config->path));
    json_object_set_new(configuration, "generation", json_integer(runtime->generation));
    json_object_set_new(configuration, "since", time_text(runtime->since));
    json_object_set_new(status, "configuration", configuration);
    json_object_set_new(status, "sessions", json_integer(now.sessions));
    json_object_set_new(status, "messages", json_integer(under_way_messages()));
    json_object_set_new(status, "verdicts", describe_verdicts(&now));
    json_object_set_new(status, "store", describe_store(runtime, &now));
    if (store_is_remote(runtime->store->store))
        json_object_set_new(status, "cache", describe_cache(runtime, &now));
    json_object_set_new(status, "spf", describe_spf(&now));
    json_object_set_new(status, "malformed", json_integer((json_int_t)now.malformed));
    log_recent(add_error, errors);
    json_object_set_new(status, "last_errors", errors);
    json_put(status, to, JSON_INDENT(2));
    fputc('\n', to);
    json_decref(status);
}

bool status_is_ready(const struct runtime *runtime, struct why *why) {
    struct live_store_state state;
    if (log_is_losing(why))
        return false;
    if (store_is_up(runtime->store->store)) {
        why_set(why, "ready");
        return true;
    }
    live_store_state(runtime->store, &state);
    if (state.entries > 0 && state.lost_for <= runtime->config->stale_max) {
        why_set(why, "the store does not answer: cached policies serve for %lld s more",
                (long long)(runtime->config->stale_max - state.lost_for) / 1000);
        return true;
    }
    why_set(why, "the store does not answer, and nothing usable is cached");
    return false;
}
