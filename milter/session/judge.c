/*
 * The judge. Owns the asking of store and SPF for what the decision wants next; the rules are
 * decision.c's, and what becomes of the verdict is the door's.
 */
#include "gatepost/session/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/idna.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "gatepost/core/readings.h"

static enum decision_next ask_store(struct judgement *j) {
    struct why why;
    if (account_lookup_find(j->runtime->store->cache, &j->account, &j->lookup, j->deadline, &why) ==
        0) {
        j->lookup.set.now = j->facts.now;
        return decision_policy(&j->decision, &j->lookup.set);
    }
    if (j->observer != NULL)
        j->observer->unavailable(j->observer->context, why.text);
    log_event(LOG_ERR, "store-error", "session", j->session, "problem", why.text, (char *)NULL);
    return decision_policy_failed(&j->decision);
}

/*
 * All evaluations for one question share one time-out; each has its part of what is left, so that a
 * name server that never answers does not take that of the next one.
 */
static int64_t part_of_time(struct judgement *j) {
    int64_t now = clock_now_ms();
    if (j->spf_deadline == 0)
        j->spf_deadline = now + j->runtime->config->spf_timeout;
    int64_t parts = 1 + (int64_t)decision_evaluations_left(&j->decision);
    return now + (j->spf_deadline > now ? (j->spf_deadline - now) / parts : 0);
}

static void evaluate(struct judgement *j, enum spf_identity identity, struct spf_query *query,
                     struct spf_answer *answer) {
    const struct judge_observer *observer = j->observer;
    query->client = j->facts.client;
    query->receiver = j->receiver;
    query->deadline = part_of_time(j);
    query->trace = observer == NULL ? NULL : observer->spf;
    query->trace_context = observer == NULL ? NULL : observer->context;
    int64_t begin = clock_now_us();
    spf_check(j->runtime->spf, query, answer);
    metrics_spf(answer->result, clock_now_us() - begin);
    if (observer != NULL)
        observer->spf_done(observer->context, identity, answer);
}

/* What SPF said at the time; false, and the verdict of judge_defer(), where that is not known. */
static bool recall(struct judgement *j, enum spf_identity identity, enum spf_result *result,
                   unsigned *prefix) {
    if (j->past->spf(j->past->context, j, identity, result, prefix))
        return true;
    judge_defer(j);
    return false;
}

/* Is the client one of the servers of a provider, as its domain's SPF record says? */
static enum decision_next ask_provider(struct judgement *j) {
    const char *domain = decision_provider_domain(&j->decision);
    char sender[sizeof "postmaster@" + 253];
    struct spf_answer answer;
    enum spf_result past;
    unsigned prefix;
    if (j->past != NULL)
        return recall(j, IDENTITY_NONE, &past, &prefix)
                   ? decision_provider(&j->decision, past, prefix)
                   : DECISION_MADE;
    snprintf(sender, sizeof sender, "postmaster@%s", domain);
    struct spf_query query = {.helo = domain, .sender = sender};
    evaluate(j, IDENTITY_NONE, &query, &answer);
    if (answer.result == RESULT_TEMPERROR && j->decision.unanswered == 0)
        j->provider = answer;
    return decision_provider(&j->decision, answer.result, answer.prefix);
}

static enum decision_next ask_spf(struct judgement *j, enum spf_identity identity) {
    const char *name = j->helo, *sender = identity == IDENTITY_HELO ? NULL : j->sender;
    char *ascii_name = NULL, *ascii_sender = NULL; /* RFC 7208 4.3 */
    enum spf_result past;
    unsigned prefix;
    if (j->past != NULL)
        return recall(j, identity, &past, &prefix) ? decision_spf(&j->decision, past, prefix)
                                                   : DECISION_MADE;
    if ((name != NULL && idna_address_to_ascii(name, &ascii_name) < 0) ||
        (sender != NULL && idna_address_to_ascii(sender, &ascii_sender) < 0)) {
        free(ascii_name);
        judge_defer(j);
        return DECISION_MADE;
    }
    struct spf_query query = {.helo = ascii_name != NULL ? ascii_name : name,
                              .sender = ascii_sender != NULL ? ascii_sender : sender};
    evaluate(j, identity, &query, &j->spf);
    free(ascii_name);
    free(ascii_sender);
    return decision_spf(&j->decision, j->spf.result, j->spf.prefix);
}

static struct address_rules rules_of(const struct config *config) {
    return (struct address_rules){.default_domain = config->default_domain,
                                  .delimiters = config->address_delimiter,
                                  .domain_to_ascii = idna_domain_to_ascii,
                                  .lower_case = idna_lower_case};
}

int judge_name_login(const struct runtime *runtime, const char *login, struct address *out) {
    const struct address_rules rules = rules_of(runtime->config);
    return address_from_login(login, &rules, out);
}

/* -1 when there is no memory. */
static int name_account(struct judgement *j, const char *login, const char *sender) {
    const struct address_rules rules = rules_of(j->runtime->config);
    int rc = login != NULL ? address_from_login(login, &rules, &j->account)
                           : address_from_sender(sender, &rules, &j->account);
    j->facts.logged_in = login != NULL;
    j->facts.misnamed = rc == 0 && login != NULL && j->account.misnamed;
    j->facts.null_sender = rc == 0 && login == NULL && j->account.text[0] == '\0';
    if (j->facts.null_sender && j->helo != NULL) {
        address_clear(&j->account);
        rc = address_from_helo(j->helo, &rules, &j->account);
    }
    j->facts.has_account = rc == 0 && (login != NULL || j->account.text[0] != '\0');
    return rc;
}

/* Has the host policy for it, or has its user closed anything himself? */
static bool has_policy(const struct judgement *j) {
    const struct policy_set *set = j->decision.policy;
    return set == NULL || policy_is_known(set) || set->policies[SUBJECT_SELF] != NULL;
}

/* False: `if_known` was asked for, and nobody has set anything; SPF is not asked then. */
static bool decide(struct judgement *j, bool if_known) {
    const struct decision_rules *rules = &j->runtime->config->rules;
    enum decision_next next = j->listener->door == DOOR_MTA
                                  ? decision_mail(&j->decision, rules, j->listener, &j->facts)
                                  : decision_login(&j->decision, rules, j->listener, &j->facts);
    while (next != DECISION_MADE) {
        if (next == DECISION_WANTS_POLICY)
            next = ask_store(j);
        else if (if_known && !has_policy(j))
            return false;
        else if (next == DECISION_WANTS_PROVIDER)
            next = ask_provider(j);
        else
            next = ask_spf(j, next == DECISION_WANTS_SPF_HELO ? IDENTITY_HELO : IDENTITY_MAILFROM);
    }
    return !if_known || has_policy(j);
}

/* ---- other readings of the sender ---- */

/* Makes one judgement of another, which then holds nothing. */
static void move(struct judgement *to, struct judgement *from) {
    judge_clear(to);
    *to = *from;
    to->decision.facts = &to->facts;
    if (to->decision.policy != NULL)
        to->decision.policy = &to->lookup.set;
}

/*
 * Judges one reading as if it were the sender, and keeps that when it is stricter. Only that of a
 * known account counts, or one whose user has set something himself: for the others a stranger
 * would choose whom to wait for.
 */
static void judge_reading(struct judgement *j, const char *text) {
    const struct address_rules rules = rules_of(j->runtime->config);
    struct judgement reading = *j;
    reading.account = (struct address){0};
    reading.lookup = (struct account_lookup){0};
    if (address_from_reading(text, &rules, &reading.account) != 0) {
        judge_defer(j);
        return;
    }
    reading.sender = reading.account.text;
    reading.facts.null_sender = false; /* even if the MTA calls the sender empty */
    reading.facts.has_account = true;
    if (j->facts.null_sender || strcmp(reading.account.text, j->account.text) != 0) {
        bool known = decide(&reading, true);
        j->spf_deadline = reading.spf_deadline;
        if (known && verdict_is_stricter(&reading.decision.verdict, &j->decision.verdict)) {
            reading.decision.verdict.read_as = reading.decision.verdict.reason;
            reading.decision.verdict.reason = REASON_SENDER_AMBIGUOUS;
            move(j, &reading);
            return;
        }
    }
    judge_clear(&reading);
}

/*
 * An MTA may deliver the sender as somebody else: then that account's policy holds too. What the
 * plain reading refuses is refused already, and a trusted client is whoever it says.
 */
static void judge_readings(struct judgement *j, const struct readings *readings) {
    for (size_t i = 0; i < readings->n; i++) {
        const struct verdict *verdict = &j->decision.verdict;
        if (verdict->reason == REASON_TRUSTED || verdict_applied(verdict) == VERDICT_REJECT)
            return;
        judge_reading(j, readings->items[i]);
    }
    if (readings->too_many) /* nobody's address, and more than can be asked about */
        j->decision.verdict =
            (struct verdict){.kind = VERDICT_REJECT,
                             .reason = REASON_SENDER_AMBIGUOUS,
                             .read_as = REASON_SENDER_AMBIGUOUS,
                             .monitor = j->runtime->config->rules.mode == MODE_MONITOR ||
                                        j->listener->mode == MODE_MONITOR};
}

/* Once more, for the observer alone: the decision whose verdict holds. */
static void show(struct judgement *j, const struct judge_observer *observer) {
    const struct verdict verdict = j->decision.verdict;
    j->observer = observer;
    j->spf_deadline = 0;
    account_lookup_clear(&j->lookup);
    decide(j, false);
    j->decision.verdict.reason = verdict.reason;
    j->decision.verdict.read_as = verdict.read_as;
}

/* ---- a login ---- */

/* Names the sender of a login's mail, and every reading of it; -1 when there is no memory. */
static int name_senders(struct judgement *j, const struct readings *readings) {
    const struct address_rules rules = rules_of(j->runtime->config);
    j->senders = calloc(1 + readings->n, sizeof *j->senders);
    j->facts.senders = j->senders;
    j->facts.more_senders = readings->too_many;
    if (j->senders == NULL || address_from_sender(j->sender, &rules, &j->senders[0]) != 0)
        return -1;
    j->facts.n_senders = 1;
    for (size_t i = 0; i < readings->n; i++, j->facts.n_senders++)
        if (address_from_reading(readings->items[i], &rules, &j->senders[1 + i]) != 0)
            return -1;
    return 0;
}

/* A login has one account, whatever the sender can be read as; its policy may ask for that. */
static void decide_login(struct judgement *j, const struct readings *readings) {
    if (j->sender != NULL && name_senders(j, readings) != 0)
        judge_defer(j);
    else
        decide(j, false);
}

void judge_decide(struct judgement *j, const struct judge_question *question) {
    const struct judge_observer *observer = j->observer;
    struct readings readings = {.n = 0};
    j->deadline = clock_now_ms() + j->runtime->config->store_timeout;
    if (name_account(j, question->login, j->sender) != 0 ||
        (j->sender != NULL &&
         readings_find(question->given, question->understood, &readings) != 0)) {
        judge_defer(j);
        return;
    }
    if (question->login != NULL) {
        decide_login(j, &readings);
        readings_clear(&readings);
        return;
    }
    if (readings.n > 0)
        j->observer = NULL;
    decide(j, false);
    j->identity = j->decision.verdict.identity;
    j->result = j->decision.verdict.spf;
    judge_readings(j, &readings);
    if (observer != NULL && j->observer == NULL)
        show(j, observer);
    readings_clear(&readings);
}

void judge_unknown_service(struct judgement *j, const char *login) {
    j->facts.logged_in = true;
    if (judge_name_login(j->runtime, login, &j->account) != 0)
        judge_defer(j);
    else
        decision_service_unknown(&j->decision, &j->runtime->config->rules, j->listener, &j->facts);
}

void judge_defer(struct judgement *j) {
    j->decision = (struct decision){.verdict = {.kind = VERDICT_DEFER,
                                                .door = j->listener->door,
                                                .reason = REASON_POLICY_UNAVAILABLE}};
}

void judge_clear(struct judgement *j) {
    account_lookup_clear(&j->lookup);
    address_clear(&j->account);
    for (size_t i = 0; i < j->facts.n_senders; i++)
        address_clear(&j->senders[i]);
    free(j->senders);
    j->senders = NULL;
    j->facts.n_senders = 0;
}
