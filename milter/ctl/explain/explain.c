/*
 * `explain`: why would a message be refused? It goes through the filter's own session with the live
 * store and DNS, and looks on. Owns how the question becomes a session; the decision is
 * decision.c's, what is shown of it stands in steps.c and verdict.c.
 */
#include "explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../memory.h"
#include "../print.h"
#include "gatepost/base/regular_file.h"
#include "gatepost/session/door.h"
#include "log_line.h"

/* The exit status of a verdict. */
static const int statuses[VERDICT_KINDS] = {[VERDICT_ACCEPT] = CTL_DONE,
                                            [VERDICT_MARK] = CTL_MARKED,
                                            [VERDICT_DEFER] = CTL_DEFERRED,
                                            [VERDICT_REJECT] = CTL_REJECTED};

/* What stands for a client whose address the MTA does not know, and for the null sender. */
static const char unknown_client[] = "unknown", null_sender[] = "<>";

/* The macros by which the MTA would name the listener. */
struct listener_macros {
    char port[16], address[IP_TEXT_SIZE];
};

static int name_listener(const struct ctl *ctl, const struct config *config, const char *name,
                         struct session_peer *peer, struct listener_macros *macros) {
    for (size_t i = 0; name != NULL && i < config->n_listeners; i++) {
        const struct config_listener *l = &config->listeners[i];
        if (l->rules.name == NULL || strcmp(l->rules.name, name) != 0)
            continue;
        snprintf(macros->port, sizeof macros->port, "%d", l->daemon_port);
        ip_format(&l->daemon_addr, macros->address);
        peer->daemon_name = l->daemon_name;
        peer->daemon_port = macros->port;
        peer->daemon_addr = macros->address[0] == '\0' ? NULL : macros->address;
        if (config_listener(config, peer->daemon_name, peer->daemon_port, peer->daemon_addr) == l)
            return CTL_DONE;
        return ctl_refuse(ctl, "listener %.60s: an earlier one matches everything that it does",
                          name);
    }
    return name == NULL ? CTL_DONE : ctl_refuse(ctl, "there is no listener %.60s", name);
}

static void tell_question(struct explanation *e, const struct ctl_question *q, const char *client) {
    explanation_put(e->told, "client", client[0] == '\0' ? unknown_client : client);
    explanation_put(e->told, "helo", q->helo);
    if (!q->connect_only) {
        explanation_put(e->told, "sender", q->from[0] == '\0' ? null_sender : q->from);
        explanation_put(e->told, "login", q->login);
        json_object_set_new(e->told, "tls", json_boolean(q->tls));
    }
    explanation_put(e->told, "listener", e->listener->rules.name);
}

static void judge(struct explanation *e, struct session *session, const struct session_peer *peer,
                  const struct ctl_question *q) {
    struct session_answer answer;
    session_connect(session, peer, &answer);
    if (answer.kind != VERDICT_ACCEPT)
        return;
    if (q->connect_only) {
        if (!e->decided)
            explanation_connected(e);
        return;
    }
    const struct session_mail mail = {.sender = q->from,
                                      .login = q->login,
                                      .tls = q->tls ? "TLS" : NULL,
                                      .observer = peer->observer};
    session_helo(session, q->helo);
    session_mail(session, &mail, &answer);
}

/* A listener that is named and is not the MTA's says which door it is. */
static void take_door(const struct config *config, struct ctl_question *q) {
    for (size_t i = 0; q->listener != NULL && i < config->n_listeners; i++) {
        const struct decision_listener *listener = &config->listeners[i].rules;
        if (listener->door == DOOR_MTA || strcmp(listener->name, q->listener) != 0)
            continue;
        if (q->door == NULL)
            q->door = door_name(listener->door);
        if (q->service == NULL)
            q->service = listener->service;
    }
}

static void tell_door(struct explanation *e, const struct door_question *q, const char *client) {
    explanation_put(e->told, "door", door_name(q->door));
    explanation_put(e->told, "service", q->service);
    explanation_put(e->told, "client", client[0] == '\0' ? unknown_client : client);
    explanation_put(e->told, "login", q->login);
    json_object_set_new(e->told, "tls", json_boolean(q->tls));
    explanation_put(e->told, "listener", e->listener == NULL ? NULL : e->listener->rules.name);
}

/* The listener that is meant: the one named or, for a login at the MTA, the first for submission.
 */
static const char *choose_listener(const struct config *config, const struct ctl_question *q) {
    if (q->listener != NULL || q->login == NULL || q->door != NULL)
        return q->listener;
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct decision_listener *rules = &config->listeners[i].rules;
        if (rules->door == DOOR_MTA && rules->service != NULL && rules->name != NULL &&
            strcmp(rules->service, "submission") == 0)
            return rules->name;
    }
    return NULL;
}

/* A login at another door than the MTA's. */
static int explain_door(const struct ctl *ctl, struct explanation *e, struct runtime *runtime,
                        const struct ctl_question *given, const struct ip_address *client) {
    const struct session_observer observer = explanation_observer(e);
    struct door_question q = {.service = given->service,
                              .login = given->login,
                              .client = *client,
                              .real_client = *client,
                              .tls = given->tls,
                              .app_password = given->app_password,
                              .listener = given->listener,
                              .observer = &observer};
    struct door_answer answer;
    char text[IP_TEXT_SIZE];
    int door = words_find(&door_words, given->door, strlen(given->door));
    if (door <= DOOR_MTA)
        return ctl_refuse(ctl, "--door %.60s: it must be dovecot or http", given->door);
    q.door = (enum door)door;
    if (door_find_listener(runtime, &q, &e->listener) < 0 && given->listener != NULL)
        return ctl_refuse(ctl, "listener %.60s is not of door %s", given->listener, given->door);
    tell_door(e, &q, ip_format(client, text));
    door_ask(runtime, &q, &answer);
    return statuses[e->kind];
}

static int explain(const struct ctl *ctl, struct explanation *e, struct runtime *runtime,
                   struct ctl_question *q) {
    const struct session_observer observer = explanation_observer(e);
    struct session_peer peer = {.mta_name = "explain.invalid", .observer = &observer};
    struct listener_macros door;
    char client[IP_TEXT_SIZE];
    if (strcmp(q->ip, unknown_client) != 0 && ip_parse(q->ip, strlen(q->ip), &peer.client) != 0)
        return ctl_refuse(ctl, "--ip %.60s: not an IPv4 or IPv6 address", q->ip);
    take_door(e->config, q);
    if ((q->door == NULL) != (q->service == NULL) || (q->door != NULL && q->login == NULL))
        return ctl_fail(ctl, "explain of another door needs --door, --service and --login");
    if (q->door != NULL)
        return explain_door(ctl, e, runtime, q, &peer.client);
    int status = name_listener(ctl, e->config, q->listener, &peer, &door);
    if (status != CTL_DONE)
        return status;
    e->listener = config_listener(e->config, peer.daemon_name, peer.daemon_port, peer.daemon_addr);
    tell_question(e, q, ip_format(&peer.client, client));
    struct session *session = session_new(runtime);
    if (session == NULL)
        no_memory();
    judge(e, session, &peer, q);
    session_free(session);
    return statuses[e->kind];
}

/* Where the line is: standard input, a file of that name, or the words themselves. */
static FILE *open_log(const struct ctl *ctl, const char *log, int *status) {
    *status = CTL_DONE;
    if (strcmp(log, "-") == 0) {
        if (ungetc(getc(stdin), stdin) != EOF)
            return stdin;
        *status = ctl_refuse(ctl, "--log -: standard input is empty");
        return NULL;
    }
    if (log[0] == '\0')
        log = "\n"; /* fmemopen() wants an octet */
    bool is_line = strpbrk(log, "={\n") != NULL && access(log, F_OK) != 0;
    FILE *from = is_line ? fmemopen((char *)log, strlen(log), "r") : fopen(log, "re");
    if (from == NULL && is_line)
        no_memory();
    if (from == NULL)
        *status = ctl_refuse(ctl, "--log %.200s: %s", log, strerror(errno));
    return from;
}

/* The question as the options and the line of the log put it. */
static int read_question(const struct ctl *ctl, struct ctl_question *q, struct log_line *line) {
    struct why why;
    int status;
    if (q->session != NULL && q->log == NULL)
        return ctl_fail(ctl, "--session needs --log with the log to look in");
    if (q->log != NULL) {
        FILE *from = open_log(ctl, q->log, &status);
        if (from == NULL)
            return status;
        int rc = log_line_read(from, line, q, &why);
        if (from != stdin)
            fclose(from);
        if (rc != 0)
            return ctl_refuse(ctl, "--log: %s", why.text);
    } else
        q->listener = choose_listener(ctl->config, q);
    if (q->ip == NULL || (q->from == NULL && q->login == NULL && !q->connect_only))
        return ctl_fail(ctl, "explain needs either --ip with --from or --login, or --log");
    if (q->from == NULL)
        q->from = "";
    if (q->login != NULL && q->login[0] == '\0')
        q->login = NULL;
    return CTL_DONE;
}

int ctl_explain(struct ctl *ctl, int argc, char **argv) {
    struct ctl_question q = ctl->question;
    struct log_line line = {0};
    struct runtime *runtime = NULL;
    struct why why;
    (void)argc;
    (void)argv;
    int status = read_question(ctl, &q, &line);
    if (status == CTL_DONE) {
        struct config *config = ctl->config;
        char *store = xstrdup(config->store);
        ctl->config = NULL; /* the runtime's from here on */
        if (runtime_open(config, NULL, &runtime, &why) != 0)
            status = ctl_fail(ctl, "store \"%s\": %s", store, why.text);
        free(store);
    }
    if (runtime != NULL) {
        struct explanation e = {.config = runtime->config, .told = json_object()};
        status = explain(ctl, &e, runtime, &q);
        if (e.decided && ctl->json)
            ctl_print_json(json_incref(e.told));
        else if (e.decided)
            explanation_print(e.told);
        explanation_clear(&e);
        runtime_release(runtime);
    }
    log_line_clear(&line);
    return status;
}
