/*
 * The commands about whole accounts: list, show, delete. Owns which subjects are accounts and the
 * arrangement of what holds for one and where it comes from; the answers are those that the
 * decision itself gets from policy.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "effective.h"
#include "entries.h"
#include "gatepost/core/timestamp.h"
#include "memory.h"
#include "table.h"
#include "use/use.h"
#include "write/write.h"

/* ---- list ---- */

int ctl_account_list(struct ctl *ctl, int argc, char **argv) {
    struct ctl_names names;
    char *pattern = xasprintf("account:%s", argc > 0 ? argv[0] : "*");
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE)
        status = ctl_names_read(ctl, pattern, &names);
    free(pattern);
    if (status != CTL_DONE)
        return status;
    json_t *list = ctl->json ? json_array() : NULL;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.names[i] + strlen("account:");
        if (list != NULL) {
            json_array_append_new(list, json_text(name));
        } else {
            ctl_puts(stdout, name);
            putchar('\n');
        }
    }
    if (names.n == 0)
        ctl_say_empty(ctl,
                      argc > 0 ? "no account with policy of its own matches %s"
                               : "no account has policy%s",
                      argc > 0 ? argv[0] : "");
    if (names.odd > 0)
        ctl_warn("%zu keys have a NUL octet in their names and are not listed", names.odd);
    ctl_names_clear(&names);
    return list != NULL ? ctl_print_json(list) : CTL_DONE;
}

/* ---- show: as text ---- */

/* A part of what is shown: an object or array of JSON, or rows. */
struct part {
    json_t *json; /* the whole's; NULL: rows */
    struct ctl_table rows;
    size_t hidden; /* rows that are left out */
};

/* `used`: when that was, in a column of its own; NULL: without that column. */
static void add_row(struct ctl_table *rows, const struct effective *s, const char *used) {
    static const char *const bad[] = {"off", "refused", "malformed"};
    char from[1000];
    enum ctl_paint paint = CTL_PLAIN;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (strcmp(s->value, bad[i]) == 0)
            paint = CTL_BAD;
    ctl_table_add(rows, s->name);
    ctl_table_add_painted(rows, s->value, paint);
    if (used != NULL)
        ctl_table_add(rows, used);
    if (s->origin.subject == NULL) {
        ctl_table_add(rows, s->from);
        return;
    }
    char until[TIMESTAMP_SIZE] = "";
    if (s->until != 0)
        timestamp_format(s->until, until);
    snprintf(from, sizeof from, "%.600s %.300s%s%s", s->origin.subject, s->origin.field,
             s->until != 0 ? " until " : "", until);
    ctl_table_add(rows, from);
}

/* Where what is shown goes: into the JSON under its name, or into a row. */
static void tell(struct part *part, const struct effective *s) {
    if (part->json != NULL)
        json_object_set_new(part->json, s->name, effective_json(s));
    else
        add_row(&part->rows, s, part->rows.columns == 4 ? "" : NULL);
}

static void title(const json_t *json, const char *text) {
    if (json != NULL)
        return;
    putchar('\n');
    ctl_paint(stdout, CTL_TITLE);
    fputs(text, stdout);
    ctl_paint(stdout, CTL_PLAIN);
    putchar('\n');
}

static struct part begin_part(json_t *all, const char *name) {
    struct part part = {.rows = {.columns = 3, .indent = 2}};
    if (all != NULL)
        json_object_set_new(all, name, part.json = json_object());
    title(all, name);
    return part;
}

static void end_part(struct part *part, const char *what) {
    ctl_table_print(&part->rows);
    if (part->hidden > 0)
        printf("  (%zu %s that no listener serves: --all shows them)\n", part->hidden, what);
}

/* ---- show: the parts ---- */

static const char *state_of(const struct store_hash *hash) {
    switch (hash->answer) {
    case STORE_WRONG_TYPE:
        return "wrong type";
    case STORE_TOO_LARGE:
        return "too large";
    case STORE_FOUND:
        return "found";
    default:
        return "absent";
    }
}

static void add_subject(struct ctl_table *rows, const char *subject,
                        const struct store_hash *hash) {
    char fields[40];
    snprintf(fields, sizeof fields, "%zu %s", hash->n, hash->n == 1 ? "field" : "fields");
    ctl_table_add(rows, subject);
    ctl_table_add(rows, hash->answer == STORE_FOUND        ? fields
                        : hash->answer == STORE_ABSENT     ? "no policy"
                        : hash->answer == STORE_WRONG_TYPE ? "wrong type: not a hash"
                                                           : state_of(hash));
}

static void tell_subjects(const struct ctl_policies *p, json_t *json) {
    struct ctl_table rows = {.columns = 2, .indent = 2};
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        if (p->subjects[i] == NULL || p->hashes[i].answer == STORE_UNANSWERED ||
            (i == SUBJECT_SELF && p->hashes[i].answer == STORE_ABSENT))
            continue;
        if (json != NULL) {
            json_t *told = json_object();
            json_object_set_new(told, "subject", json_text(p->subjects[i]));
            json_object_set_new(told, "state", json_text(state_of(&p->hashes[i])));
            json_object_set_new(told, "fields", json_integer((json_int_t)p->hashes[i].n));
            json_array_append_new(json, told);
        } else {
            add_subject(&rows, p->subjects[i], &p->hashes[i]);
        }
    }
    ctl_table_print(&rows);
}

/* Fields with one setting come first, those with one for each key follow. */
static void tell_settings(const struct ctl *ctl, const struct policy_set *set, json_t *all) {
    static const enum policy_field_kind kinds[] = {FIELD_IS_SETTING, FIELD_HAS_KEYS};
    struct part part = begin_part(all, "settings");
    for (size_t i = 0; i < 2 * POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i % POLICY_FIELDS];
        if (field->kind != kinds[i / POLICY_FIELDS])
            continue;
        for (size_t number = 0; number < policy_field_settings(field); number++) {
            struct effective s = effective_setting(&ctl->config->rules, set, field->id, number);
            tell(&part, &s);
        }
    }
    end_part(&part, "");
}

/* ---- show: what is served ---- */

/* One that nobody serves says nothing here, unless somebody has set it; JSON has all. */
static void tell_if_served(const struct ctl *ctl, struct part *part, const struct effective *s,
                           bool served) {
    if (served || ctl->all || part->json != NULL || s->origin.subject != NULL)
        tell(part, s);
    else
        part->hidden++;
}

/* One protocol with when it was used last. */
static void tell_used(const struct ctl *ctl, struct part *part, const struct effective *s,
                      const struct ctl_use *use) {
    char time[TIMESTAMP_SIZE], used[40] = "not used";
    int64_t last;
    json_t *services = ctl_use_of_protocol(&ctl->config->rules, use, s->name, &last);
    if (part->json != NULL) {
        json_t *told = effective_json(s);
        json_object_set(told, "last_use", services);
        json_object_set_new(part->json, s->name, told);
    } else if (last == 0 && !ctl->all && s->origin.subject == NULL &&
               !effective_protocol_is_served(ctl->config, s->name)) {
        part->hidden++;
    } else {
        if (last != 0)
            snprintf(used, sizeof used, "used %.10s", timestamp_format(last, time));
        add_row(&part->rows, s, used);
    }
    json_decref(services);
}

/* `use` is NULL where it is not known. */
static void tell_protocols(const struct ctl *ctl, const struct policy_set *set,
                           const struct ctl_use *use, json_t *all) {
    const struct decision_rules *rules = &ctl->config->rules;
    struct part part = begin_part(all, "protocols");
    part.rows.columns = use == NULL ? 3 : 4;
    size_t n = fact_protocols(rules, NULL, 0);
    const char **names = xcalloc(n, sizeof *names);
    fact_protocols(rules, names, n);
    for (size_t i = 0; i < n; i++) {
        struct effective s = effective_protocol(set, names[i]);
        /* nobody records mail without a login, which is what smtp is for */
        if (use != NULL && (strcmp(s.name, "smtp") != 0 || fact_service_is_bound(rules, "smtp")))
            tell_used(ctl, &part, &s, use);
        else
            tell_if_served(ctl, &part, &s, effective_protocol_is_served(ctl->config, names[i]));
    }
    free((void *)names);
    end_part(&part, "more");
}

static void tell_services(const struct ctl *ctl, const struct policy_set *set, json_t *all) {
    struct part part = begin_part(all, "services");
    for (size_t i = 0; i < service_words.count; i++) {
        const char *name = service_words.names[i];
        struct effective s = effective_service(&ctl->config->rules, set, name);
        tell_if_served(ctl, &part, &s, effective_is_served(ctl->config, name));
    }
    end_part(&part, "more");
}

static void tell_faults(const struct ctl_policies *p, json_t *json) {
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        for (size_t j = 0; p->policies[i] != NULL && j < p->policies[i]->n_faults; j++) {
            const struct policy_fault *fault = &p->policies[i]->faults[j];
            bool unknown = fault->kind == FAULT_UNKNOWN_FIELD;
            if (json != NULL) {
                json_t *told = json_object();
                json_object_set_new(told, "subject", json_text(p->subjects[i]));
                json_object_set_new(told, "field", json_text(fault->field));
                json_object_set_new(told, "problem", json_text(fault->why));
                json_object_set_new(told, "unknown", json_boolean(unknown));
                json_array_append_new(json, told);
            } else {
                fputs("  ", stdout);
                ctl_puts(stdout, p->subjects[i]);
                putchar(' ');
                ctl_puts(stdout, fault->field);
                fputs(": ", stdout);
                ctl_puts(stdout, fault->why);
                puts(unknown ? " (ignored)" : "");
            }
        }
    }
}

static size_t count_faults(const struct ctl_policies *p) {
    size_t n = 0;
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        n += p->policies[i] == NULL ? 0 : p->policies[i]->n_faults;
    return n;
}

static size_t count_entries(const struct ctl_policies *p, enum entry_list which) {
    size_t n = 0;
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        const struct policy *policy = p->policies[i];
        if (policy != NULL)
            n += which == ENTRIES_AS ? policy->n_as : policy->n_ips + policy->n_providers;
    }
    return n;
}

/* A new list of that name in `all`; NULL for NULL. */
static json_t *add_list(json_t *all, const char *name) {
    json_t *list = all == NULL ? NULL : json_array();
    if (list != NULL)
        json_object_set_new(all, name, list);
    return list;
}

static int show(const struct ctl *ctl, const struct ctl_policies *p, const struct ctl_use *use) {
    const char *name = p->subjects[p->own] + strlen("account:");
    bool known = policy_is_known(&p->set);
    json_t *all = ctl->json ? json_object() : NULL;
    if (ctl->json) {
        json_object_set_new(all, "account", json_text(name));
        json_object_set_new(all, "known", json_boolean(known));
    } else {
        ctl_puts(stdout, name);
        puts(p->own != SUBJECT_ACCOUNT ? "" : known ? " (known)" : " (not known)");
    }
    tell_subjects(p, add_list(all, "subjects"));
    tell_settings(ctl, &p->set, all);
    tell_protocols(ctl, &p->set, use, all);
    tell_services(ctl, &p->set, all);
    if (count_entries(p, ENTRIES_LISTED) > 0 || ctl->json) {
        title(all, "listed addresses");
        ctl_list_entries(ctl, ENTRIES_LISTED, p, 2, add_list(all, "addresses"));
    }
    if (count_entries(p, ENTRIES_AS) > 0 || ctl->json) {
        title(all, "sends also as");
        ctl_list_entries(ctl, ENTRIES_AS, p, 2, add_list(all, "sends_as"));
    }
    if (count_faults(p) > 0 || ctl->json) {
        title(all, "problems");
        tell_faults(p, add_list(all, "problems"));
    }
    return ctl->json ? ctl_print_json(all) : CTL_DONE;
}

/* Reads its use where that is recorded. False, after a warning, where it cannot be read. */
static bool read_use(const struct ctl *ctl, const struct ctl_policies *p, struct ctl_use *use) {
    const struct store_settings settings = ctl_use_settings(ctl);
    struct use_store *store;
    struct why why;
    *use = (struct ctl_use){.n = 0};
    if (!ctl->config->record_use || p->own != SUBJECT_ACCOUNT)
        return false;
    int rc = use_store_open(&settings, &store, &why);
    if (rc == 0) {
        rc = ctl_use_try(store, p->subjects[p->own] + strlen("account:"), use, &why);
        use_store_free(store);
    }
    if (rc < 0)
        ctl_warn("cannot read when its protocols were used: %s", why.text);
    return rc == 0;
}

int ctl_account_show(struct ctl *ctl, int argc, char **argv) {
    struct ctl_policies policies;
    struct ctl_use use;
    (void)argc;
    int status = ctl_policies_of(ctl, argv[0], &policies);
    if (status != CTL_DONE)
        return status;
    status = show(ctl, &policies, read_use(ctl, &policies, &use) ? &use : NULL);
    ctl_use_clear(&use);
    ctl_policies_clear(&policies);
    return status;
}

/* ---- delete ---- */

/*
 * A key that no look-up asks for, such as one in upper case, can go only by its own name: this is
 * tried when there is no such account.
 */
static int exists(struct ctl *ctl, const char *subject, bool *there) {
    struct store_hash hash;
    struct why why;
    if (ctl_read_hash(ctl, subject, &hash, &why) != 0)
        return ctl_fail_store(ctl, why.text);
    *there = hash.answer != STORE_ABSENT;
    store_hash_clear(&hash);
    return CTL_DONE;
}

/* A key of exactly this name comes first: that is how one goes which no look-up uses. */
static int find_subject(struct ctl *ctl, const char *name, char **subject) {
    bool there = false;
    int status = ctl_open_writer(ctl);
    if (status != CTL_DONE)
        return status;
    *subject = xasprintf("account:%s", name);
    status = exists(ctl, *subject, &there);
    if (status == CTL_DONE && there)
        return CTL_DONE;
    free(*subject);
    *subject = NULL;
    return status == CTL_DONE ? ctl_name_account(ctl, name, subject) : status;
}

/* Of domains, of everybody and of what no look-up uses there is nothing but policy. */
static bool is_one_account(const struct ctl *ctl, const char *subject) {
    const char *name = subject + strlen("account:");
    struct why why;
    return name[0] != '@' && strcmp(name, "*") != 0 &&
           ctl_check_subject(ctl, subject, &why) == FACT_GOOD;
}

/* Its app passwords go first, or nothing does; but not before all else is sure to go. */
static int delete_account(struct ctl *ctl, const char *subject) {
    int status = ctl->dry_run ? CTL_DONE : ctl_write_may_drop(ctl, subject);
    if (status == CTL_DONE && !ctl->dry_run && ctl->config->passwords_listen[0] != '\0')
        status = ctl_passwords_drop(ctl, subject);
    if (status == CTL_DONE)
        status = ctl_self_drop(ctl, subject + strlen("account:"));
    if (status == CTL_DONE)
        status = ctl_write_drop(ctl, subject);
    return status == CTL_DONE && !ctl->dry_run && ctl->config->record_use
               ? ctl_use_delete(ctl, subject)
               : status;
}

int ctl_account_delete(struct ctl *ctl, int argc, char **argv) {
    char *subject = NULL;
    (void)argc;
    int status = find_subject(ctl, argv[0], &subject);
    if (status == CTL_DONE)
        status = is_one_account(ctl, subject) ? delete_account(ctl, subject)
                                              : ctl_write_drop(ctl, subject);
    free(subject);
    return status;
}
