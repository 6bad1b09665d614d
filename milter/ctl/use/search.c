/*
 * Which accounts there are to ask about, and what the record says of each. Owns what counts as
 * unused; which services a protocol has, and whether it is on, is the decision's.
 */
#include "search.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "../effective.h"
#include "../memory.h"
#include "../print.h"
#include "gatepost/core/duration.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_check.h"

bool use_is_recorded(const struct use_search *s, const char *service, int64_t from) {
    for (size_t i = 0; i < s->everybody.n; i++)
        if (strcmp(s->everybody.lines[i].service, service) == 0)
            return s->everybody.lines[i].first <= from;
    return false;
}

/* What is known of a protocol: when one of its services was used last, and which are not
   recorded since then. */
struct known {
    int64_t last;
    json_t *unrecorded; /* owned */
};

static void ask_service(const struct use_search *s, const struct ctl_use *use, const char *service,
                        int64_t from, struct known *known) {
    int64_t last = ctl_use_last(use, service);
    if (last > known->last)
        known->last = last;
    if (!use_is_recorded(s, service, from))
        json_array_append_new(known->unrecorded, json_text(service));
}

static struct known ask_protocol(const struct use_search *s, const struct ctl_use *use,
                                 const char *name, int64_t from) {
    const struct decision_rules *rules = &s->ctl->config->rules;
    struct known known = {.unrecorded = json_array()};
    bool defined = false;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, name) != 0)
            continue;
        defined = true;
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            ask_service(s, use, rules->protocols[i].services[j], from, &known);
    }
    if (!defined)
        ask_service(s, use, name, from, &known);
    return known;
}

/* `smtp` is for mail without a login, which nobody records. */
static bool is_for_logins(const struct use_search *s, const char *name) {
    return strcmp(name, "smtp") != 0 || fact_service_is_bound(&s->ctl->config->rules, "smtp");
}

json_t *use_unused(const struct use_search *s, const char *account, const struct policy_set *set,
                   const struct ctl_use *use, int64_t from) {
    json_t *found = json_array();
    char text[TIMESTAMP_SIZE];
    for (size_t i = 0; i < s->n_protocols; i++) {
        const struct effective is = effective_protocol(set, s->protocols[i]);
        if (strcmp(is.value, "on") != 0 || !is_for_logins(s, s->protocols[i]))
            continue;
        struct known known = ask_protocol(s, use, s->protocols[i], from);
        if (known.last >= from) {
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
        json_array_append_new(found, told);
    }
    return found;
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

static int search_account(struct use_search *s, const char *account) {
    struct ctl_policies policies;
    struct ctl_use use;
    int status = ctl_policies_of(s->ctl, account, &policies);
    if (status != CTL_DONE)
        return status;
    status = ctl_use_read(s->ctl, s->store, account, &use);
    if (status == CTL_DONE) {
        s->visit(s, account, &policies, &use);
        ctl_use_clear(&use);
    }
    ctl_policies_clear(&policies);
    return status;
}

static int search_all(struct use_search *s, const char *pattern) {
    struct accounts accounts = {.pattern = pattern};
    int status = find_accounts(s->ctl, &accounts);
    for (size_t i = 0; status == CTL_DONE && i < accounts.n; i++)
        if (i == 0 || strcmp(accounts.names[i - 1], accounts.names[i]) != 0)
            status = search_account(s, accounts.names[i]);
    for (size_t i = 0; i < accounts.n; i++)
        free(accounts.names[i]);
    free(accounts.names);
    return status;
}

/* Nothing that is younger than the question can answer it. */
static bool is_too_young(const struct use_search *s) {
    char since[TIMESTAMP_SIZE];
    if (s->everybody.since == 0)
        ctl_warn("nothing is recorded: set record_use = on, and ask again after that time");
    else if (s->everybody.since > s->ctl->now - s->period)
        ctl_warn("use is recorded since %s only: ask with a shorter --for, or later",
                 timestamp_format(s->everybody.since, since));
    else
        return false;
    return true;
}

static int search(struct use_search *s, const char *pattern) {
    int status = ctl_use_read(s->ctl, s->store, "*", &s->everybody);
    if (status != CTL_DONE || is_too_young(s))
        return status;
    s->n_protocols = fact_protocols(&s->ctl->config->rules, NULL, 0);
    s->protocols = xcalloc(s->n_protocols, sizeof *s->protocols);
    fact_protocols(&s->ctl->config->rules, s->protocols, s->n_protocols);
    status = search_all(s, pattern);
    free((void *)s->protocols);
    return status;
}

int use_search(struct use_search *s, const char *pattern, const char *otherwise) {
    const char *length = s->ctl->length == NULL ? otherwise : s->ctl->length;
    int64_t period;
    if (duration_parse(length, &period) != 0 || period <= 0)
        return ctl_refuse(s->ctl, "--for %.60s: it must be a length of time like 90d, 12w or 12h",
                          length);
    s->period = period / 1000;
    int status = ctl_open_writer(s->ctl);
    if (status == CTL_DONE)
        status = ctl_use_open(s->ctl, &s->store);
    if (status != CTL_DONE)
        return status;
    status = search(s, pattern);
    ctl_use_clear(&s->everybody);
    use_store_free(s->store);
    return status;
}

void use_put_word(const char *word) {
    char *quoted = ctl_quote(word);
    fputs(quoted, stdout);
    free(quoted);
}
