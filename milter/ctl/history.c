/*
 * `history`: who changed what and when. Owns the filtering and the form in which entries are shown.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/textbuf.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/passwords.h"
#include "memory.h"
#include "policies.h"
#include "print.h"

struct filter {
    const struct ctl *ctl;
    const char *pattern; /* of subjects; NULL for all */
    json_t **shown;      /* entries that passed, in their order */
    size_t n, room;
};

/* An account's is also what its user has set himself, and its app passwords. */
static bool matches_subject(const char *pattern, const char *subject) {
    const char *colon = strchr(subject, ':');
    if (pattern == NULL)
        return true;
    if (colon != NULL && strncmp(pattern, "account:", 8) == 0 &&
        (self_is_subject(subject) || password_is_subject(subject, strlen(subject)))) {
        pattern += strlen("account:");
        subject = colon + 1;
    }
    /* an address literal has brackets */
    return fnmatch(pattern, subject, 0) == 0 || strcmp(pattern, subject) == 0;
}

static bool matches(const struct filter *filter, const struct history_entry *entry) {
    const struct ctl *ctl = filter->ctl;
    char *subject = xstrndup(entry->subject.text ? entry->subject.text : "", entry->subject.len);
    char *field = xstrndup(entry->field.text ? entry->field.text : "", entry->field.len);
    char *actor = xstrndup(entry->actor.text ? entry->actor.text : "", entry->actor.len);
    bool pass = matches_subject(filter->pattern, subject);
    pass = pass && (ctl->field == NULL || fnmatch(ctl->field, field, 0) == 0);
    pass = pass && (ctl->actor == NULL || fnmatch(ctl->actor, actor, 0) == 0);
    free(subject);
    free(field);
    free(actor);
    return pass;
}

static json_t *entry_json(const struct history_entry *entry) {
    char time[TIMESTAMP_SIZE];
    json_t *told = json_object();
    json_object_set_new(told, "time", json_string(timestamp_format(entry->time / 1000, time)));
    json_object_set_new(told, "actor", json_octets(entry->actor.text, entry->actor.len));
    if (entry->client.text != NULL)
        json_object_set_new(told, "client", json_octets(entry->client.text, entry->client.len));
    json_object_set_new(told, "subject", json_octets(entry->subject.text, entry->subject.len));
    json_object_set_new(told, "field", json_octets(entry->field.text, entry->field.len));
    json_object_set_new(told, "old", json_octets(entry->old.text, entry->old.len));
    json_object_set_new(told, "new", json_octets(entry->new_value.text, entry->new_value.len));
    return told;
}

static int take(void *context, const struct history_entry *entry) {
    struct filter *filter = context;
    if (!matches(filter, entry))
        return 0;
    filter->shown = xgrow(filter->shown, filter->n, &filter->room, sizeof(json_t *));
    filter->shown[filter->n++] = entry_json(entry);
    return 0;
}

/* One line in logfmt: an absent value is empty, an empty one "". */
static void put_entry(const json_t *entry) {
    static const char *const keys[] = {"time", "actor", "client", "subject", "field", "old", "new"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char memory[LOG_VALUE_MAX * 4 + 20];
        struct textbuf buf;
        if (strcmp(keys[i], "client") == 0 && json_object_get(entry, keys[i]) == NULL)
            continue;
        textbuf_init(&buf, memory, sizeof memory);
        textbuf_put_logfmt(&buf, json_string_value(json_object_get(entry, keys[i])));
        printf("%s%s=%s", i == 0 ? "" : " ", keys[i], memory);
    }
    putchar('\n');
}

static const char *text_of(const json_t *entry, const char *key) {
    return json_string_value(json_object_get(entry, key));
}

static void put_value(const char *value) {
    if (value == NULL)
        fputs("unset", stdout);
    else if (value[0] == '\0')
        fputs("\"\"", stdout);
    else
        ctl_puts(stdout, value);
}

/* Both may be absent. */
static bool is_equal(const json_t *a, const json_t *b) {
    return a == b || json_equal(a, b);
}

/* For people: who and when once for all that was changed at that time, then each fact. */
static void put_readable(const json_t *entry, const json_t *before) {
    static const char *const who[] = {"time", "actor", "client"};
    bool same = before != NULL;
    for (size_t i = 0; i < sizeof who / sizeof *who; i++)
        same = same && is_equal(json_object_get(entry, who[i]), json_object_get(before, who[i]));
    if (!same) {
        ctl_paint(stdout, CTL_TITLE);
        ctl_puts(stdout, text_of(entry, "time"));
        fputs("  ", stdout);
        ctl_puts(stdout, text_of(entry, "actor") == NULL ? "" : text_of(entry, "actor"));
        if (text_of(entry, "client") != NULL) {
            fputs(" from ", stdout);
            ctl_puts(stdout, text_of(entry, "client"));
        }
        ctl_paint(stdout, CTL_PLAIN);
        putchar('\n');
    }
    fputs("  ", stdout);
    ctl_puts(stdout, text_of(entry, "subject") == NULL ? "" : text_of(entry, "subject"));
    putchar(' ');
    ctl_puts(stdout, text_of(entry, "field") == NULL ? "" : text_of(entry, "field"));
    fputs(": ", stdout);
    put_value(text_of(entry, "old"));
    fputs(" -> ", stdout);
    put_value(text_of(entry, "new"));
    putchar('\n');
}

static int show(const struct ctl *ctl, const struct filter *filter, bool logfmt) {
    size_t first = ctl->last > 0 && filter->n > ctl->last ? filter->n - ctl->last : 0;
    json_t *list = ctl->json ? json_array() : NULL;
    if (filter->n == 0)
        ctl_say_empty(ctl, "the history has no such change");
    for (size_t i = first; i < filter->n; i++) {
        if (list != NULL)
            json_array_append(list, filter->shown[i]);
        else if (logfmt)
            put_entry(filter->shown[i]);
        else
            put_readable(filter->shown[i], i > first ? filter->shown[i - 1] : NULL);
    }
    return ctl->json ? ctl_print_json(list) : CTL_DONE;
}

/* How it is printed: for people on a terminal, else as logfmt; --format says it. */
static int choose_format(const struct ctl *ctl, bool *logfmt) {
    *logfmt = ctl->format == NULL ? !ctl_is_for_people(ctl) : strcmp(ctl->format, "logfmt") == 0;
    if (ctl->format == NULL || *logfmt || strcmp(ctl->format, "text") == 0)
        return CTL_DONE;
    return ctl_refuse(ctl, "--format %.60s: it must be text or logfmt", ctl->format);
}

/* ACCOUNT, a pattern of accounts, or a whole subject such as network:relays. */
static int make_pattern(const struct ctl *ctl, const char *name, char **pattern) {
    if (strncmp(name, "account:", 8) == 0 || strncmp(name, "network:", 8) == 0 ||
        password_is_subject(name, strlen(name)) || self_is_subject(name)) {
        *pattern = xstrdup(name);
        return CTL_DONE;
    }
    if (strcmp(name, "*") == 0) { /* everybody's own subject */
        *pattern = xstrdup("account:\\*");
        return CTL_DONE;
    }
    if (strpbrk(name, "*?[") == NULL)
        return ctl_name_account(ctl, name, pattern);
    *pattern = xasprintf("account:%s", name);
    return CTL_DONE;
}

int ctl_history(struct ctl *ctl, int argc, char **argv) {
    struct filter filter = {.ctl = ctl};
    struct why why;

    char *pattern = NULL;
    int64_t since = 0;
    bool logfmt;
    int status = choose_format(ctl, &logfmt);
    if (status == CTL_DONE)
        status = ctl_parse_since(ctl, &since);
    if (status == CTL_DONE && argc > 0)
        status = make_pattern(ctl, argv[0], &pattern);
    if (status == CTL_DONE)
        status = ctl_open_writer(ctl);
    if (status != CTL_DONE) {
        free(pattern);
        return status;
    }
    filter.pattern = pattern;
    if (store_writer_history(ctl->writer, since, take, &filter, &why) != 0)
        status = ctl_fail_store(ctl, why.text);
    else
        status = show(ctl, &filter, logfmt);
    for (size_t i = 0; i < filter.n; i++)
        json_decref(filter.shown[i]);
    free(filter.shown);
    free(pattern);
    return status;
}
