/*
 * `unused`: protocols that are on and by which nobody came in. Owns what counts as unused; which
 * services a protocol has, and whether it is on, is the decision's.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "../effective.h"
#include "../memory.h"
#include "../policies.h"
#include "../print.h"
#include "gatepost/core/duration.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_check.h"
#include "use.h"

#define DEFAULT_FOR "90d"

/* One question about all accounts. */
struct search {
    struct ctl *ctl;
    struct use_store *store;
    struct ctl_use everybody;
    const char **protocols;
    size_t n_protocols;
    int64_t from; /* what was used since then is used */
    json_t *found;
    bool commands;
};

static bool is_recorded(const struct search *s, const char *service) {
    return ctl_use_last(&s->everybody, service) != 0;
}

/* What is known of a protocol: when one of its services was used last, and which are not recorded.
 */
struct known {
    int64_t last;
    json_t *unrecorded; /* owned */
};

static void ask_service(const struct search *s, const struct ctl_use *use, const char *service,
                        struct known *known) {
    int64_t last = ctl_use_last(use, service);
    if (last > known->last)
        known->last = last;
    if (!is_recorded(s, service))
        json_array_append_new(known->unrecorded, json_text(service));
}

static struct known ask_protocol(const struct search *s, const struct ctl_use *use,
                                 const char *name) {
    const struct decision_rules *rules = &s->ctl->config->rules;
    struct known known = {.unrecorded = json_array()};
    bool defined = false;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, name) != 0)
            continue;
        defined = true;
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            ask_service(s, use, rules->protocols[i].services[j], &known);
    }
    if (!defined)
        ask_service(s, use, name, &known);
    return known;
}

/* `smtp` is for mail without a login, which nobody records. */
static bool is_for_logins(const struct search *s, const char *name) {
    return strcmp(name, "smtp") != 0 || fact_service_is_bound(&s->ctl->config->rules, "smtp");
}

static void find_protocols(struct search *s, const char *account, const struct policy_set *set,
                           const struct ctl_use *use) {
    char text[TIMESTAMP_SIZE];
    for (size_t i = 0; i < s->n_protocols; i++) {
        const struct effective is = effective_protocol(set, s->protocols[i]);
        if (strcmp(is.value, "on") != 0 || !is_for_logins(s, s->protocols[i]))
            continue;
        struct known known = ask_protocol(s, use, s->protocols[i]);
        if (known.last >= s->from) {
            json_decref(known.unrecorded);
            continue;
        }
        json_t *told = json_object();
        json_object_set_new(told, "account", json_text(account));
        json_object_set_new(told, "protocol", json_text(s->protocols[i]));
        json_object_set_new(told, "last",
                            known.last == 0 ? json_null()
                                            : json_text(timestamp_format(known.last, text)));
        json_object_set_new(told, "not_recorded", known.unrecorded);
        json_array_append_new(s->found, told);
    }
}

static int search_account(struct search *s, const char *account) {
    struct ctl_policies policies;
    struct ctl_use use;
    int status = ctl_policies_of(s->ctl, account, &policies);
    if (status != CTL_DONE)
        return status;
    status = ctl_use_read(s->ctl, s->store, account, &use);
    if (status == CTL_DONE) {
        find_protocols(s, account, &policies.set, &use);
        ctl_use_clear(&use);
    }
    ctl_policies_clear(&policies);
    return status;
}

/* ---- whom to ask about ---- */

struct accounts {
    char **names;
    size_t n, room;
    const char *pattern;
};

static void add_account(struct accounts *accounts, const char *name) {
    if (name[0] == '@' || strcmp(name, "*") == 0 || fnmatch(accounts->pattern, name, 0) != 0)
        return;
    accounts->names = xgrow(accounts->names, accounts->n, &accounts->room, sizeof *accounts->names);
    accounts->names[accounts->n++] = xstrdup(name);
}

/* store_take_subject: an account that has a record */
static int take_recorded(void *context, const char *name, size_t len) {
    if (memchr(name, '\0', len) == NULL)
        add_account(context, name);
    return 0;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int scan_records(const struct ctl *ctl, struct accounts *accounts) {
    struct store_settings settings = ctl_use_settings(ctl);
    struct store_writer *writer;
    struct why why;
    char *prefix = use_prefix(settings.key_prefix);
    if (prefix == NULL)
        no_memory();
    settings.key_prefix = prefix;
    int rc = store_writer_open(&settings, "", &writer, &why);
    if (rc == 0) {
        rc = store_writer_scan(writer, take_recorded, accounts, &why);
        store_writer_free(writer);
    }
    free(prefix);
    return rc == 0 ? CTL_DONE : ctl_fail(ctl, "%s", why.text);
}

/* Those with policy of their own, and those with a record. */
static int find_accounts(struct ctl *ctl, struct accounts *accounts) {
    struct ctl_names names;
    int status = ctl_names_read(ctl, "account:*", &names);
    if (status != CTL_DONE)
        return status;
    for (size_t i = 0; i < names.n; i++)
        add_account(accounts, names.names[i] + strlen("account:"));
    ctl_names_clear(&names);
    status = scan_records(ctl, accounts);
    if (accounts->n > 1)
        qsort(accounts->names, accounts->n, sizeof *accounts->names, compare);
    return status;
}

static int search_all(struct search *s, const struct accounts *accounts) {
    int status = CTL_DONE;
    for (size_t i = 0; status == CTL_DONE && i < accounts->n; i++)
        if (i == 0 || strcmp(accounts->names[i - 1], accounts->names[i]) != 0)
            status = search_account(s, accounts->names[i]);
    return status;
}

/* ---- what is found ---- */

/* A word of the shell, quoted where it has to be. */
static void put_word(const char *word) {
    bool plain = word[0] != '\0' && word[0] != '-' &&
                 word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "@._+=%-")] == '\0';
    if (plain) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    putchar('\'');
}

static const char *text_of(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static void put_row(const json_t *row) {
    const char *last = text_of(row, "last");
    const json_t *unrecorded = json_object_get(row, "not_recorded");
    ctl_put_column(stdout, text_of(row, "account"), 32);
    putchar(' ');
    ctl_put_column(stdout, text_of(row, "protocol"), 16);
    printf(" %s", last == NULL ? "never" : last);
    for (size_t i = 0; i < json_array_size(unrecorded); i++)
        printf("%s%s", i == 0 ? "  not recorded: " : ", ",
               json_string_value(json_array_get(unrecorded, i)));
    putchar('\n');
}

static int print(const struct search *s) {
    const json_t *row;
    size_t i;
    if (s->ctl->json)
        return ctl_print_json(json_incref(s->found));
    if (!s->commands && json_array_size(s->found) > 0)
        puts("ACCOUNT                          PROTOCOL         LAST USED");
    json_array_foreach(s->found, i, row) {
        if (!s->commands) {
            put_row(row);
        } else if (json_array_size(json_object_get(row, "not_recorded")) == 0) {
            fputs("gatepostctl protocol off ", stdout);
            put_word(text_of(row, "account"));
            putchar(' ');
            put_word(text_of(row, "protocol"));
            putchar('\n');
        }
    }
    return CTL_DONE;
}

static int search_and_print(struct search *s, const char *pattern, int64_t period) {
    struct accounts accounts = {.pattern = pattern};
    char since[TIMESTAMP_SIZE];
    int status = ctl_use_read(s->ctl, s->store, "*", &s->everybody);
    if (status != CTL_DONE)
        return status;
    s->from = s->ctl->now - period / 1000;
    if (s->everybody.since == 0 || s->everybody.since > s->from) {
        /* nothing that is younger than the question can answer it */
        ctl_warn(s->everybody.since == 0
                     ? "nothing is recorded%s: set record_use = on, and ask again after that time"
                     : "use is recorded since %s only: ask with a shorter --for, or later",
                 s->everybody.since == 0 ? "" : timestamp_format(s->everybody.since, since));
        return s->ctl->json ? ctl_print_json(json_array()) : CTL_DONE;
    }
    status = find_accounts(s->ctl, &accounts);
    if (status == CTL_DONE)
        status = search_all(s, &accounts);
    if (status == CTL_DONE)
        status = print(s);
    for (size_t i = 0; i < accounts.n; i++)
        free(accounts.names[i]);
    free(accounts.names);
    return status;
}

int ctl_unused(struct ctl *ctl, int argc, char **argv) {
    const struct decision_rules *rules = &ctl->config->rules;
    struct search s = {.ctl = ctl, .commands = ctl->commands};
    const char *length = ctl->length == NULL ? DEFAULT_FOR : ctl->length;
    int64_t period;
    if (duration_parse(length, &period) != 0 || period <= 0)
        return ctl_refuse(ctl, "--for %.60s: it must be a length of time like 90d, 12w or 12h",
                          length);
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE)
        status = ctl_use_open(ctl, &s.store);
    if (status != CTL_DONE)
        return status;
    s.found = json_array();
    s.n_protocols = fact_protocols(rules, NULL, 0);
    s.protocols = xcalloc(s.n_protocols, sizeof *s.protocols);
    fact_protocols(rules, s.protocols, s.n_protocols);
    status = search_and_print(&s, argc > 0 ? argv[0] : "*", period);
    free((void *)s.protocols);
    json_decref(s.found);
    ctl_use_clear(&s.everybody);
    use_store_free(s.store);
    return status;
}
