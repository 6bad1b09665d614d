/*
 * The command that mends a finding. Owns which one that is: only one that does not guess what was
 * meant, or that takes what was proposed.
 */
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../print.h"
#include "gatepost/write/fact_check.h"
#include "gatepost/write/suggest.h"
#include "lint.h"

/* The value of a setting that is meant, or the choice where none is near. */
static char *choose_word(const struct policy_field *field, const struct store_text *value) {
    const struct words *words = field->words;
    const char *meant = suggest_word(words->names, words->count, value->text, value->len);
    char *choice = xstrdup(meant == NULL ? "" : meant);
    for (size_t i = 0; meant == NULL && i < words->count; i++) {
        char *more = xasprintf("%s%s|", choice, words->names[i]);
        free(choice);
        choice = more;
    }
    if (meant != NULL)
        return choice;
    char *all = xasprintf("%sunset", choice);
    free(choice);
    return all;
}

/* One of `spf:RESULT`: its commands have another order of words. */
static char *mend_spf(const char *account, const char *result, const char *word) {
    return strchr(word, '|') == NULL
               ? xasprintf("gatepostctl spf set %s %s %s", account, result, word)
               : xasprintf("gatepostctl spf unset %s %s", account, result);
}

static char *mend_malformed(const struct policy_field *field, const char *account, const char *key,
                            const struct store_text *value) {
    char *word = choose_word(field, value), *command;
    if (field->kind == FIELD_HAS_KEYS)
        command = mend_spf(account, key, word);
    else
        command = xasprintf("gatepostctl %s %s %s%s%s", field->name, word, account,
                            field->kind == FIELD_HAS_NAMES ? " " : "",
                            field->kind == FIELD_HAS_NAMES ? key : "");
    free(word);
    return command;
}

static char *mend_field(const char *kind, const struct policy_field *field, const char *account,
                        const char *key, const struct store_text *value) {
    static const char *const removed[] = {"malformed", "expired", "unreachable"};
    if (field->kind == FIELD_HAS_ENTRIES) {
        for (size_t i = 0; i < sizeof removed / sizeof *removed; i++)
            if (strcmp(kind, removed[i]) == 0)
                return xasprintf("gatepostctl %s remove %s %s%s",
                                 field->id == FIELD_AS ? "as" : "ip", account,
                                 field->id == FIELD_IP_SPF ? "spf:" : "", key);
        return NULL;
    }
    if (field->kind == FIELD_HAS_NAMES && strcmp(kind, "unknown-protocol") == 0)
        return xasprintf("gatepostctl %s unset %s %s", field->name, account, key);
    return strcmp(kind, "malformed") == 0 && value != NULL
               ? mend_malformed(field, account, key, value)
               : NULL;
}

/* The block as it should be written, with what the entry says; other spellings go with that. */
static char *mend_host_bits(const char *add, const char *owner, const char *member,
                            const struct store_text *value) {
    struct netblock block;
    struct why ignored;
    char good[NETBLOCK_TEXT_SIZE];
    if (value == NULL || !fact_is_plain(value->text, value->len) ||
        netblock_parse(member, strlen(member), &block, &ignored) != 0)
        return NULL;
    char *note = xstrndup(value->text, value->len), *quoted = ctl_quote(note);
    char *command =
        xasprintf("gatepostctl %s add %s %s%s%s", add, owner, netblock_format(&block, good),
                  value->len == 0 ? "" : " ", value->len == 0 ? "" : quoted);
    free(note);
    free(quoted);
    return command;
}

static char *mend_account(const char *kind, const char *name, const char *field_name,
                          const struct store_text *value) {
    struct policy_field_key found;
    char *account = ctl_quote(name), *command = NULL;
    if (strcmp(kind, "wrong-type") == 0)
        command = xasprintf("gatepostctl account delete %s", account);
    const struct policy_field *field =
        field_name == NULL ? NULL : policy_field_find(field_name, strlen(field_name), &found);
    if (field != NULL) {
        char *text = xstrndup(found.text, found.len), *key = ctl_quote(text);
        command = strcmp(kind, "host-bits") == 0 ? mend_host_bits("ip", account, text, value)
                                                 : mend_field(kind, field, account, key, value);
        free(text);
        free(key);
    }
    free(account);
    return command;
}

static char *mend_network(const char *kind, const char *name, const char *member,
                          const struct store_text *value) {
    char *network = ctl_quote(name), *word = ctl_quote(member), *command = NULL;
    if (strcmp(kind, "malformed") == 0 || strcmp(kind, "unreachable") == 0)
        command = xasprintf("gatepostctl network remove %s %s", network, word);
    else if (strcmp(kind, "host-bits") == 0)
        command = mend_host_bits("network", network, member, value);
    free(network);
    free(word);
    return command;
}

char *lint_mend(const char *kind, const char *subject, const char *name,
                const struct store_text *value) {
    if (subject == NULL || !fact_is_plain(subject, strlen(subject)) ||
        (name != NULL && !fact_is_plain(name, strlen(name))))
        return NULL;
    if (strncmp(subject, "account:", 8) == 0)
        return mend_account(kind, subject + 8, name, value);
    return name != NULL && fact_is_network(subject)
               ? mend_network(kind, subject + strlen("network:"), name, value)
               : NULL;
}
