/*
 * `use ACCOUNT`: by which services an account has come in, and from where. Owns the reading of the
 * record for all commands, and how one is shown.
 */
#include "use.h"

#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../policies.h"
#include "../table.h"
#include "gatepost/cache/live_store.h"
#include "gatepost/core/timestamp.h"

struct store_settings ctl_use_settings(const struct ctl *ctl) {
    struct store_settings settings = live_store_settings(ctl->config);
    if (ctl->config->use_store[0] != '\0')
        settings.url = ctl->config->use_store;
    return settings;
}

int ctl_use_open(const struct ctl *ctl, struct use_store **out) {
    const struct store_settings settings = ctl_use_settings(ctl);
    struct why why;
    return use_store_open(&settings, out, &why) == 0 ? CTL_DONE : ctl_fail(ctl, "%s", why.text);
}

/* use_take */
static void take(void *context, const struct use_line *line) {
    struct ctl_use *use = context;
    if (line->service[0] == '\0') {
        use->since = line->first;
        return;
    }
    use->lines = xgrow(use->lines, use->n, &use->room, sizeof *use->lines);
    use->lines[use->n++] = (struct ctl_use_line){.service = xstrdup(line->service),
                                                 .block = xstrdup(line->block),
                                                 .last = line->last,
                                                 .first = line->first};
}

static int compare_lines(const void *a, const void *b) {
    const struct ctl_use_line *x = a, *y = b;
    if (x->last != y->last)
        return x->last < y->last ? 1 : -1;
    int services = strcmp(x->service, y->service);
    return services != 0 ? services : strcmp(x->block, y->block);
}

int ctl_use_try(struct use_store *store, const char *account, struct ctl_use *out,
                struct why *why) {
    *out = (struct ctl_use){.n = 0};
    if (use_read(store, account, take, out, why) < 0)
        return -1;
    if (out->n > 1)
        qsort(out->lines, out->n, sizeof *out->lines, compare_lines);
    return 0;
}

int ctl_use_read(const struct ctl *ctl, struct use_store *store, const char *account,
                 struct ctl_use *out) {
    struct why why;
    return ctl_use_try(store, account, out, &why) == 0 ? CTL_DONE : ctl_fail(ctl, "%s", why.text);
}

int ctl_use_since(struct use_store *store, int64_t *since, struct why *why) {
    struct ctl_use all = {.n = 0};
    int rc = use_read(store, "*", take, &all, why);
    *since = all.since;
    ctl_use_clear(&all);
    return rc < 0 ? -1 : 0;
}

void ctl_use_clear(struct ctl_use *use) {
    for (size_t i = 0; i < use->n; i++) {
        free(use->lines[i].service);
        free(use->lines[i].block);
    }
    free(use->lines);
    *use = (struct ctl_use){0};
}

int64_t ctl_use_last(const struct ctl_use *use, const char *service) {
    for (size_t i = 0; i < use->n; i++) /* the youngest comes first */
        if (strcmp(use->lines[i].service, service) == 0)
            return use->lines[i].last;
    return 0;
}

static void add_service(const struct ctl_use *use, const char *service, json_t *told,
                        int64_t *last) {
    char text[TIMESTAMP_SIZE];
    int64_t at = ctl_use_last(use, service);
    if (at != 0)
        json_object_set_new(told, service, json_text(timestamp_format(at, text)));
    if (at > *last)
        *last = at;
}

json_t *ctl_use_of_protocol(const struct decision_rules *rules, const struct ctl_use *use,
                            const char *protocol, int64_t *last) {
    json_t *told = json_object();
    bool defined = false;
    *last = 0;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, protocol) != 0)
            continue;
        defined = true;
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            add_service(use, rules->protocols[i].services[j], told, last);
    }
    if (!defined)
        add_service(use, protocol, told, last);
    return told;
}

/* ---- the command ---- */

static json_t *line_json(const struct ctl_use_line *line) {
    char last[TIMESTAMP_SIZE], first[TIMESTAMP_SIZE];
    json_t *told = json_object();
    json_object_set_new(told, "service", json_text(line->service));
    json_object_set_new(told, "block", json_text(line->block));
    json_object_set_new(told, "last", json_text(timestamp_format(line->last, last)));
    json_object_set_new(told, "first", json_text(timestamp_format(line->first, first)));
    return told;
}

static int print_json(const char *account, const struct ctl_use *use, int64_t since) {
    char text[TIMESTAMP_SIZE];
    json_t *all = json_object(), *lines = json_array();
    json_object_set_new(all, "account", json_text(account));
    json_object_set_new(all, "since",
                        since == 0 ? json_null() : json_text(timestamp_format(since, text)));
    for (size_t i = 0; i < use->n; i++)
        json_array_append_new(lines, line_json(&use->lines[i]));
    json_object_set_new(all, "use", lines);
    return ctl_print_json(all);
}

static void print_text(const char *account, const struct ctl_use *use, int64_t since) {
    static const char *const titles[] = {"SERVICE", "BLOCK", "LAST", "FIRST"};
    char last[TIMESTAMP_SIZE], first[TIMESTAMP_SIZE];
    struct ctl_table table = {.columns = 4};
    for (size_t i = 0; use->n > 0 && i < table.columns; i++)
        ctl_table_add_painted(&table, titles[i], CTL_TITLE);
    for (size_t i = 0; i < use->n; i++) {
        const struct ctl_use_line *line = &use->lines[i];
        ctl_table_add(&table, line->service);
        ctl_table_add(&table, line->block);
        ctl_table_add(&table, timestamp_format(line->last, last));
        ctl_table_add(&table, timestamp_format(line->first, first));
    }
    ctl_table_print(&table);
    if (use->n > 0)
        return;
    if (since == 0)
        ctl_warn("nothing is recorded: record_use is off, or nobody has logged in yet");
    else
        ctl_warn("%s: no login is recorded since %s", account, timestamp_format(since, last));
}

static int show(const struct ctl *ctl, struct use_store *store, const char *account) {
    struct ctl_use use, all;
    int status = ctl_use_read(ctl, store, account, &use);
    if (status != CTL_DONE)
        return status;
    status = ctl_use_read(ctl, store, "*", &all);
    if (status == CTL_DONE && ctl->json)
        status = print_json(account, &use, all.since);
    else if (status == CTL_DONE)
        print_text(account, &use, all.since);
    ctl_use_clear(&use);
    ctl_use_clear(&all);
    return status;
}

static int forget(const struct ctl *ctl, struct use_store *store, const char *account) {
    struct why why;
    int rc = use_forget(store, account, &why);
    if (rc < 0)
        return ctl_fail(ctl, "%s", why.text);
    if (ctl->json) {
        json_t *told = json_object();
        json_object_set_new(told, "account", json_text(account));
        json_object_set_new(told, "forgotten", json_boolean(rc));
        return ctl_print_json(told);
    }
    if (rc == 0)
        ctl_warn("%s has no record of use", account);
    return CTL_DONE;
}

int ctl_use_delete(struct ctl *ctl, const char *account) {
    struct use_store *store;
    struct why why;
    char *subject;
    int status = ctl_name_account(ctl, account, &subject);
    if (status != CTL_DONE)
        return status;
    status = ctl_use_open(ctl, &store);
    if (status == CTL_DONE) {
        if (use_forget(store, subject + strlen("account:"), &why) < 0)
            status = ctl_fail(ctl, "its record of use stays: %s", why.text);
        use_store_free(store);
    }
    free(subject);
    return status;
}

int ctl_use(struct ctl *ctl, int argc, char **argv) {
    struct use_store *store;
    char *subject;
    (void)argc;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    const char *account = subject + strlen("account:");
    if (account[0] == '@' ||
        strcmp(account, "*") == 0) /* that of "*" says since when there is one */
        status = ctl_refuse(ctl, "%.100s: only an account has a record of use, no domain", argv[0]);
    else
        status = ctl_use_open(ctl, &store);
    if (status == CTL_DONE) {
        status = ctl->forget ? forget(ctl, store, account) : show(ctl, store, account);
        use_store_free(store);
    }
    free(subject);
    return status;
}
