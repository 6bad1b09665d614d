/*
 * `password add`, `list`, `remove`: app passwords. Owns what their arguments mean; where they are
 * stored is write/passwords.h's. The secret is printed once, by add, and never again.
 */
#include <stdlib.h>
#include <string.h>

#include "gatepost/cache/live_store.h"
#include "gatepost/core/textbuf.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_check.h"
#include "gatepost/write/passwords.h"
#include "memory.h"
#include "policies.h"
#include "table.h"

/* The account of an argument, without its subject's prefix; malloc'd. An address, no domain. */
static int name_account(struct ctl *ctl, const char *given, char **account) {
    char *subject;
    int status = ctl_name_account(ctl, given, &subject);
    if (status != CTL_DONE)
        return status;
    const char *name = subject + strlen("account:");
    if (name[0] == '@' || strcmp(name, "*") == 0)
        status = ctl_refuse(ctl, "%.100s: only an account has app passwords, no domain", given);
    else
        *account = xstrdup(name);
    free(subject);
    return status;
}

static int open_store(const struct ctl *ctl, struct password_store **out) {
    const struct store_settings settings = live_store_settings(ctl->config);
    struct why why;
    return password_store_open(&settings, out, &why) == 0 ? CTL_DONE
                                                          : ctl_fail(ctl, "%s", why.text);
}

/*
 * Puts into the history what was done with one: there, where it is read. Returns CTL_DONE, or
 * CTL_FAILED after saying why.
 */
static int record(const struct ctl *ctl, struct password_store *store, const char *account,
                  const char *id, const char *old, const char *new_value) {
    const struct password_event event = {
        .account = account, .id = id, .actor = ctl->actor, .old = old, .new_value = new_value};
    struct why why;
    if (!ctl->config->self_facts)
        return CTL_DONE;
    if (password_record(store, &event, &why) == 0)
        return CTL_DONE;
    ctl_warn("%s: changed, but not recorded in the history: %s", account, why.text);
    return CTL_FAILED;
}

/* ---- add ---- */

/* Adds the name, unless it is there. */
static void join(char **list, const char *name) {
    size_t len = strlen(name);
    for (const char *at = *list; at != NULL; at = at[0] == ',' ? at + 1 : NULL) {
        size_t word = strcspn(at, ",");
        if (word == len && memcmp(at, name, len) == 0)
            return;
        at += word;
    }
    char *joined = *list == NULL ? xstrdup(name) : xasprintf("%s,%s", *list, name);
    free(*list);
    *list = joined;
}

/* The services that a protocol has now, each once. */
static void join_services(const struct decision_rules *rules, const char *protocol, char **list) {
    bool defined = false;
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, protocol) != 0)
            continue;
        defined = true;
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            join(list, rules->protocols[i].services[j]);
    }
    if (!defined)
        join(list, protocol);
}

static int read_protocols(struct ctl *ctl, int n, char **names, char **protocols, char **services) {
    const struct decision_rules *rules = &ctl->config->rules;
    struct why why;
    for (int i = 0; i < n; i++) {
        if (fact_check_protocol(rules, names[i], &why) != FACT_GOOD)
            return ctl_refuse(ctl, "%s", why.text);
        if (strcmp(names[i], "*") == 0)
            return ctl_refuse(ctl, "an app password is for the protocols that it names, not for *");
        if (strcmp(names[i], "webmail") == 0)
            return ctl_refuse(ctl, "webmail takes no app passwords: it could make others");
        join(protocols, names[i]);
        join_services(rules, names[i], services);
    }
    return CTL_DONE;
}

static int read_note(const struct ctl *ctl) {
    const char *note = ctl->note == NULL ? "" : ctl->note;
    size_t len = strlen(note);
    if (strncmp(note, "until=", 6) == 0 || strncmp(note, "from=", 5) == 0)
        return ctl_refuse(ctl,
                          "--note: a note cannot begin with from= or until=: there is --until");
    for (size_t i = 0, sequence; i < len; i += sequence) {
        sequence = utf8_sequence(note + i, len - i);
        if (sequence == 0 || utf8_is_deceptive(note + i, sequence))
            return ctl_refuse(ctl, "--note: it must be one line of UTF-8");
    }
    return len <= 200 ? CTL_DONE : ctl_refuse(ctl, "--note: it is longer than 200 octets");
}

static int print_new(const struct ctl *ctl, const struct new_password *password, const char *secret,
                     const char *id) {
    if (ctl->json) {
        json_t *told = json_object();
        json_object_set_new(told, "account", json_text(password->account));
        json_object_set_new(told, "id", json_text(id));
        json_object_set_new(told, "password", json_text(secret));
        return ctl_print_json(told);
    }
    printf("%s\n", secret);
    ctl_warn("app password %s of %s, for %s: it is not shown again", id, password->account,
             password->protocols);
    return CTL_DONE;
}

static int add(struct ctl *ctl, const struct new_password *password) {
    struct password_store *store;
    char secret[APP_PASSWORD_SHOWN_SIZE], id[PASSWORD_ID_SIZE];
    struct why why;
    int status = open_store(ctl, &store);
    if (status != CTL_DONE)
        return status;
    if (password_add(store, password, secret, id, &why) != 0)
        status = ctl_fail(ctl, "%s", why.text);
    else
        status = print_new(ctl, password, secret, id);
    if (status == CTL_DONE)
        status = record(ctl, store, password->account, id, NULL, password->protocols);
    explicit_bzero(secret, sizeof secret);
    password_store_free(store);
    return status;
}

int ctl_password_add(struct ctl *ctl, int argc, char **argv) {
    char *account = NULL, *protocols = NULL, *services = NULL;
    struct new_password password = {.note = ctl->note, .now = ctl->now};
    int status = name_account(ctl, argv[0], &account);
    if (status == CTL_DONE)
        status = read_note(ctl);
    if (status == CTL_DONE && ctl->until != NULL)
        status = ctl_parse_until(ctl, &password.until);
    if (status == CTL_DONE && ctl->until != NULL && password.until <= ctl->now)
        status = ctl_refuse(ctl, "--until %.60s: that is in the past", ctl->until);
    if (status == CTL_DONE)
        status = read_protocols(ctl, argc - 1, argv + 1, &protocols, &services);
    if (status == CTL_DONE) {
        password.account = account;
        password.protocols = protocols;
        password.services = services;
        status = add(ctl, &password);
    }
    free(account);
    free(protocols);
    free(services);
    return status;
}

/* ---- list ---- */

struct listing {
    json_t *json; /* NULL: as text */
    struct ctl_table rows;
    size_t unreadable;
    int64_t now;
};

static json_t *part_json(struct app_password_part part) {
    return json_octets(part.text, part.len);
}

static void list_json(json_t *list, const struct app_password *password) {
    char text[TIMESTAMP_SIZE];
    json_t *told = json_object();
    json_object_set_new(told, "id", part_json(password->id));
    json_object_set_new(told, "protocols", part_json(password->protocols));
    json_object_set_new(told, "services", part_json(password->services));
    json_object_set_new(told, "created", json_text(timestamp_format(password->created, text)));
    if (password->from != 0)
        json_object_set_new(told, "from", json_text(timestamp_format(password->from, text)));
    json_object_set_new(told, "until",
                        password->until == 0 ? json_null()
                                             : json_text(timestamp_format(password->until, text)));
    json_object_set_new(told, "note", part_json(password->note));
    json_array_append_new(list, told);
}

/* With the time from which it will be good. */
static void add_note(struct listing *listing, const struct app_password *password) {
    char from[TIMESTAMP_SIZE];
    if (password->from <= listing->now) {
        ctl_table_add_octets(&listing->rows, password->note.text, password->note.len);
        return;
    }
    char *note = xasprintf("[from %s] %.*s", timestamp_format(password->from, from),
                           (int)password->note.len, password->note.text);
    ctl_table_add(&listing->rows, note);
    free(note);
}

/* password_take */
static void list_one(void *context, const struct app_password *password) {
    struct listing *listing = context;
    char created[TIMESTAMP_SIZE], until[TIMESTAMP_SIZE];
    if (password == NULL) {
        listing->unreadable++;
        return;
    }
    if (listing->json != NULL) {
        list_json(listing->json, password);
        return;
    }
    if (listing->rows.n == 0) {
        static const char *const titles[] = {"ID", "PROTOCOLS", "CREATED", "UNTIL", "NOTE"};
        for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
            ctl_table_add_painted(&listing->rows, titles[i], CTL_TITLE);
    }
    ctl_table_add_octets(&listing->rows, password->id.text, password->id.len);
    ctl_table_add_octets(&listing->rows, password->protocols.text, password->protocols.len);
    ctl_table_add(&listing->rows, timestamp_format(password->created, created));
    ctl_table_add(&listing->rows,
                  password->until == 0 ? "-" : timestamp_format(password->until, until));
    add_note(listing, password);
}

int ctl_password_list(struct ctl *ctl, int argc, char **argv) {
    struct listing listing = {
        .json = ctl->json ? json_array() : NULL, .rows = {.columns = 5}, .now = ctl->now};
    struct password_store *store;
    struct why why;
    char *account = NULL;
    (void)argc;
    int status = name_account(ctl, argv[0], &account);
    if (status == CTL_DONE)
        status = open_store(ctl, &store);
    if (status == CTL_DONE) {
        int rc = password_list(store, account, list_one, &listing, &why);
        ctl_table_print(&listing.rows);
        if (rc < 0)
            status = ctl_fail(ctl, "%s", why.text);
        else if (listing.json != NULL)
            status = ctl_print_json(json_incref(listing.json));
        else if (rc == 0)
            ctl_warn("%s has no app passwords", account);
        if (listing.unreadable > 0)
            ctl_warn("%zu of them cannot be read: they are good for nothing, and password remove "
                     "--all removes them",
                     listing.unreadable);
        password_store_free(store);
    }
    json_decref(listing.json);
    free(account);
    return status;
}

/* ---- remove ---- */

struct ids {
    const char *wanted; /* NULL for all */
    char **all;
    size_t n, room;
};

/* password_take */
static void note_id(void *context, const struct app_password *password) {
    struct ids *ids = context;
    if (password == NULL)
        return;
    char *id = xstrndup(password->id.text, password->id.len);
    if (ids->wanted != NULL && strcmp(ids->wanted, id) != 0) {
        free(id);
        return;
    }
    ids->all = xgrow(ids->all, ids->n, &ids->room, sizeof *ids->all);
    ids->all[ids->n++] = id;
}

/* Removes one, or all (NULL), and records which. How many, or -1 with the reason. */
static int remove_them(const struct ctl *ctl, struct password_store *store, const char *account,
                       const char *id, int *status, struct why *why) {
    struct ids ids = {.wanted = id};
    int removed = password_list(store, account, note_id, &ids, why);
    if (removed >= 0)
        removed = password_remove(store, account, id, why);
    for (size_t i = 0; i < ids.n; i++) {
        if (removed > 0 && *status == CTL_DONE)
            *status = record(ctl, store, account, ids.all[i], "good", NULL);
        free(ids.all[i]);
    }
    free(ids.all);
    return removed;
}

static void print_removed(const struct ctl *ctl, int removed) {
    if (ctl->json)
        ctl_print_json(json_pack("{s:i}", "removed", removed));
    else
        printf("%d removed\n", removed);
}

int ctl_password_remove(struct ctl *ctl, int argc, char **argv) {
    struct password_store *store;
    struct why why;
    char *account = NULL;
    if ((argc == 2) == ctl->all)
        return ctl_refuse(ctl, "password remove takes either an ID or --all");
    int status = name_account(ctl, argv[0], &account);
    if (status == CTL_DONE)
        status = open_store(ctl, &store);
    if (status == CTL_DONE) {
        int removed = remove_them(ctl, store, account, ctl->all ? NULL : argv[1], &status, &why);
        if (removed < 0)
            status = ctl_fail(ctl, "%s", why.text);
        else if (removed == 0 && !ctl->all)
            status = ctl_refuse(ctl, "%s has no app password %.60s", account, argv[1]);
        else
            print_removed(ctl, removed);
        password_store_free(store);
    }
    free(account);
    return status;
}

int ctl_passwords_drop(struct ctl *ctl, const char *given) {
    struct password_store *store;
    struct why why;
    char *account = NULL;
    int status = name_account(ctl, given, &account);
    if (status == CTL_DONE)
        status = open_store(ctl, &store);
    if (status == CTL_DONE) {
        int removed = remove_them(ctl, store, account, NULL, &status, &why);
        if (removed < 0)
            status =
                ctl_fail(ctl, "its app passwords cannot be removed, so nothing was: %s", why.text);
        else if (removed > 0)
            ctl_warn("%s: app passwords removed: %d", account, removed);
        password_store_free(store);
    }
    free(account);
    return status;
}
