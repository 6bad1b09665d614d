/*
 * `spf check`: an evaluation of SPF as the filter makes it, each step printed. The store
 * is not read.
 */
#include <stdio.h>
#include <string.h>

#include "gatepost/session/runtime.h"
#include "print.h"

static void print_line(void *context, const char *line) {
    json_t *steps = context;
    if (steps != NULL) {
        json_array_append_new(steps, json_text(line));
        return;
    }
    ctl_puts(stdout, line);
    putchar('\n');
}

static int tell_json(const struct spf_answer *answer, json_t *steps) {
    json_t *told = json_object();
    json_object_set_new(told, "spf", json_text(spf_result_name(answer->result)));
    json_object_set_new(told, "explanation",
                        answer->explanation[0] == '\0' ? json_null()
                                                       : json_text(answer->explanation));
    json_object_set_new(told, "steps", steps);
    return ctl_print_json(told);
}

int ctl_spf_check(struct ctl *ctl, int argc, char **argv) {
    struct runtime *runtime;
    struct spf_answer answer;
    struct why why;
    const char *ip = argv[0], *sender = argv[2];
    json_t *steps = ctl->json ? json_array() : NULL;
    struct spf_query query = {
        .helo = argv[1], .sender = sender, .trace = print_line, .trace_context = steps};
    (void)argc;
    if (ip_parse(ip, strlen(ip), &query.client) != 0) {
        json_decref(steps);
        return ctl_refuse(ctl, "%.100s: not an IPv4 or IPv6 address", ip);
    }
    if (sender[0] == '\0' || strcmp(sender, "<>") == 0)
        query.sender = NULL;
    struct config *config = ctl->config;
    query.receiver = config->authserv_id[0] == '\0' ? NULL : config->authserv_id;
    ctl->config = NULL; /* the runtime's from here on */
    if (runtime_open_spf(config, &runtime, &why) != 0) {
        json_decref(steps);
        return ctl_fail(ctl, "%s", why.text);
    }
    spf_check(runtime->spf, &query, &answer);
    int status = CTL_DONE;
    if (ctl->json) {
        status = tell_json(&answer, steps);
    } else {
        printf("spf=%s\n", spf_result_name(answer.result));
        if (answer.explanation[0] != '\0') {
            fputs("explanation: ", stdout);
            print_line(NULL, answer.explanation);
        }
    }
    runtime_release(runtime);
    return status;
}
