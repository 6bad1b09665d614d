/*
 * The judge. Owns the asking of store and SPF for what the decision wants next; the rules are
 * decision.c's, and what becomes of the verdict is the door's.
 */
#include "gatepost/session/judge.h"

#include <stdlib.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/idna.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"

static enum decision_next ask_store(struct judgement *j) {
    struct why why;
    if (account_lookup_find(j->runtime->store->cache, &j->account, &j->lookup, &why) == 0)
        return decision_policy(&j->decision, &j->lookup.set);
    if (j->observer != NULL)
        j->observer->unavailable(j->observer->context, why.text);
    log_event(LOG_ERR, "store-error", "session", j->session, "problem", why.text, (char *)NULL);
    return decision_policy_failed(&j->decision);
}

static enum decision_next ask_spf(struct judgement *j, enum spf_identity identity) {
    const struct judge_observer *observer = j->observer;
    const char *name = j->helo, *sender = identity == IDENTITY_HELO ? NULL : j->sender;
    char *ascii_name = NULL, *ascii_sender = NULL; /* RFC 7208 4.3 */
    if ((name != NULL && idna_address_to_ascii(name, &ascii_name) < 0) ||
        (sender != NULL && idna_address_to_ascii(sender, &ascii_sender) < 0)) {
        free(ascii_name);
        judge_defer(j);
        return DECISION_MADE;
    }
    const struct spf_query query = {.client = j->facts.client,
                                    .helo = ascii_name != NULL ? ascii_name : name,
                                    .sender = ascii_sender != NULL ? ascii_sender : sender,
                                    .trace = observer == NULL ? NULL : observer->spf,
                                    .trace_context = observer == NULL ? NULL : observer->context};
    int64_t begin = clock_now_us();
    spf_check(j->runtime->spf, &query, &j->spf);
    metrics_spf(j->spf.result, clock_now_us() - begin);
    free(ascii_name);
    free(ascii_sender);
    if (observer != NULL)
        observer->spf_done(observer->context, identity, &j->spf);
    return decision_spf(&j->decision, j->spf.result);
}

/* -1 when there is no memory. */
static int name_account(struct judgement *j, const char *login, const char *sender) {
    const struct config *config = j->runtime->config;
    const struct address_rules rules = {.default_domain = config->default_domain,
                                        .delimiters = config->address_delimiter,
                                        .domain_to_ascii = idna_domain_to_ascii,
                                        .lower_case = idna_lower_case};
    int rc = login != NULL ? address_from_login(login, &rules, &j->account)
                           : address_from_sender(sender, &rules, &j->account);
    j->facts.logged_in = login != NULL;
    j->facts.has_account = rc == 0 && (login != NULL || j->account.text[0] != '\0');
    return rc;
}

void judge_decide(struct judgement *j, const char *login, const char *sender) {
    if (name_account(j, login, sender) != 0) {
        judge_defer(j);
        return;
    }
    enum decision_next next =
        decision_mail(&j->decision, &j->runtime->config->rules, j->listener, &j->facts);
    while (next != DECISION_MADE) {
        if (next == DECISION_WANTS_POLICY)
            next = ask_store(j);
        else
            next = ask_spf(j, next == DECISION_WANTS_SPF_HELO ? IDENTITY_HELO : IDENTITY_MAILFROM);
    }
}

void judge_defer(struct judgement *j) {
    j->decision =
        (struct decision){.verdict = {.kind = VERDICT_DEFER, .reason = REASON_POLICY_UNAVAILABLE}};
}

void judge_clear(struct judgement *j) {
    account_lookup_clear(&j->lookup);
    address_clear(&j->account);
}
