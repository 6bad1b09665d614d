/*
 * The commands that set one word for an account: those made from the table of fields, and spf. Owns
 * what their arguments mean as fields; the writing is write.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/write/suggest.h"
#include "kick.h"
#include "memory.h"
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

/* ---- FIELD WORD|unset ACCOUNT ---- */

int ctl_set(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_one(ctl, argv[0], ctl->setting.field->name, ctl->setting.value);
}

/* ---- FIELD on|off|unset ACCOUNT NAME... ---- */

static void lower(char *text) {
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* The fields of the names, owned by the caller. */
static struct wanted_fact *name_fields(const struct ctl_setting *setting, int n, char **names) {
    struct wanted_fact *wanted = xcalloc((size_t)n, sizeof *wanted);
    for (int i = 0; i < n; i++) {
        char *field = xasprintf("%s:%s", setting->field->name, names[i]);
        lower(field);
        wanted[i] = (struct wanted_fact){field, setting->value};
    }
    return wanted;
}

static int check_names(const struct ctl *ctl, const struct wanted_fact *wanted, int n) {
    struct why why;
    for (int i = 0; i < n; i++) {
        const char *name = strchr(wanted[i].field, ':') + 1;
        /* what has no effect may go */
        if (wanted[i].value != NULL &&
            fact_check_protocol(ctl->fact_rules.decision, name, &why) != FACT_GOOD)
            return ctl_refuse(ctl, "%s%s", why.text,
                              n > 1 && access(name, F_OK) == 0
                                  ? "; a file here has that name: did you mean '*', in quotes?"
                                  : "");
    }
    return CTL_DONE;
}

static bool is_off(const struct ctl_setting *setting) {
    return setting->value != NULL && strcmp(setting->value, "off") == 0;
}

int ctl_set_names(struct ctl *ctl, int argc, char **argv) {
    char *subject = NULL;
    int n = argc - 1;
    struct wanted_fact *wanted = name_fields(&ctl->setting, n, argv + 1);
    int status = check_names(ctl, wanted, n);
    if (status == CTL_DONE && (status = ctl_name_account(ctl, argv[0], &subject)) == CTL_DONE) {
        if (is_off(&ctl->setting))
            status = ctl_kick_prepare(ctl, subject, wanted, (size_t)n);
        if (status == CTL_DONE)
            status = ctl_write(ctl, subject, wanted, (size_t)n);
        free(subject);
    }
    for (int i = 0; i < n; i++)
        free((void *)wanted[i].field);
    free(wanted);
    return status;
}

/* ---- spf set ACCOUNT RESULT ACTION, spf unset ACCOUNT RESULT ---- */

/* The value of a word; -1 after saying what is wrong. */
static int find_word(const struct ctl *ctl, const struct words *words, const char *what,
                     const char *text) {
    int value = words_find(words, text, strlen(text));
    if (value >= 0)
        return value;
    const char *near = suggest_word(words->names, words->count, text, strlen(text));
    ctl_refuse(ctl, "there is no %s \"%.60s\"%s%s%s: it must be %s", what, text,
               near == NULL ? "" : " (did you mean ", near == NULL ? "" : near,
               near == NULL ? "" : "?)", words->listed);
    return -1;
}

static int write_spf(struct ctl *ctl, const char *account, const char *result, const char *action) {
    const struct policy_field *field = policy_field_of(FIELD_SPF);
    int number = find_word(ctl, field->keys, "SPF result", result);
    if (number < 0)
        return CTL_REFUSED;
    if (action != NULL) {
        int value = find_word(ctl, field->words, "action", action);
        if (value < 0)
            return CTL_REFUSED;
        action = field->words->names[value];
    }
    return write_one(ctl, account, policy_field_setting_name(field, (size_t)number), action);
}

int ctl_spf_set(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_spf(ctl, argv[0], argv[1], argv[2]);
}

int ctl_spf_unset(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return write_spf(ctl, argv[0], argv[1], NULL);
}
