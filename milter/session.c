/*
 * One connection of an MTA. Owns its state and the asking of the adapters for what the decision
 * wants; the rules are decision.c's, the milter protocol callbacks.c's.
 */
#include "gatepost/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "gatepost/authres.h"
#include "gatepost/clock.h"
#include "gatepost/idna.h"
#include "gatepost/lookup.h"
#include "gatepost/metrics.h"
#include "gatepost/verdict_log.h"

struct session {
    struct runtime *runtime;
    char id[24];
    const struct config_listener *listener;
    struct metrics_listener *metrics;
    struct ip_address client;
    char client_text[IP_TEXT_SIZE];
    char *helo;
    char *authserv_id;
    bool xtext_logins; /* the MTA is Sendmail */
    struct network_answer allowed, trusted;
    char allowed_member[60], trusted_member[60]; /* texts of the two */
    /* of the message under way */
    bool under_way;
    char *sender; /* the reverse-path without angle brackets and route */
    struct verdict verdict;
    unsigned seen; /* Authentication-Results fields so far */
    unsigned *forged;
    size_t n_forged;
    char *authentication_results, *received_spf;
};

/* Ids are unique over restarts: a random part for the process, a running one for the session. */
static void make_id(char *out, size_t size) {
    static atomic_uint random_part, running;
    unsigned part = atomic_load(&random_part);
    if (part == 0) {
        unsigned fresh = 0, none = 0;
        if (getrandom(&fresh, sizeof fresh, 0) != sizeof fresh || fresh == 0)
            fresh = (unsigned)time(NULL);
        part = atomic_compare_exchange_strong(&random_part, &none, fresh) ? fresh : none;
    }
    snprintf(out, size, "%08x-%x", part, atomic_fetch_add(&running, 1) + 1);
}

struct session *session_new(struct runtime *runtime) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->runtime = runtime_acquire(runtime);
    session->listener = &runtime->config->listeners[0];
    session->metrics = metrics_listener(session->listener->rules.name);
    make_id(session->id, sizeof session->id);
    metrics_session(1);
    return session;
}

void session_free(struct session *session) {
    if (session == NULL)
        return;
    session_end_message(session);
    free(session->helo);
    free(session->authserv_id);
    metrics_session(-1);
    runtime_release(session->runtime);
    free(session);
}

const struct config *session_config(const struct session *session) {
    return session->runtime->config;
}

void session_end_message(struct session *session) {
    if (session->under_way)
        metrics_message(-1);
    session->under_way = false;
    free(session->sender);
    free(session->forged);
    free(session->authentication_results);
    free(session->received_spf);
    session->sender = NULL;
    session->forged = NULL;
    session->authentication_results = session->received_spf = NULL;
    session->seen = 0;
    session->n_forged = 0;
    session->verdict = (struct verdict){0};
}

static void replace(char **text, const char *with) {
    free(*text);
    *text = with == NULL ? NULL : strdup(with);
}

/* The client's address, or NULL where there is none. */
static const char *client_of(const struct session *session) {
    return session->client_text[0] == '\0' ? NULL : session->client_text;
}

static void refuse(struct session *session, const struct verdict *verdict,
                   const struct reply_values *values, struct session_answer *answer) {
    answer->kind = verdict_applied(verdict);
    if (answer->kind == VERDICT_DEFER || answer->kind == VERDICT_REJECT)
        reply_render(verdict, session->runtime->config->replies[verdict->reason], values,
                     &answer->reply);
}

void session_connect(struct session *session, const struct session_peer *peer,
                     struct session_answer *answer) {
    const struct config *config = session->runtime->config;
    int64_t begin = clock_now_us();
    struct decision decision;
    *answer = (struct session_answer){.kind = VERDICT_ACCEPT};
    session->client = peer->client;
    ip_format(&session->client, session->client_text);
    session->listener =
        config_listener(config, peer->daemon_name, peer->daemon_port, peer->daemon_addr);
    session->metrics = metrics_listener(session->listener->rules.name);
    /* Sendmail's version is a number, Postfix puts its name before; only Sendmail encodes logins */
    session->xtext_logins =
        peer->mta_version != NULL && peer->mta_version[0] >= '0' && peer->mta_version[0] <= '9';
    replace(&session->authserv_id,
            config->authserv_id[0] != '\0' ? config->authserv_id : peer->mta_name);
    session->trusted =
        networks_contain(session->runtime->networks, &config->trusted, &session->client,
                         session->trusted_member, sizeof session->trusted_member);
    session->allowed =
        networks_contain(session->runtime->networks, &session->listener->connect_from,
                         &session->client, session->allowed_member, sizeof session->allowed_member);
    struct decision_facts facts = {
        .client = session->client, .allowed = session->allowed, .trusted = session->trusted};
    decision_connect(&decision, &config->rules, &session->listener->rules, &facts);
    if (decision.verdict.kind == VERDICT_ACCEPT &&
        decision.verdict.reason != REASON_POLICY_UNAVAILABLE)
        return;
    const struct reply_values values = {.account = client_of(session), /* nobody has said more */
                                        .service = session->listener->rules.service,
                                        .client = client_of(session),
                                        .listener = session->listener->rules.name,
                                        .session = session->id};
    refuse(session, &decision.verdict, &values, answer);
    int64_t took = clock_now_us() - begin;
    metrics_verdict(session->metrics, STAGE_CONNECT, answer->kind, decision.verdict.reason, took);
    verdict_log(&(struct verdict_record){.stage = "connect",
                                         .values = &values,
                                         .verdict = &decision.verdict,
                                         .answer = answer,
                                         .microseconds = took});
}

void session_helo(struct session *session, const char *name) {
    replace(&session->helo, name);
}

/* The reverse-path as SPF and headers want it: no brackets, no source route. */
static char *bare_path(const char *sender) {
    size_t len = strlen(sender);
    if (len >= 2 && sender[0] == '<' && sender[len - 1] == '>') {
        sender++;
        len -= 2;
    }
    const char *colon = sender[0] == '@' ? memchr(sender, ':', len) : NULL;
    if (colon != NULL) {
        len -= (size_t)(colon + 1 - sender);
        sender = colon + 1;
    }
    return strndup(sender, len);
}

/* Everything of one message while it is judged. */
struct judging {
    struct session *session;
    struct decision decision;
    struct decision_facts facts;
    struct address account;
    struct lookup lookup;
    struct spf_answer spf;
    int64_t begin;
};

static enum decision_next ask_store(struct judging *j) {
    const struct runtime *runtime = j->session->runtime;
    char why[256];
    if (lookup_account(runtime->store->cache, &j->account, &j->lookup, why, sizeof why) == 0)
        return decision_policy(&j->decision, &j->lookup.set);
    log_event(LOG_ERR, "store-error", "session", j->session->id, "problem", why, (char *)NULL);
    return decision_policy_failed(&j->decision);
}

static enum decision_next ask_spf(struct judging *j, bool helo) {
    struct session *session = j->session;
    const struct spf_query query = {
        .client = session->client, .helo = session->helo, .sender = helo ? NULL : session->sender};
    int64_t begin = clock_now_us();
    spf_check(session->runtime->spf, &query, &j->spf);
    metrics_spf(j->spf.result, clock_now_us() - begin);
    return decision_spf(&j->decision, j->spf.result);
}

static void decide(struct judging *j) {
    struct session *session = j->session;
    enum decision_next next = decision_mail(&j->decision, &session->runtime->config->rules,
                                            &session->listener->rules, &j->facts);
    while (next != DECISION_MADE)
        next = next == DECISION_WANTS_POLICY ? ask_store(j)
                                             : ask_spf(j, next == DECISION_WANTS_SPF_HELO);
    session->verdict = j->decision.verdict;
}

/* The account of the message into j; -1 when there is no memory. */
static int name_account(struct judging *j, const struct session_mail *mail) {
    const struct config *config = j->session->runtime->config;
    const struct address_rules rules = {.default_domain = config->default_domain,
                                        .delimiters = config->address_delimiter,
                                        .domain_to_ascii = idna_domain_to_ascii,
                                        .lower_case = idna_lower_case};
    int rc = mail->login != NULL ? address_from_login(mail->login, &rules, &j->account)
                                 : address_from_sender(mail->sender, &rules, &j->account);
    j->facts.has_account = rc == 0 && (mail->login != NULL || j->account.text[0] != '\0');
    return rc;
}

/* Which header work an accepted message needs: ours to add, others' forgeries to remove. */
static bool wants_headers(const struct session *session, const struct judging *j) {
    const struct config *config = session->runtime->config;
    if (j->decision.verdict.reason == REASON_TRUSTED)
        return false;
    if (config->authentication_results && session->authserv_id != NULL)
        return true;
    return config->received_spf && j->decision.verdict.identity != IDENTITY_NONE;
}

static void judged(struct judging *j, const struct session_mail *mail,
                   struct session_answer *answer) {
    struct session *session = j->session;
    const struct verdict *verdict = &j->decision.verdict;
    const struct reply_values values = {
        .account = j->account.text == NULL || j->account.text[0] == '\0' ? "<>" : j->account.text,
        .service = decision_service(&session->listener->rules, mail->login != NULL),
        .client = client_of(session),
        .sender = session->sender,
        .login = mail->login,
        .helo = session->helo,
        .listener = session->listener->rules.name,
        .domain = j->spf.domain,
        .explanation = j->spf.explanation[0] == '\0' ? NULL : j->spf.explanation,
        .session = session->id};
    refuse(session, verdict, &values, answer);
    answer->wants_headers = answer->kind <= VERDICT_MARK && wants_headers(session, j);
    int64_t took = clock_now_us() - j->begin;
    metrics_verdict(session->metrics, STAGE_MAIL, answer->kind, verdict->reason, took);
    verdict_log(&(struct verdict_record){.stage = "mail",
                                         .queue = mail->queue,
                                         .has_account = j->facts.has_account,
                                         .values = &values,
                                         .verdict = verdict,
                                         .stale = j->lookup.stale,
                                         .spf_problem = j->spf.problem,
                                         .answer = answer,
                                         .microseconds = took});
}

void session_mail(struct session *session, const struct session_mail *given,
                  struct session_answer *answer) {
    struct session_mail mail = *given;
    struct judging j = {.session = session, .begin = clock_now_us()};
    session_end_message(session);
    session->under_way = true;
    metrics_message(1);
    *answer = (struct session_answer){.kind = VERDICT_ACCEPT};
    char *login = NULL;
    bool ready = true;
    if (mail.login != NULL && mail.login[0] == '\0')
        mail.login = NULL;
    if (mail.login != NULL && session->xtext_logins) {
        ready = (login = strdup(mail.login)) != NULL;
        if (ready)
            xtext_decode(login);
        mail.login = login;
    }
    j.facts = (struct decision_facts){.client = session->client,
                                      .allowed = session->allowed,
                                      .trusted = session->trusted,
                                      .tls = mail.tls != NULL && mail.tls[0] != '\0',
                                      .logged_in = mail.login != NULL,
                                      .now = (int64_t)time(NULL)};
    session->sender = bare_path(mail.sender);
    if (ready && session->sender != NULL && name_account(&j, &mail) == 0) {
        decide(&j);
    } else { /* no memory: the message must wait */
        j.decision.verdict =
            (struct verdict){.kind = VERDICT_DEFER, .reason = REASON_POLICY_UNAVAILABLE};
    }
    judged(&j, &mail, answer);
    lookup_clear(&j.lookup);
    address_clear(&j.account);
    free(login);
}

int session_header(struct session *session, const char *name, const char *value) {
    if (session->authserv_id == NULL || !session->runtime->config->authentication_results ||
        strcasecmp(name, "Authentication-Results") != 0)
        return 0;
    session->seen++;
    if (!authres_claims(value, session->authserv_id))
        return 0;
    unsigned *grown = realloc(session->forged, (session->n_forged + 1) * sizeof *grown);
    if (grown == NULL)
        return -1;
    session->forged = grown;
    session->forged[session->n_forged++] = session->seen;
    return 0;
}

static char *make_field(void put(struct textbuf *, const struct spf_evidence *),
                        const struct spf_evidence *evidence) {
    char memory[2000];
    struct textbuf buf;
    textbuf_init(&buf, memory, sizeof memory);
    put(&buf, evidence);
    return buf.cut ? NULL : strdup(memory); /* half a field is worse than none */
}

void session_changes(struct session *session, struct session_changes *out) {
    const struct config *config = session->runtime->config;
    *out = (struct session_changes){.forged = session->forged, .n_forged = session->n_forged};
    if (session->verdict.identity == IDENTITY_NONE || session->sender == NULL ||
        session->authserv_id == NULL)
        return;
    const struct spf_evidence evidence = {.identity = session->verdict.identity,
                                          .result = session->verdict.spf,
                                          .sender = session->sender,
                                          .helo = session->helo,
                                          .client = session->client_text,
                                          .receiver = session->authserv_id};
    if (config->authentication_results)
        session->authentication_results = make_field(authres_put, &evidence);
    if (config->received_spf)
        session->received_spf = make_field(received_spf_put, &evidence);
    out->authentication_results = session->authentication_results;
    out->received_spf = session->received_spf;
}
