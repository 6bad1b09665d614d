/*
 * The commands that set one word for an account: protocol, source, tls, mode, spf. Owns what their
 * arguments mean as fields; the writing is write.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/write/suggest.h"
#include "print.h"
#include "write/write.h"

static int write_one(struct ctl *ctl, const char *account, const char *field, const char *value) {
    const struct wanted_fact wanted = {field, value};
    char *subject;
    int status = ctl_name_account(ctl, account, &subject);
    if (status != CTL_DONE)
        return status;
    status = ctl_write(ctl, subject, &wanted, 1);
    free(subject);
    return status;
}

/* ---- protocol on|off|unset ACCOUNT NAME... ---- */

static void lower(char *text) {
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* The fields of the protocols, owned by the caller; NULL when there is no memory. */
static struct wanted_fact *name_fields(const char *value, int n, char **names) {
    struct wanted_fact *wanted = calloc((size_t)n + 1, sizeof *wanted);
    for (int i = 0; wanted != NULL && i < n; i++) {
        char *field;
        if (asprintf(&field, "protocol:%s", names[i]) < 0)
            field = NULL;
        else
            lower(field);
        wanted[i] = (struct wanted_fact){field, value};
    }
    return wanted;
}

static int check_protocols(const struct ctl *ctl, const struct wanted_fact *wanted, int n) {
    struct why why;
    for (int i = 0; i < n; i++) {
        if (wanted[i].field == NULL)
            return ctl_no_memory(ctl);
        const char *name = wanted[i].field + strlen("protocol:");
        /* what has no effect may go */
        if (wanted[i].value != NULL &&
            fact_check_protocol(ctl->fact_rules.decision, name, &why) != FACT_GOOD)
            return ctl_refuse(ctl, "%s", why.text);
    }
    return CTL_DONE;
}

static int switch_protocols(struct ctl *ctl, int argc, char **argv, const char *value) {
    char *subject = NULL;
    int n = argc - 1;
    struct wanted_fact *wanted = name_fields(value, n, argv + 1);
    if (wanted == NULL)
        return ctl_no_memory(ctl);
    int status = check_protocols(ctl, wanted, n);
    if (status == CTL_DONE)
        status = ctl_name_account(ctl, argv[0], &subject);
    if (status == CTL_DONE) {
        status = ctl_write(ctl, subject, wanted, (size_t)n);
        free(subject);
    }
    for (int i = 0; i < n; i++)
        free((void *)wanted[i].field);
    free(wanted);
    return status;
}

int ctl_protocol_on(struct ctl *ctl, int argc, char **argv) {
    return switch_protocols(ctl, argc, argv, "on");
}

int ctl_protocol_off(struct ctl *ctl, int argc, char **argv) {
    return switch_protocols(ctl, argc, argv, "off");
}

int ctl_protocol_unset(struct ctl *ctl, int argc, char **argv) {
    return switch_protocols(ctl, argc, argv, NULL);
}

/* ---- source, tls, mode ---- */

int ctl_source_any(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "source", "any");
}

int ctl_source_authorized(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "source", "authorized");
}

int ctl_source_unset(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "source", NULL);
}

int ctl_tls_required(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "tls", "required");
}

int ctl_tls_optional(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "tls", "optional");
}

int ctl_tls_unset(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "tls", NULL);
}

int ctl_mode_enforce(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "mode", "enforce");
}

int ctl_mode_monitor(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "mode", "monitor");
}

int ctl_mode_unset(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], "mode", NULL);
}

/* ---- spf set ACCOUNT RESULT ACTION, spf unset ACCOUNT RESULT ---- */

/* A word of the set in its usual spelling; NULL after saying what is wrong. */
static const char *find_word(const struct ctl *ctl, const struct words *words, const char *what,
                             const char *text) {
    int value = words_find(words, text, strlen(text));
    if (value >= 0)
        return words->names[value];
    const char *near = suggest_word(words->names, words->count, text, strlen(text));
    ctl_refuse(ctl, "there is no %s \"%.60s\"%s%s%s: it must be %s", what, text,
               near == NULL ? "" : " (did you mean ", near == NULL ? "" : near,
               near == NULL ? "" : "?)", words->listed);
    return NULL;
}

static int write_spf(struct ctl *ctl, const char *account, const char *result, const char *action) {
    char field[40];
    result = find_word(ctl, &spf_result_words, "SPF result", result);
    if (result == NULL)
        return CTL_REFUSED;
    if (action != NULL && (action = find_word(ctl, &verdict_words, "action", action)) == NULL)
        return CTL_REFUSED;
    snprintf(field, sizeof field, "spf:%s", result);
    return write_one(ctl, account, field, action);
}

int ctl_spf_set(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_spf(ctl, argv[0], argv[1], argv[2]);
}

int ctl_spf_unset(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_spf(ctl, argv[0], argv[1], NULL);
}
