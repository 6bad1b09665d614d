/*
 * One connection of an MTA. Owns its state and what becomes of a verdict; how one is found is
 * judge.c's, the milter protocol callbacks.c's.
 */
#include "gatepost/session/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/metrics.h"
#include "gatepost/session/use_hook.h"
#include "gatepost/session/verdict_log.h"
#include "message.h"
#include "session_id.h"

/* Ten thousand of them may be idle: what can be found again is not kept. */
struct session {
    struct runtime *runtime;
    const struct config_listener *listener;
    struct metrics_listener *metrics;
    char *helo;
    char *mta_name;          /* where the configuration has no name for us */
    struct message *message; /* in progress; NULL between messages */
    struct ip_address client;
    unsigned number;
    unsigned tag;          /* the caller's */
    unsigned char trusted; /* enum membership, as it was at connect */
    bool xtext_logins;     /* the MTA is Sendmail */
    bool lost, lost_helo;  /* something of what was said is not known: no message can be judged */
};

struct session *session_new(struct runtime *runtime) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->runtime = runtime_acquire(runtime);
    session->listener = config_listener(runtime->config, NULL, NULL, NULL);
    session->metrics = metrics_listener(session->listener->rules.name);
    session->number = session_id_next();
    metrics_session(1);
    return session;
}

void session_free(struct session *session) {
    if (session == NULL)
        return;
    session_end_message(session);
    free(session->helo);
    free(session->mta_name);
    metrics_session(-1);
    runtime_release(session->runtime);
    free(session);
}

const struct config *session_config(const struct session *session) {
    return session->runtime->config;
}

unsigned *session_tag(struct session *session) {
    return &session->tag;
}

void session_end_message(struct session *session) {
    message_free(session->message);
    session->message = NULL;
}

/* Returns -1 when there is no memory: the text is then NULL. */
static int replace(char **text, const char *with) {
    free(*text);
    *text = with == NULL ? NULL : strdup(with);
    return with != NULL && *text == NULL ? -1 : 0;
}

/* Who we are, in header fields and for SPF; NULL where neither configuration nor MTA says. */
static const char *authserv_id(const struct session *session) {
    const char *configured = session->runtime->config->authserv_id;
    return configured[0] != '\0' ? configured : session->mta_name;
}

/* The texts of a session that verdicts speak of. */
struct session_texts {
    char id[SESSION_ID_SIZE], client[IP_TEXT_SIZE];
};

/* What is known of the session for reply and log; `texts` must outlive the result. */
static struct reply_values values_of(const struct session *session, struct session_texts *texts) {
    session_id_format(session->number, texts->id);
    ip_format(&session->client, texts->client);
    return (struct reply_values){.client = texts->client[0] == '\0' ? NULL : texts->client,
                                 .helo = session->helo,
                                 .service = session->listener->rules.service,
                                 .listener = session->listener->rules.name,
                                 .session = texts->id};
}

/* Writes the verdict to the log, or shows it to the observer instead. */
static void report(const struct session_observer *observer, const struct verdict_record *record) {
    if (observer != NULL)
        observer->verdict(observer->judge.context, record);
    else
        verdict_log(record);
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
    session->listener =
        config_listener(config, peer->daemon_name, peer->daemon_port, peer->daemon_addr);
    session->metrics = metrics_listener(session->listener->rules.name);
    /* Sendmail's version is a number, Postfix puts its name before; only Sendmail encodes logins */
    session->xtext_logins =
        peer->mta_version != NULL && peer->mta_version[0] >= '0' && peer->mta_version[0] <= '9';
    if (config->authserv_id[0] == '\0')
        session->lost |= replace(&session->mta_name, peer->mta_name) != 0;
    char members[2][60];
    struct decision_facts facts = {
        .client = session->client,
        .trusted = networks_contain(session->runtime->networks, &config->trusted, &session->client,
                                    members[0], sizeof members[0]),
        .allowed = networks_contain(session->runtime->networks, &session->listener->connect_from,
                                    &session->client, members[1], sizeof members[1])};
    session->trusted = (unsigned char)facts.trusted.membership;
    decision_connect(&decision, &config->rules, &session->listener->rules, &facts);
    if (decision.verdict.kind == VERDICT_ACCEPT &&
        decision.verdict.reason != REASON_POLICY_UNAVAILABLE) {
        if (peer->observer != NULL)
            peer->observer->connected(peer->observer->judge.context, &decision);
        return;
    }
    struct session_texts texts;
    struct reply_values values = values_of(session, &texts);
    values.account = values.client; /* nobody has said more */
    values.helo = NULL;
    refuse(session, &decision.verdict, &values, answer);
    int64_t took = clock_now_us() - begin;
    metrics_verdict(session->metrics, STAGE_CONNECT, answer->kind, decision.verdict.reason, took);
    report(peer->observer, &(struct verdict_record){.stage = STAGE_CONNECT,
                                                    .values = &values,
                                                    .decision = &decision,
                                                    .reply = &answer->reply,
                                                    .microseconds = took});
}

void session_lose(struct session *session) {
    session->lost = true;
}

void session_helo(struct session *session, const char *name) {
    session->lost_helo = replace(&session->helo, name) != 0;
}

/* Does an accepted message need header work: ours to add, others' forgeries to remove? */
static bool wants_headers(const struct session *session, const struct verdict *verdict) {
    const struct config *config = session->runtime->config;
    return verdict->reason != REASON_TRUSTED && authserv_id(session) != NULL &&
           (config->authentication_results || config->received_spf);
}

/* Keeps what a verdict on the message's header will need. */
static void expect_header(struct session *session, const struct judgement *j, const char *login) {
    struct decision refusal = j->decision;
    decision_header_forged(&refusal);
    if (message_keep(session->message, &refusal.verdict, login,
                     j->facts.has_account ? j->account.text : NULL) != 0)
        session->message->failed = true;
    session->message->tls = j->facts.tls;
}

/* As whom a login would send: the reading of the sender that decided, or else the plain one. */
static const char *sender_of(const struct judgement *j) {
    size_t at = j->decision.unowned < j->facts.n_senders ? j->decision.unowned : 0;
    return j->facts.n_senders == 0 ? NULL : j->senders[at].text;
}

/* What is made of the verdict on a message, which has been in progress since `begin`. */
static void judged(struct session *session, const struct judgement *j, struct reply_values *values,
                   const struct session_mail *mail, int64_t begin, struct session_answer *answer) {
    const struct verdict *verdict = &j->decision.verdict;
    values->account =
        j->account.text == NULL || j->account.text[0] == '\0' ? "<>" : j->account.text;
    values->service = decision_service(j->listener, mail->login != NULL);
    values->login = mail->login;
    values->as = sender_of(j);
    const struct spf_answer *spf = verdict->provider != NULL ? &j->provider : &j->spf;
    values->domain = spf->domain;
    values->explanation = j->spf.explanation[0] == '\0' ? NULL : j->spf.explanation;
    if (session->xtext_logins && values->sender != NULL)
        values->prefix = strlen("<>... ") + strlen(values->sender); /* Sendmail names it */
    refuse(session, verdict, values, answer);
    answer->wants_headers = answer->kind <= VERDICT_MARK && wants_headers(session, verdict);
    if (answer->wants_headers)
        expect_header(session, j, mail->login);
    if (mail->login != NULL && answer->kind <= VERDICT_MARK && mail->observer == NULL)
        session_tell_use(j->account.text, values->service, &session->client);
    bool passed = verdict->identity != IDENTITY_NONE && verdict->spf == RESULT_PASS;
    int64_t took = clock_now_us() - begin;
    metrics_verdict(session->metrics, STAGE_MAIL, answer->kind, verdict->reason, took);
    report(mail->observer,
           &(struct verdict_record){.stage = STAGE_MAIL,
                                    .queue = mail->queue,
                                    .account = j->facts.has_account ? j->account.text : NULL,
                                    .values = values,
                                    .decision = &j->decision,
                                    .tls = j->facts.tls ? "yes" : "no",
                                    .stale = j->lookup.stale,
                                    .spf_prefix = passed ? &j->spf.prefix : NULL,
                                    .spf_problem = spf->problem,
                                    .reply = &answer->reply,
                                    .microseconds = took});
}

/*
 * Whether the client is trusted, as it was at connect. Which member could not be read is asked
 * again, should that be what decides.
 */
static struct network_answer recall_trusted(const struct session *session, char *member,
                                            size_t size) {
    if (session->trusted != MEMBER_MALFORMED)
        return (struct network_answer){.membership = (enum membership)session->trusted};
    return networks_contain(session->runtime->networks, &session->runtime->config->trusted,
                            &session->client, member, size);
}

/* The message's reverse-path as its MTA reads it; NULL when there is no memory. */
static struct message *begin_message(const struct session_mail *mail) {
    if (mail->understood == NULL || address_is_path(mail->sender))
        return message_new(mail->sender);
    char *sender = address_reread(mail->sender, mail->understood);
    struct message *message = sender == NULL ? NULL : message_new(sender);
    free(sender);
    return message;
}

/*
 * The login of the message as the MTA means it, NULL when there is none. `*decoded` is to be freed.
 * Returns -1 when there is no memory.
 */
static int read_login(const struct session *session, struct session_mail *mail, char **decoded) {
    *decoded = NULL;
    if (mail->login != NULL && mail->login[0] == '\0')
        mail->login = NULL;
    if (mail->login == NULL || !session->xtext_logins)
        return 0;
    mail->login = *decoded = strdup(mail->login);
    if (*decoded == NULL)
        return -1;
    xtext_decode(*decoded);
    return 0;
}

void session_mail(struct session *session, const struct session_mail *given,
                  struct session_answer *answer) {
    int64_t begin = clock_now_us();
    struct session_mail mail = *given;
    struct session_texts texts;
    struct reply_values values = values_of(session, &texts);
    char *login, member[60];
    session_end_message(session);
    struct message *message = session->message = begin_message(&mail);
    struct judgement j = {.runtime = session->runtime,
                          .listener = &session->listener->rules,
                          .facts = {.client = session->client,
                                    .trusted = recall_trusted(session, member, sizeof member),
                                    .tls = mail.tls != NULL && mail.tls[0] != '\0',
                                    .now = (int64_t)time(NULL)},
                          .helo = session->helo,
                          .sender = message == NULL ? NULL : message->sender,
                          .receiver = authserv_id(session),
                          .session = texts.id,
                          .observer = mail.observer == NULL ? NULL : &mail.observer->judge};
    *answer = (struct session_answer){.kind = VERDICT_ACCEPT};
    if (read_login(session, &mail, &login) == 0 && message != NULL && !session->lost_helo &&
        !session->lost)
        judge_decide(&j, &(struct judge_question){.login = mail.login,
                                                  .given = given->sender,
                                                  .understood = given->understood});
    else
        judge_defer(&j);
    if (message != NULL) {
        message->verdict = j.decision.verdict;
        message->verdict.identity = j.identity;
        message->verdict.spf = j.result;
    }
    values.sender = message == NULL ? NULL : message->sender;
    judged(session, &j, &values, &mail, begin, answer);
    judge_clear(&j);
    free(login);
}

const char *const session_field_names[SESSION_FIELDS] = {
    [FIELD_AUTHENTICATION_RESULTS] = "Authentication-Results",
    [FIELD_RECEIVED_SPF] = "Received-SPF",
};

void session_header(struct session *session, const char *name, const char *value) {
    const struct config *config = session->runtime->config;
    const bool wanted[SESSION_FIELDS] = {
        [FIELD_AUTHENTICATION_RESULTS] = config->authentication_results,
        [FIELD_RECEIVED_SPF] = config->received_spf,
    };
    if (session->message == NULL || authserv_id(session) == NULL)
        return;
    for (int i = 0; i < SESSION_FIELDS; i++)
        if (wanted[i] && strcasecmp(name, session_field_names[i]) == 0)
            message_see_field(session->message, authserv_id(session), (enum session_field_name)i,
                              value);
}

/* The message's header refuses it: carries the verdict out, or in monitor mode only logs it. */
static void refuse_header(struct session *session, const char *queue,
                          struct session_answer *answer) {
    int64_t begin = clock_now_us();
    const struct message *message = session->message;
    const struct decision decision = {.verdict = message->refusal};
    struct session_texts texts;
    struct reply_values values = values_of(session, &texts);
    values.account = message->account == NULL ? "<>" : message->account;
    values.service = decision_service(&session->listener->rules, message->login != NULL);
    values.sender = message->sender;
    values.login = message->login;
    refuse(session, &message->refusal, &values, answer);
    int64_t took = clock_now_us() - begin;
    metrics_verdict(session->metrics, STAGE_DATA, answer->kind, message->refusal.reason, took);
    verdict_log(&(struct verdict_record){.stage = STAGE_DATA,
                                         .queue = queue,
                                         .account = message->account,
                                         .values = &values,
                                         .decision = &decision,
                                         .tls = message->tls ? "yes" : "no",
                                         .reply = &answer->reply,
                                         .microseconds = took});
}

/* The fields of our own. Returns 0, or -1 when there is no memory for one of them. */
static int make_fields(const struct session *session, struct session_changes *out) {
    const struct config *config = session->runtime->config;
    struct message *message = session->message;
    char client[IP_TEXT_SIZE];
    if (message->verdict.identity == IDENTITY_NONE || authserv_id(session) == NULL)
        return 0;
    ip_format(&session->client, client);
    const struct spf_evidence evidence = {.identity = message->verdict.identity,
                                          .result = message->verdict.spf,
                                          .sender = message->sender,
                                          .helo = session->helo,
                                          .client = client,
                                          .receiver = authserv_id(session)};
    if (config->authentication_results)
        out->authentication_results = message_authentication_results(message, &evidence);
    if (config->received_spf)
        out->received_spf = message_received_spf(message, &evidence);
    return (config->authentication_results && out->authentication_results == NULL) ||
                   (config->received_spf && out->received_spf == NULL)
               ? -1
               : 0;
}

int session_end_of_message(struct session *session, const char *queue,
                           struct session_answer *answer, struct session_changes *out) {
    struct message *message = session->message;
    *answer = (struct session_answer){.kind = VERDICT_ACCEPT};
    *out = (struct session_changes){0};
    if (message == NULL)
        return 0;
    if (message->failed)
        return -1;
    if (message->too_many)
        refuse_header(session, queue, answer);
    out->forged = message->forged;
    out->n_forged = message->n_forged;
    return make_fields(session, out);
}
