/*
 * The decision. Owns the order of the rules and nothing else: facts, policy and SPF results are
 * given to it, and what becomes of the verdict is not its business. Read decision_mail() first;
 * each rule below is one function, in the order in which they are asked.
 */
#include "gatepost/core/decision.h"

#include <string.h>

static const struct policy_origin from_conf = {NULL, NULL};

enum verdict_kind verdict_applied(const struct verdict *verdict) {
    return verdict->monitor ? VERDICT_ACCEPT : verdict->kind;
}

const char *decision_service(const struct decision_listener *listener, bool logged_in) {
    if (logged_in && strcmp(listener->service, "smtp") == 0)
        return "submission";
    return listener->service;
}

/*
 * Whether the client is trusted matters to a message only when it would be refused: then what
 * cannot be known or read defers it. It never opens a door, whatever on_store_error says.
 */
static void mind_trusted(const struct decision *d, struct verdict *v) {
    enum membership trusted = d->facts->trusted.membership;
    if (d->facts->logged_in || v->kind != VERDICT_REJECT)
        return;
    if (trusted == MEMBER_UNKNOWN && d->rules->on_store_error != VERDICT_REJECT) {
        v->kind = VERDICT_DEFER;
        v->reason = REASON_POLICY_UNAVAILABLE;
        v->from = from_conf;
    } else if (trusted == MEMBER_MALFORMED) {
        v->kind = VERDICT_DEFER;
        v->reason = REASON_POLICY_MALFORMED;
        v->from = d->facts->trusted.from;
    }
}

/*
 * Ends the decision. A refusal asks the mode, so a mode that cannot be read defers it; a message
 * that is accepted anyway does not need it.
 */
static enum decision_next made(struct decision *d, enum verdict_kind kind, enum reason reason,
                               struct policy_origin from) {
    struct verdict *v = &d->verdict;
    v->kind = kind;
    v->reason = reason;
    v->from = from;
    v->monitor = false;
    if (reason != REASON_NOT_ALLOWLISTED) /* trust does not open a listener's connect_from */
        mind_trusted(d, v);
    if (v->kind != VERDICT_ACCEPT) {
        v->monitor = d->rules->mode == MODE_MONITOR || d->listener->mode == MODE_MONITOR;
        if (!v->monitor && d->policy != NULL) {
            struct policy_origin origin;
            int mode = MODE_ENFORCE;
            enum setting_state state = policy_mode(d->policy, &mode, &origin);
            if (state == SETTING_SET)
                v->monitor = mode == MODE_MONITOR;
            if (state == SETTING_MALFORMED && v->reason != REASON_POLICY_MALFORMED) {
                v->kind = VERDICT_DEFER;
                v->reason = REASON_POLICY_MALFORMED;
                v->from = origin;
            }
        }
    }
    return d->next = DECISION_MADE;
}

static enum decision_next malformed(struct decision *d, struct policy_origin from) {
    return made(d, VERDICT_DEFER, REASON_POLICY_MALFORMED, from);
}

static void begin(struct decision *d, const struct decision_rules *rules,
                  const struct decision_listener *listener, const struct decision_facts *facts) {
    *d = (struct decision){.rules = rules, .listener = listener, .facts = facts};
}

void decision_connect(struct decision *d, const struct decision_rules *rules,
                      const struct decision_listener *listener,
                      const struct decision_facts *facts) {
    begin(d, rules, listener, facts);
    enum membership allowed = facts->allowed.membership;
    if (!listener->has_connect_from || allowed == MEMBER_YES)
        made(d, VERDICT_ACCEPT, REASON_ACCOUNT, from_conf);
    else if (allowed == MEMBER_UNKNOWN)
        decision_policy_failed(d);
    else if (allowed == MEMBER_MALFORMED)
        malformed(d, facts->allowed.from);
    else
        made(d, VERDICT_REJECT, REASON_NOT_ALLOWLISTED, from_conf);
}

static enum decision_next want_spf(struct decision *d) {
    bool helo = !d->facts->has_account || d->rules->helo_always;
    return d->next = helo ? DECISION_WANTS_SPF_HELO : DECISION_WANTS_SPF_MAILFROM;
}

/* Rules 1 to 3: what is known without asking anybody. */
enum decision_next decision_mail(struct decision *d, const struct decision_rules *rules,
                                 const struct decision_listener *listener,
                                 const struct decision_facts *facts) {
    begin(d, rules, listener, facts);
    if (!facts->logged_in && facts->trusted.membership == MEMBER_YES)
        return made(d, VERDICT_ACCEPT, REASON_TRUSTED, from_conf);
    if (listener->tls_required && !facts->tls)
        return made(d, VERDICT_REJECT, REASON_TLS_REQUIRED, from_conf);
    if (listener->auth_required && !facts->logged_in)
        return made(d, VERDICT_REJECT, REASON_AUTH_REQUIRED, from_conf);
    if (facts->has_account)
        return d->next = DECISION_WANTS_POLICY;
    if (listener->reject_unknown) /* the null sender is nobody that the store could know */
        return made(d, VERDICT_REJECT, REASON_UNKNOWN_SENDER, from_conf);
    return want_spf(d);
}

enum decision_next decision_policy_failed(struct decision *d) {
    return made(d, d->rules->on_store_error, REASON_POLICY_UNAVAILABLE, from_conf);
}

bool protocol_contains(const struct protocol *protocol, const char *service) {
    for (size_t i = 0; i < protocol->n_services; i++)
        if (strcmp(protocol->services[i], service) == 0)
            return true;
    return false;
}

enum setting_state decision_service_state(const struct decision_rules *rules,
                                          const struct policy_set *policy, const char *service,
                                          int *value, struct policy_origin *origin) {
    bool named = false, unreadable = false;
    struct policy_origin first = from_conf;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        const struct protocol *protocol = &rules->protocols[i];
        if (!protocol_contains(protocol, service))
            continue;
        int on = 1;
        enum setting_state state = policy_protocol(policy, protocol->name, &on, origin);
        *value = 1;
        if (state == SETTING_UNSET || (state == SETTING_SET && on))
            return SETTING_SET;
        if (!named || (state == SETTING_MALFORMED && !unreadable))
            first = *origin;
        unreadable |= state == SETTING_MALFORMED;
        named = true;
    }
    if (!named) {
        *value = 1;
        enum setting_state state = policy_protocol(policy, service, value, origin);
        return state == SETTING_MALFORMED ? state : SETTING_SET;
    }
    *value = 0;
    *origin = first;
    return unreadable ? SETTING_MALFORMED : SETTING_SET;
}

/* The first half of rules 4 and 5: the service of this door must not be switched off. */
static bool service_refused(struct decision *d) {
    int on = 1;
    struct policy_origin origin = from_conf;
    const char *service = decision_service(d->listener, d->facts->logged_in);
    enum setting_state state = decision_service_state(d->rules, d->policy, service, &on, &origin);
    if (state == SETTING_MALFORMED)
        malformed(d, origin);
    else if (!on)
        made(d, VERDICT_REJECT, REASON_PROTOCOL_DISABLED, origin);
    return d->next == DECISION_MADE;
}

/* Rule 4: a login. */
static enum decision_next judge_login(struct decision *d) {
    struct policy_origin origin;
    int value = 0;
    if (service_refused(d))
        return DECISION_MADE;
    enum setting_state state = policy_tls(d->policy, &value, &origin);
    if (state == SETTING_MALFORMED)
        return malformed(d, origin);
    if (state == SETTING_SET && value == NEED_REQUIRED && !d->facts->tls)
        return made(d, VERDICT_REJECT, REASON_TLS_REQUIRED, origin);
    state = policy_source(d->policy, &value, &origin);
    if (state == SETTING_MALFORMED)
        return malformed(d, origin);
    if (state == SETTING_UNSET || value == SOURCE_ANY)
        return made(d, VERDICT_ACCEPT, REASON_ACCOUNT, from_conf);
    struct policy_origin listed;
    state = policy_ip_listed(d->policy, &d->facts->client, d->facts->now, &listed);
    if (state == SETTING_MALFORMED)
        return malformed(d, listed);
    if (state == SETTING_UNSET)
        return made(d, VERDICT_REJECT, REASON_IP_NOT_AUTHORIZED, origin);
    return made(d, VERDICT_ACCEPT, REASON_ACCOUNT, listed);
}

/* Rule 5, up to SPF: a sender who is not logged in. */
static enum decision_next judge_sender(struct decision *d) {
    struct policy_origin origin;
    bool known = policy_is_known(d->policy);
    if (known && service_refused(d))
        return DECISION_MADE;
    if (!known && d->listener->reject_unknown)
        return made(d, VERDICT_REJECT, REASON_UNKNOWN_SENDER, from_conf);
    enum setting_state state =
        policy_ip_listed(d->policy, &d->facts->client, d->facts->now, &origin);
    if (state == SETTING_SET)
        return made(d, VERDICT_ACCEPT, REASON_IP_AUTHORIZED, origin);
    if (state == SETTING_MALFORMED)
        return malformed(d, origin);
    return want_spf(d);
}

enum decision_next decision_policy(struct decision *d, const struct policy_set *policy) {
    d->next = DECISION_WANTS_POLICY;
    d->policy = policy;
    return d->facts->logged_in ? judge_login(d) : judge_sender(d);
}

/* Rule 5 with `source authorized`: only pass will do. */
static enum decision_next judge_authorized(struct decision *d, enum spf_result result,
                                           struct policy_origin origin) {
    if (result == RESULT_PASS)
        return made(d, VERDICT_ACCEPT, REASON_SPF_PASS, origin);
    if (result == RESULT_TEMPERROR)
        return made(d, VERDICT_DEFER, REASON_SPF, origin);
    if (result == RESULT_NONE)
        return made(d, VERDICT_REJECT, REASON_IP_NOT_AUTHORIZED, origin);
    return made(d, VERDICT_REJECT, REASON_SPF_REQUIRED, origin);
}

/* Rule 5 with `source any`: the action for this result, the most specific one. */
static enum setting_state spf_action(const struct decision *d, enum spf_result result, int *action,
                                     struct policy_origin *origin) {
    enum setting_state state = SETTING_UNSET;
    *origin = from_conf;
    if (d->policy != NULL)
        state = policy_spf(d->policy, result, action, origin);
    if (state == SETTING_UNSET)
        *action = (int)d->rules->spf[result];
    return state;
}

enum decision_next decision_spf(struct decision *d, enum spf_result result) {
    struct policy_origin origin = from_conf;
    int value = SOURCE_ANY;
    bool helo_first = d->next == DECISION_WANTS_SPF_HELO && d->facts->has_account;
    d->verdict.identity = d->next == DECISION_WANTS_SPF_HELO ? IDENTITY_HELO : IDENTITY_MAILFROM;
    d->verdict.spf = result;
    if (d->policy != NULL && !helo_first) {
        enum setting_state state = policy_source(d->policy, &value, &origin);
        if (state == SETTING_MALFORMED)
            return malformed(d, origin);
        if (state == SETTING_SET && value == SOURCE_AUTHORIZED)
            return judge_authorized(d, result, origin);
    }
    /* HELO checked first decides only by a fail that is refused (RFC 7208 2.3, 2.4) */
    if (helo_first && result != RESULT_FAIL)
        return d->next = DECISION_WANTS_SPF_MAILFROM;
    if (spf_action(d, result, &value, &origin) == SETTING_MALFORMED)
        return malformed(d, origin);
    if (helo_first && value != VERDICT_REJECT && value != VERDICT_DEFER)
        return d->next = DECISION_WANTS_SPF_MAILFROM;
    return made(d, (enum verdict_kind)value, REASON_SPF, origin);
}
