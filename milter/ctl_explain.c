/*
 * `explain`: why would a message be refused? It goes through the filter's own session with the live
 * store and DNS, and looks on. Owns what is printed of it; the decision is decision.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/ctl_print.h"
#include "gatepost/log_line.h"
#include "gatepost/lookup.h"
#include "gatepost/runtime.h"
#include "gatepost/session.h"
#include "gatepost/verdict_log.h"

/* The exit status of a verdict: 0 for accept, and the first digit of the reply for a refusal. */
static const int statuses[VERDICT_KINDS] = {[VERDICT_ACCEPT] = CTL_DONE,
                                            [VERDICT_MARK] = CTL_MARKED,
                                            [VERDICT_DEFER] = CTL_DEFERRED,
                                            [VERDICT_REJECT] = CTL_REJECTED};

struct explaining {
    const struct ctl *ctl;
    const struct runtime *runtime;
    json_t *told; /* with --json; NULL otherwise */
    bool decided;
    enum verdict_kind kind;
};

static void put_line(const char *name, const char *value) {
    ctl_put_column(stdout, name, 10);
    ctl_puts(stdout, value == NULL ? "-" : value);
    putchar('\n');
}

static void say(struct explaining *e, const char *name, const char *value) {
    if (e->told == NULL)
        put_line(name, value);
    else
        json_object_set_new(e->told, name, json_text(value));
}

/* One subject, and what it has that this service asks for. */
static void put_subject(struct explaining *e, json_t *list, const char *subject,
                        const struct policy *policy) {
    char text[80];
    if (policy == NULL)
        snprintf(text, sizeof text, "absent");
    else if (policy->wrong_type)
        snprintf(text, sizeof text, "wrong type: the key must be a hash");
    else
        snprintf(text, sizeof text, "found: %zu protocols, %zu addresses, %zu faults",
                 policy->n_protocols, policy->n_ips, policy->n_faults);
    if (list != NULL) {
        json_t *entry = json_object();
        json_object_set_new(entry, "subject", json_text(subject));
        json_object_set_new(entry, "is", json_text(text));
        json_array_append_new(list, entry);
        return;
    }
    fputs("  ", stdout);
    ctl_puts(stdout, e->runtime->config->key_prefix);
    ctl_put_column(stdout, subject, 40);
    printf(" %s\n", text);
    for (size_t i = 0; policy != NULL && i < policy->n_faults; i++) {
        fputs("    ", stdout);
        ctl_puts(stdout, policy->faults[i].field);
        printf(": %s\n", policy->faults[i].why);
    }
}

static void on_policy(void *context, const struct lookup *lookup, const char *why) {
    struct explaining *e = context;
    if (lookup == NULL) {
        say(e, "policy", why);
        return;
    }
    json_t *list = e->told == NULL ? NULL : json_array();
    if (list == NULL)
        put_line("policy", lookup->stale ? "from memory: the store does not answer" : "");
    for (size_t i = 0; i < SUBJECTS; i++)
        if (lookup->set.subjects[i] != NULL)
            put_subject(e, list, lookup->set.subjects[i], lookup->set.policies[i]);
    if (list != NULL)
        json_object_set_new(e->told, "policy", list);
}

static void on_spf(void *context, const char *line) {
    struct explaining *e = context;
    if (e->told == NULL) {
        put_line("spf", line);
        return;
    }
    json_t *lines = json_object_get(e->told, "spf_steps");
    if (lines == NULL) {
        lines = json_array();
        json_object_set_new(e->told, "spf_steps", lines);
    }
    json_array_append_new(lines, json_text(line));
}

static void on_verdict(void *context, const struct verdict_record *record) {
    struct explaining *e = context;
    const struct verdict *verdict = record->verdict;
    const struct reply *reply = &record->answer->reply;
    char from[800], text[REPLY_TEXT_SIZE + 24];
    e->decided = true;
    e->kind = verdict_applied(verdict);
    say(e, "stage", record->stage);
    if (record->has_account)
        say(e, "account", record->values->account);
    say(e, "service", record->values->service);
    if (verdict->identity != IDENTITY_NONE)
        say(e, "result", spf_result_name(verdict->spf));
    if (record->spf_problem != NULL && record->spf_problem[0] != '\0')
        say(e, "problem", record->spf_problem);
    say(e, "verdict", verdict_name(e->kind));
    say(e, "reason", reason_name(verdict->reason));
    if (verdict->from.subject == NULL)
        snprintf(from, sizeof from, "the configuration");
    else
        snprintf(from, sizeof from, "%s%s, field %s", e->runtime->config->key_prefix,
                 verdict->from.subject, verdict->from.field);
    say(e, "from", from);
    if (verdict->monitor)
        say(e, "would", verdict_name(verdict->kind));
    if (e->kind == VERDICT_DEFER || e->kind == VERDICT_REJECT) {
        snprintf(text, sizeof text, "%s %s %s", reply->code, reply->enhanced, reply->text);
        say(e, "reply", text);
    }
}

/* The macros by which the MTA would name the listener. */
static int name_listener(const struct ctl *ctl, const struct config *config, const char *name,
                         struct session_peer *peer, char port[16], char address[IP_TEXT_SIZE]) {
    for (size_t i = 0; name != NULL && i < config->n_listeners; i++) {
        const struct config_listener *l = &config->listeners[i];
        if (l->rules.name == NULL || strcmp(l->rules.name, name) != 0)
            continue;
        snprintf(port, 16, "%d", l->daemon_port);
        ip_format(&l->daemon_addr, address);
        peer->daemon_name = l->daemon_name;
        peer->daemon_port = port;
        peer->daemon_addr = address[0] == '\0' ? NULL : address;
        if (config_listener(config, peer->daemon_name, peer->daemon_port, peer->daemon_addr) == l)
            return CTL_DONE;
        return ctl_refuse(ctl, "listener %.60s: an earlier one matches everything that it does",
                          name);
    }
    return name == NULL ? CTL_DONE : ctl_refuse(ctl, "there is no listener %.60s", name);
}

static int explain(struct explaining *e, const struct ctl_question *q) {
    struct session_observer observer = {
        .context = e, .policy = on_policy, .spf = on_spf, .verdict = on_verdict};
    struct session_peer peer = {.mta_name = "explain.invalid", .observer = &observer};
    struct session_answer answer;
    char port[16], address[IP_TEXT_SIZE] = "";
    if (q->ip == NULL || ip_parse(q->ip, strlen(q->ip), &peer.client) != 0)
        return ctl_refuse(e->ctl, "--ip %.60s: not an IPv4 or IPv6 address",
                          q->ip == NULL ? "" : q->ip);
    int status = name_listener(e->ctl, e->runtime->config, q->listener, &peer, port, address);
    if (status != CTL_DONE)
        return status;
    struct session *session = session_new((struct runtime *)e->runtime);
    if (session == NULL)
        return ctl_no_memory(e->ctl);
    session_connect(session, &peer, &answer);
    if (answer.kind == VERDICT_ACCEPT || answer.kind == VERDICT_MARK) {
        session_helo(session, q->helo);
        const struct session_mail mail = {.sender = q->from,
                                          .login = q->login,
                                          .tls = q->tls ? "TLS" : NULL,
                                          .observer = &observer};
        session_mail(session, &mail, &answer);
    }
    session_free(session);
    return statuses[e->kind];
}

int ctl_explain(struct ctl *ctl, int argc, char **argv) {
    struct ctl_question q = ctl->question;
    struct log_line line = {0};
    struct runtime *runtime;
    char why[400];
    (void)argc;
    (void)argv;
    if (q.log != NULL && log_line_read(q.log, &line, &q, why, sizeof why) != 0)
        return ctl_refuse(ctl, "--log: %s", why);
    if (q.ip == NULL || (q.from == NULL && q.login == NULL)) {
        log_line_clear(&line);
        return ctl_fail(ctl, "explain needs --ip, and --from or --login, or --log");
    }
    if (q.from == NULL)
        q.from = "";
    struct config *config = ctl->config;
    ctl->config = NULL; /* the runtime's from here on */
    if (runtime_open(config, NULL, &runtime, why, sizeof why) != 0) {
        log_line_clear(&line);
        return ctl_fail(ctl, "%s", why);
    }
    struct explaining e = {
        .ctl = ctl, .runtime = runtime, .told = ctl->json ? json_object() : NULL};
    int status = explain(&e, &q);
    if (e.told != NULL && e.decided)
        ctl_print_json(ctl, e.told);
    else
        json_decref(e.told);
    runtime_release(runtime);
    log_line_clear(&line);
    return status;
}
