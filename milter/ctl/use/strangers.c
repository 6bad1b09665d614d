/*
 * Mail without a login. Owns when nobody but whom SPF passes can send it as an account: the record
 * of its domain is asked for by addresses that no host can have.
 */
#include "strangers.h"

#include <string.h>

#include "../effective.h"
#include "gatepost/base/clock.h"
#include "gatepost/session/runtime.h"

#define PATIENCE 10000 /* milliseconds for all accounts */

/* Of class E, and of the block for discarding. */
static const char *const nobody[] = {"240.0.0.1", "100::1"};

static bool is_allowed(const struct decision_rules *rules, const struct policy_set *set,
                       const char *service) {
    return strcmp(effective_service(rules, set, service).value, "refused") != 0;
}

/* Does any door let mail without a login in? It is asked for its source whatever source_services
   has. */
static bool comes_in(const struct config *config, const struct policy_set *set) {
    bool any = false;
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct decision_listener *door = &config->listeners[i].rules;
        if (door->door != DOOR_MTA)
            continue;
        any = true;
        if (!door->auth_required && is_allowed(&config->rules, set, decision_service(door, false)))
            return true;
    }
    return !any && is_allowed(&config->rules, set, "smtp");
}

static bool refuses(const struct decision_rules *rules, const struct policy_set *set,
                    enum spf_result result) {
    const char *action = effective_setting(rules, set, FIELD_SPF, (size_t)result).value;
    return strcmp(action, "reject") == 0 || strcmp(action, "defer") == 0;
}

static bool refuses_all(const struct decision_rules *rules, const struct policy_set *set) {
    for (int result = 0; result < SPF_RESULTS; result++)
        if (result != RESULT_PASS && !refuses(rules, set, (enum spf_result)result))
            return false;
    return true;
}

/* Results of the record's own terms. */
struct results {
    bool softfail, neutral;
};

/* spf_query.trace: two spaces stand before a term of the record itself, more before others. */
static void note_term(void *context, const char *line) {
    struct results *results = context;
    if (strncmp(line, "  ", 2) != 0)
        return;
    results->softfail |= line[2] == '~';
    results->neutral |= line[2] == '?';
}

static bool asked(struct strangers *strangers, const char *account, const char *address,
                  const struct policy_set *set) {
    const struct decision_rules *rules = &strangers->ctl->config->rules;
    struct results results = {false, false};
    int64_t own = clock_now_ms() + strangers->ctl->config->spf_timeout;
    struct spf_query query = {.sender = account,
                              .deadline = own < strangers->deadline ? own : strangers->deadline,
                              .trace = note_term,
                              .trace_context = &results};
    struct spf_answer answer;
    if (clock_now_ms() >= strangers->deadline ||
        ip_parse(address, strlen(address), &query.client) != 0)
        return false;
    spf_check(strangers->spf, &query, &answer);
    return answer.result != RESULT_PASS && answer.result != RESULT_TEMPERROR &&
           refuses(rules, set, answer.result) &&
           (!results.softfail || refuses(rules, set, RESULT_SOFTFAIL)) &&
           (!results.neutral || refuses(rules, set, RESULT_NEUTRAL));
}

bool strangers_are_refused(struct strangers *strangers, const char *account,
                           const struct policy_set *set) {
    const struct config *config = strangers->ctl->config;
    struct why why;
    if (!comes_in(config, set) || refuses_all(&config->rules, set))
        return true;
    if (strangers->spf == NULL) {
        if (runtime_open_evaluator(config, &strangers->spf, &why) != 0)
            return false;
        strangers->deadline = clock_now_ms() + PATIENCE;
    }
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++)
        if (!asked(strangers, account, nobody[i], set))
            return false;
    return true;
}

void strangers_clear(struct strangers *strangers) {
    if (strangers->spf != NULL)
        spf_release(strangers->spf);
}
