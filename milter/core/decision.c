/*
 * The decision. Owns the order of the rules, and nothing else (its trace is decision_trace.c's):
 * facts, policy and SPF results are given to it, and what becomes of the verdict is not its
 * business. Read decision_mail() first, then judge_login() and judge_sender(). The numbers of rules
 * are those of README.md, How it decides.
 */
#include "decision_trace.h"

#include <string.h>

static const struct policy_origin from_conf = {NULL, NULL};

const char *decision_service(const struct decision_listener *listener, bool logged_in) {
    if (logged_in && strcmp(listener->service, "smtp") == 0)
        return "submission";
    return listener->service;
}

/* All but the steps, which need no value before they are asked. */
static void begin(struct decision *d, const struct decision_rules *rules,
                  const struct decision_listener *listener, const struct decision_facts *facts) {
    d->rules = rules;
    d->listener = listener;
    d->facts = facts;
    d->policy = NULL;
    d->next = DECISION_MADE;
    d->verdict = (struct verdict){.kind = VERDICT_ACCEPT, .door = listener->door};
    d->decider = d->n_steps = 0;
    d->n_providers = d->provider = d->unanswered = d->unowned = 0;
    d->own_listed = d->held = false;
}

static enum decision_next unavailable(struct decision *d) {
    bool mail = d->listener->door == DOOR_MTA;
    return trace_made(d, mail ? d->rules->on_store_error : VERDICT_DEFER, REASON_POLICY_UNAVAILABLE,
                      from_conf);
}

void decision_connect(struct decision *d, const struct decision_rules *rules,
                      const struct decision_listener *listener,
                      const struct decision_facts *facts) {
    begin(d, rules, listener, facts);
    enum membership allowed = listener->has_connect_from ? facts->allowed.membership : MEMBER_YES;
    struct decision_step *step = trace_step(d, RULE_CONNECT, (int)allowed);
    step->listener = listener->has_connect_from;
    step->from = facts->allowed.from;
    if (allowed == MEMBER_YES)
        trace_made(d, VERDICT_ACCEPT, REASON_ACCOUNT, from_conf);
    else if (allowed == MEMBER_UNKNOWN)
        unavailable(d);
    else if (allowed == MEMBER_MALFORMED)
        trace_malformed(d, facts->allowed.from);
    else
        trace_made(d, VERDICT_REJECT, REASON_NOT_ALLOWLISTED, from_conf);
}

static enum decision_next want_spf(struct decision *d) {
    bool helo = d->facts->null_sender || d->rules->helo_always;
    return d->next = helo ? DECISION_WANTS_SPF_HELO : DECISION_WANTS_SPF_MAILFROM;
}

/* Rule 2 */
static bool listener_refuses(struct decision *d) {
    const struct decision_facts *facts = d->facts;
    bool tls = facts->tls || (facts->logged_in && d->listener->tls_offloaded);
    if (!trace_ask_listener(d, RULE_TLS, tls, d->listener->tls_required))
        trace_made(d, VERDICT_REJECT, REASON_TLS_REQUIRED, from_conf);
    else if (!trace_ask_listener(d, RULE_AUTH, facts->logged_in, d->listener->auth_required))
        trace_made(d, VERDICT_REJECT, REASON_AUTH_REQUIRED, from_conf);
    return d->next == DECISION_MADE;
}

/* What a login comes to before the policy of its account is asked for. */
static enum decision_next begin_login(struct decision *d) {
    d->next = DECISION_WANTS_POLICY;
    if (listener_refuses(d)) {
        d->held = trace_waits_for_password(d);
        return d->next = d->held ? DECISION_WANTS_POLICY : DECISION_MADE;
    }
    trace_step(d, RULE_ACCOUNT, true)->listener = false;
    if (d->facts->misnamed)
        return trace_made(d, VERDICT_REJECT, REASON_UNKNOWN_LOGIN, from_conf);
    return DECISION_WANTS_POLICY;
}

enum decision_next decision_login(struct decision *d, const struct decision_rules *rules,
                                  const struct decision_listener *listener,
                                  const struct decision_facts *facts) {
    begin(d, rules, listener, facts);
    return begin_login(d);
}

void decision_service_unknown(struct decision *d, const struct decision_rules *rules,
                              const struct decision_listener *listener,
                              const struct decision_facts *facts) {
    begin(d, rules, listener, facts);
    trace_step(d, RULE_SERVICE, false)->listener = true;
    trace_made(d, VERDICT_REJECT, REASON_UNKNOWN_SERVICE, from_conf);
}

/* Rules 1 to 3: what is known without asking anybody. */
enum decision_next decision_mail(struct decision *d, const struct decision_rules *rules,
                                 const struct decision_listener *listener,
                                 const struct decision_facts *facts) {
    begin(d, rules, listener, facts);
    if (trace_ask_trusted(d) == MEMBER_YES)
        return trace_made(d, VERDICT_ACCEPT, REASON_TRUSTED, from_conf);
    if (facts->logged_in)
        return begin_login(d);
    d->next = DECISION_WANTS_POLICY;
    if (listener_refuses(d))
        return DECISION_MADE;
    /* a null sender without a HELO name is nobody that the store could know */
    if (!trace_ask_listener(d, RULE_ACCOUNT, facts->has_account, listener->reject_unknown))
        return trace_made(d, VERDICT_REJECT, REASON_UNKNOWN_SENDER, from_conf);
    return facts->has_account ? d->next = DECISION_WANTS_POLICY : want_spf(d);
}

enum decision_next decision_policy_failed(struct decision *d) {
    if (d->held)
        return d->next = DECISION_MADE;
    trace_step(d, RULE_POLICY, POLICY_UNAVAILABLE);
    return unavailable(d);
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
static bool service_refused(struct decision *d, const struct policy_set *by) {
    const char *service = decision_service(d->listener, d->facts->logged_in);
    struct decision_step *step = trace_step(d, RULE_SERVICE, true);
    step->state = decision_service_state(d->rules, by, service, &step->value, &step->from);
    if (step->state == SETTING_MALFORMED)
        trace_malformed(d, step->from);
    else if (!step->value)
        trace_made(d, VERDICT_REJECT, REASON_PROTOCOL_DISABLED, step->from);
    return d->next == DECISION_MADE;
}

/* An SPF pass by so few bits of the client's address would pass almost everybody. */
static bool is_too_wide(const struct decision *d, enum spf_result result, unsigned prefix) {
    bool v6 = d->facts->client.family == IP_V6;
    return result == RESULT_PASS && prefix < (v6 ? d->rules->widest6 : d->rules->widest4);
}

/* Rule 4 with `sender own`: every way to read the sender must be one that the account owns. */
static void judge_owned(struct decision *d, struct policy_origin origin) {
    const struct decision_facts *facts = d->facts;
    enum setting_state state = SETTING_SET;
    struct policy_origin from = from_conf, here = from_conf;
    for (d->unowned = 0; d->unowned < facts->n_senders; d->unowned++) {
        const struct address *sender = &facts->senders[d->unowned];
        enum setting_state one = sender->text[0] == '\0'
                                     ? SETTING_SET
                                     : policy_sends_as(d->policy, sender, facts->now, &here);
        if (one == SETTING_MALFORMED && state == SETTING_SET)
            from = here;
        if (one != SETTING_SET)
            state = one;
        if (state == SETTING_UNSET)
            break;
        if (d->unowned == 0 && state == SETTING_SET)
            from = here;
    }
    if (facts->more_senders && state == SETTING_SET)
        state = SETTING_UNSET;
    struct decision_step *step = trace_step(d, RULE_OWNED, state == SETTING_SET);
    step->state = state;
    step->from = state == SETTING_UNSET ? from_conf : from;
    if (state == SETTING_MALFORMED)
        trace_malformed(d, from);
    else if (state == SETTING_UNSET && d->unowned == 0)
        trace_made(d, VERDICT_REJECT, REASON_SENDER_NOT_OWNED, origin);
    else if (state == SETTING_UNSET) {
        d->verdict.read_as =
            d->unowned < facts->n_senders ? REASON_SENDER_NOT_OWNED : REASON_SENDER_AMBIGUOUS;
        trace_made(d, VERDICT_REJECT, REASON_SENDER_AMBIGUOUS, origin);
    }
}

/* Must a login send as itself, and does it not? Where there is no sender nothing is asked. */
static bool sender_refused(struct decision *d) {
    if (d->facts->n_senders == 0)
        return false;
    const struct decision_step *sender = trace_ask_policy(d, RULE_SENDER);
    if (sender->state == SETTING_MALFORMED)
        trace_malformed(d, sender->from);
    else if (sender->value == SENDER_OWN)
        judge_owned(d, sender->from);
    return d->next == DECISION_MADE;
}

/* Does an entry of the account list the client's address? */
static const struct decision_step *ask_listed(struct decision *d) {
    struct decision_step *step = trace_step(d, RULE_LISTED, false);
    d->listed = d->n_steps - 1;
    step->state = policy_ip_listed(d->policy, &d->facts->client, d->facts->now, &step->from);
    step->value = step->state == SETTING_SET;
    return step;
}

bool decision_asks_source(const struct decision_rules *rules, const char *service) {
    for (size_t i = 0; i < rules->n_source_services; i++)
        if (strcmp(rules->source_services[i], service) == 0)
            return true;
    return false;
}

/* Everywhere but at the MTA, which does not know, and at the webmail: is this password enough? */
static bool password_refused(struct decision *d) {
    if (!trace_minds_password(d))
        return false;
    const struct decision_step *step = trace_ask_policy(d, RULE_PASSWORD);
    if (step->state == SETTING_MALFORMED)
        trace_malformed(d, step->from);
    else if (step->value == PASSWORD_APPLICATION && !d->facts->app_password)
        trace_made(d, VERDICT_REJECT, REASON_APP_PASSWORD_REQUIRED, step->from);
    return d->next == DECISION_MADE;
}

static enum decision_next listed(struct decision *d, struct policy_origin from) {
    return trace_made(d, VERDICT_ACCEPT,
                      d->facts->logged_in ? REASON_ACCOUNT : REASON_IP_AUTHORIZED, from);
}

/* No entry has listed the client. */
static enum decision_next not_listed(struct decision *d) {
    const struct decision_step *step = &d->steps[d->listed];
    if (step->state == SETTING_MALFORMED)
        return trace_made_by(d, d->listed, VERDICT_DEFER, REASON_POLICY_MALFORMED, step->from);
    if (!d->facts->logged_in)
        return want_spf(d);
    /* it is the source that asks for a listed address, and was asked before */
    return trace_made(d, VERDICT_REJECT, REASON_IP_NOT_AUTHORIZED, d->steps[d->listed - 1].from);
}

static enum decision_next next_provider(struct decision *d) {
    return d->provider < d->n_providers ? d->next = DECISION_WANTS_PROVIDER : not_listed(d);
}

/* Is the client listed? By an address or a block, or else by a provider, who has to be asked. */
static enum decision_next judge_listed(struct decision *d) {
    const struct decision_step *step = ask_listed(d);
    /* a sender's own entry satisfies his own `source`, and of SPF the host says what becomes */
    d->own_listed = step->value && !d->facts->logged_in && policy_is_own(d->policy, &step->from);
    if (step->value && !d->own_listed)
        return listed(d, step->from);
    d->n_providers = policy_providers(d->policy, d->facts->now, d->providers);
    return next_provider(d);
}

const char *decision_provider_domain(const struct decision *d) {
    return d->providers[d->provider].domain;
}

size_t decision_evaluations_left(const struct decision *d) {
    bool helo_first = d->next == DECISION_WANTS_SPF_HELO && !d->facts->null_sender;
    if (d->next != DECISION_WANTS_PROVIDER)
        return helo_first ? 1 : 0;
    return d->n_providers - d->provider - 1 + (d->facts->logged_in ? 0 : 1);
}

enum decision_next decision_provider(struct decision *d, enum spf_result result, unsigned prefix) {
    struct decision_step *step = trace_step(d, RULE_PROVIDER, (int)result);
    step->from = d->providers[d->provider++].from;
    step->too_wide = is_too_wide(d, result, prefix);
    if (result == RESULT_PASS && !step->too_wide)
        return listed(d, step->from);
    if (result == RESULT_TEMPERROR && d->unanswered == 0)
        d->unanswered = d->provider;
    return next_provider(d);
}

/* Rule 4: a login. */
static enum decision_next judge_login(struct decision *d) {
    bool known = policy_is_known(d->policy);
    if (!trace_ask_listener(d, RULE_KNOWN, known, d->listener->reject_unknown_login))
        return trace_made(d, VERDICT_REJECT, REASON_UNKNOWN_LOGIN, from_conf);
    if (service_refused(d, d->policy))
        return DECISION_MADE;
    const struct decision_step *tls = trace_ask_policy(d, RULE_ACCOUNT_TLS);
    if (tls->state == SETTING_MALFORMED)
        return trace_malformed(d, tls->from);
    if (tls->value == NEED_REQUIRED && !d->facts->tls && !d->listener->tls_offloaded)
        return trace_made(d, VERDICT_REJECT, REASON_TLS_REQUIRED, tls->from);
    if (password_refused(d) || sender_refused(d))
        return DECISION_MADE;
    const struct decision_step *source = trace_ask_policy(d, RULE_SOURCE);
    if (!decision_asks_source(d->rules, decision_service(d->listener, true)))
        return trace_made(d, VERDICT_ACCEPT, REASON_ACCOUNT, from_conf);
    if (source->state == SETTING_MALFORMED)
        return trace_malformed(d, source->from);
    if (source->value == SOURCE_ANY)
        return trace_made(d, VERDICT_ACCEPT, REASON_ACCOUNT, from_conf);
    return judge_listed(d);
}

/* Rule 5, up to SPF: a sender who is not logged in. */
static enum decision_next judge_sender(struct decision *d) {
    bool known = policy_is_known(d->policy);
    if (!trace_ask_listener(d, RULE_KNOWN, known, d->listener->reject_unknown))
        return trace_made(d, VERDICT_REJECT, REASON_UNKNOWN_SENDER, from_conf);
    if (known && service_refused(d, d->policy))
        return DECISION_MADE;
    if (!known && d->policy->policies[SUBJECT_SELF] != NULL) { /* what he has closed is closed */
        const struct policy_set own = policy_own(d->policy);
        if (service_refused(d, &own))
            return DECISION_MADE;
    }
    return judge_listed(d);
}

static bool is_any_there(const struct policy_set *policy) {
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        if (policy->policies[i] != NULL)
            return true;
    return false;
}

enum decision_next decision_policy(struct decision *d, const struct policy_set *policy) {
    d->next = DECISION_WANTS_POLICY;
    d->policy = policy;
    if (d->held) {
        trace_password_known(d);
        return d->next = DECISION_MADE;
    }
    trace_step(d, RULE_POLICY, is_any_there(policy) ? POLICY_FOUND : POLICY_ABSENT);
    return d->facts->logged_in ? judge_login(d) : judge_sender(d);
}

/*
 * Whoever says HELO with a registered name has proved nothing, and there is no sender to answer to:
 * where only registered ones may send, SPF must pass, whatever their source.
 */
static bool needs_pass(const struct decision *d) {
    return d->facts->null_sender && d->listener->reject_unknown;
}

/* Rule 5 with `source authorized`: only pass will do. */
static enum decision_next judge_authorized(struct decision *d, enum spf_result result,
                                           bool too_wide, struct policy_origin origin) {
    if (too_wide)
        return trace_made(d, VERDICT_REJECT, REASON_SPF_TOO_WIDE, origin);
    if (result == RESULT_PASS)
        return trace_made(d, VERDICT_ACCEPT, REASON_SPF_PASS, origin);
    if (result == RESULT_TEMPERROR)
        return trace_made(d, VERDICT_DEFER, REASON_SPF, origin);
    if (result == RESULT_NONE)
        return trace_made(d, VERDICT_REJECT, REASON_IP_NOT_AUTHORIZED, origin);
    return trace_made(d, VERDICT_REJECT, REASON_SPF_REQUIRED, origin);
}

/*
 * Is it the sender's own `source authorized`, and has the message what that asks for? Then it is
 * still the host that says what becomes of this result.
 */
static bool satisfies_own(const struct decision *d, enum spf_result result, bool too_wide,
                          const struct decision_step *source) {
    return policy_is_own(d->policy, &source->from) &&
           (d->own_listed || (result == RESULT_PASS && !too_wide));
}

/* Rule 5 with `source any`: the action for this result, the most specific one. */
static const struct decision_step *ask_action(struct decision *d, enum spf_result result) {
    struct decision_step *step = trace_step(d, RULE_ACTION, (int)d->rules->spf[result]);
    if (d->policy != NULL)
        step->state = policy_spf(d->policy, result, &step->value, &step->from);
    return step;
}

enum decision_next decision_spf(struct decision *d, enum spf_result result, unsigned prefix) {
    bool too_wide = is_too_wide(d, result, prefix);
    bool helo = d->next == DECISION_WANTS_SPF_HELO, helo_first = helo && !d->facts->null_sender;
    d->verdict.identity = helo ? IDENTITY_HELO : IDENTITY_MAILFROM;
    d->verdict.spf = result;
    trace_step(d, RULE_SPF, (int)result)->too_wide = too_wide;
    if (d->policy != NULL && !helo_first) {
        const struct decision_step *source = trace_ask_policy(d, RULE_SOURCE);
        if (source->state == SETTING_MALFORMED)
            return trace_malformed(d, source->from);
        if (source->value == SOURCE_AUTHORIZED && !satisfies_own(d, result, too_wide, source))
            return judge_authorized(d, result, too_wide, source->from);
        d->steps[d->n_steps - 1].listener = needs_pass(d);
        if (needs_pass(d) && (result != RESULT_PASS || too_wide))
            return judge_authorized(d, result, too_wide,
                                    source->value == SOURCE_AUTHORIZED ? source->from : from_conf);
    }
    /* HELO checked first decides only by a fail that is refused (RFC 7208 2.3, 2.4) */
    if (helo_first && result != RESULT_FAIL)
        return d->next = DECISION_WANTS_SPF_MAILFROM;
    const struct decision_step *action = ask_action(d, result);
    if (action->state == SETTING_MALFORMED)
        return trace_malformed(d, action->from);
    if (helo_first && action->value != VERDICT_REJECT && action->value != VERDICT_DEFER)
        return d->next = DECISION_WANTS_SPF_MAILFROM;
    return trace_made(d, (enum verdict_kind)action->value, REASON_SPF, action->from);
}

void decision_header_forged(struct decision *d) {
    trace_made(d, VERDICT_REJECT, REASON_HEADER_FORGED, from_conf);
}
