/*
 * Logins at other doors than the MTA's. Owns the choice of the listener and what becomes of the
 * verdict; how one is found is judge.c's, what the peer sends and takes is filter's.
 */
#include "gatepost/session/door.h"

#include <string.h>
#include <time.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/metrics.h"
#include "gatepost/session/session.h"
#include "gatepost/session/use_hook.h"
#include "gatepost/session/verdict_log.h"
#include "session_id.h"

struct whose {
    const struct networks *networks;
    const struct ip_address *real_client;
};

static bool is_real_client_in(void *context, const struct config_list *names) {
    const struct whose *whose = context;
    char member[60];
    return whose->real_client->family != IP_NONE &&
           networks_contain(whose->networks, names, whose->real_client, member, sizeof member)
                   .membership == MEMBER_YES;
}

static const char *word_of(const struct words *words, const char *text) {
    int found = words_find(words, text, strlen(text));
    return found < 0 ? NULL : words->names[found];
}

int door_find_listener(struct runtime *runtime, const struct door_question *q,
                       const struct config_listener **out) {
    const struct config *config = runtime->config;
    const char *service = word_of(&service_words, q->service);
    for (size_t i = 0; q->listener != NULL && i < config->n_listeners; i++) {
        *out = &config->listeners[i];
        if ((*out)->rules.name != NULL && strcmp((*out)->rules.name, q->listener) == 0)
            return (*out)->rules.door == q->door ? 1 : -1;
    }
    struct whose whose = {runtime->networks, &q->real_client};
    const struct config_door_query query = {.door = q->door,
                                            .service = service == NULL ? "" : service,
                                            .port = q->port,
                                            .local = q->local,
                                            .is_real_client_in = is_real_client_in,
                                            .context = &whose};
    return config_door_listener(config, &query, out);
}

/* The service that it is judged for; NULL: there is none. */
static const char *service_of(struct runtime *runtime, const struct door_question *q) {
    const struct config_listener *listener;
    struct decision_listener named = {.service = word_of(&service_words, q->service)};
    if (door_find_listener(runtime, q, &listener) < 0)
        return NULL;
    if (listener != NULL)
        named = listener->rules;
    return named.service == NULL ? NULL : decision_service(&named, true);
}

int door_check_password(struct runtime *runtime, const struct door_question *q, const char *typed,
                        char id[static APP_PASSWORD_ID_SIZE], struct why *why) {
    const char *service = service_of(runtime, q);
    struct address account;
    if (service == NULL)
        return 0;
    if (judge_name_login(runtime, q->login, &account) != 0)
        return why_set(why, "no memory");
    int rc =
        account.misnamed ? 0 : app_passwords_check(runtime, account.text, service, typed, id, why);
    address_clear(&account);
    return rc;
}

static void report(const struct door_question *q, const struct judgement *j,
                   const struct reply_values *values, const struct reply *reply, int64_t begin) {
    const struct verdict *verdict = &j->decision.verdict;
    const struct verdict_record record = {.stage = STAGE_DOOR,
                                          .account = j->account.text,
                                          .values = values,
                                          .decision = &j->decision,
                                          .tls = q->tls ? "yes" : "no",
                                          .stale = j->lookup.stale,
                                          .app_password = q->app_password,
                                          .password_id = q->password_id,
                                          .spf_problem = j->provider.problem,
                                          .reply = reply,
                                          .microseconds = clock_now_us() - begin};
    if (q->observer != NULL) {
        q->observer->verdict(q->observer->judge.context, &record);
        return;
    }
    metrics_verdict(metrics_door(values->listener, q->door, values->service), STAGE_DOOR,
                    verdict_applied(verdict), verdict->reason, record.microseconds);
    verdict_log(&record);
}

/*
 * Milliseconds that a provider (ip:spf:) is waited for: whoever asks at a door has less patience
 * than an MTA, Dovecot one second, and threads that judge are few.
 */
#define PROVIDER_PATIENCE 900

static void judge(struct judgement *j, const struct door_question *q, bool service_exists) {
    if (service_exists)
        judge_decide(j, &(struct judge_question){.login = q->login});
    else
        judge_unknown_service(j, q->login);
}

void door_ask(struct runtime *runtime, const struct door_question *q, struct door_answer *answer) {
    int64_t begin = clock_now_us();
    struct decision_listener listener;
    struct reply reply;
    char id[SESSION_ID_SIZE], client[IP_TEXT_SIZE];
    *answer = (struct door_answer){.text = ""};
    bool exists = door_find_listener(runtime, q, &answer->listener) >= 0;
    const char *service = word_of(&service_words, q->service);
    if (exists && answer->listener != NULL)
        listener = answer->listener->rules;
    else
        listener = (struct decision_listener){
            .door = q->door, .service = service == NULL ? "" : service, .mode = MODE_ENFORCE};
    struct judgement j = {.runtime = runtime,
                          .listener = &listener,
                          .facts = {.client = q->client,
                                    .tls = q->tls,
                                    .app_password = q->app_password,
                                    .now = (int64_t)time(NULL)},
                          .session = q->session,
                          .observer = q->observer == NULL ? NULL : &q->observer->judge};
    if (q->session == NULL || q->session[0] == '\0') {
        session_id_format(session_id_next(), id);
        j.session = id;
    }
    int64_t timeout = runtime->config->spf_timeout;
    j.spf_deadline =
        clock_now_ms() + (timeout < PROVIDER_PATIENCE ? timeout : (int64_t)PROVIDER_PATIENCE);
    judge(&j, q, exists);
    const struct verdict *verdict = &j.decision.verdict;
    ip_format(&q->client, client);
    answer->service = exists ? decision_service(&listener, true) : "";
    answer->kind = verdict_applied(verdict);
    answer->reason = verdict->reason;
    const struct reply_values values = {.account = j.account.text,
                                        .service = exists ? answer->service : q->service,
                                        .client = client[0] == '\0' ? NULL : client,
                                        .login = q->login,
                                        .listener = listener.name,
                                        .domain = verdict->provider,
                                        .session = j.session};
    if (answer->kind >= VERDICT_DEFER) {
        reply_render(verdict, runtime->config->replies[verdict->reason], &values, &reply);
        memcpy(answer->text, reply.text, sizeof reply.text);
    }
    if (answer->kind == VERDICT_ACCEPT && q->observer == NULL &&
        (q->authenticated || (answer->listener != NULL && answer->listener->authenticated)))
        session_tell_use(j.account.text, answer->service, &q->client);
    if (!q->quiet)
        report(q, &j, &values, &reply, begin);
    judge_clear(&j);
}
