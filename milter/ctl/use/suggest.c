/*
 * `suggest`: what the recorded use would allow to tighten. Owns what is proposed, and what it rests
 * on. Nothing is proposed that the guard would refuse, or where the record may be incomplete.
 */
#include <stdlib.h>
#include <string.h>

#include "../effective.h"
#include "../memory.h"
#include "../print.h"
#include "closing.h"
#include "gatepost/core/timestamp.h"
#include "strangers.h"

#define PROTOCOLS_FOR (90 * 86400) /* seconds, without --for */
#define SOURCES_FOR "30d"
#define BLOCKS_MAX 3

struct suggesting {
    struct use_search search; /* first: the visitor is handed it */
    struct strangers strangers;
    size_t left_out; /* accounts whose mail without a login is not known */
};

/* One change, of which words after the account are NULL where it has none. */
struct change {
    const char *verb, *kind, *account, *what;
};

static void propose(struct use_search *s, const struct change *change, json_t *from, json_t *until,
                    bool leads, char *reason) {
    const char *const words[] = {change->verb, change->kind, change->account, change->what};
    json_t *told = json_object(), *command = json_array();
    for (size_t i = 0; i < 4; i++)
        if (words[i] != NULL)
            json_array_append_new(command, json_text(words[i]));
    json_object_set_new(told, "account", json_text(change->account));
    json_object_set_new(told, "command", command);
    json_object_set_new(told, "first", from);
    json_object_set_new(told, "last", until);
    json_object_set_new(told, "leads", json_boolean(leads)); /* to the next one */
    json_object_set_new(told, "reason", json_text(reason));
    json_array_append_new(s->found, told);
    free(reason);
}

/* ---- protocols ---- */

static void suggest_protocol(struct use_search *s, const char *account, const json_t *row) {
    const char *protocol = json_string_value(json_object_get(row, "protocol"));
    json_t *last = json_object_get(row, "last");
    char since[TIMESTAMP_SIZE];
    timestamp_format(s->everybody.since, since);
    char *reason = json_is_null(last) ? xasprintf("never used, recorded since %.10s", since)
                                      : xasprintf("last used %.10s", json_string_value(last));
    propose(s, &(struct change){"protocol", "off", account, protocol}, json_text(since),
            json_incref(last), false, reason);
}

static void suggest_protocols(struct use_search *s, const char *account,
                              const struct ctl_policies *policies, const struct ctl_use *use) {
    int64_t period = s->ctl->length == NULL ? PROTOCOLS_FOR : s->period;
    int64_t from = s->ctl->now - period;
    json_t *rows = use_unused(s, account, &policies->set, use, from);
    size_t i;
    const json_t *row;
    use_closable(s, policies, use, from, rows);
    json_array_foreach(rows, i, row) {
        if (json_is_true(json_object_get(row, "close")))
            suggest_protocol(s, account, row);
    }
    json_decref(rows);
}

/* ---- addresses ---- */

struct sources {
    struct {
        const char *text; /* the record's */
        struct netblock block;
        int64_t first, last;
        bool listed;
    } blocks[BLOCKS_MAX];
    size_t n;
    int64_t first, last;
};

/* False when there are too many, or one cannot be read. */
static bool add_source(struct sources *all, const struct ctl_use_line *line) {
    struct why why;
    size_t i = 0;
    while (i < all->n && strcmp(all->blocks[i].text, line->block) != 0)
        i++;
    if (i == BLOCKS_MAX)
        return false;
    if (i == all->n) {
        if (netblock_parse(line->block, strlen(line->block), &all->blocks[i].block, &why) != 0)
            return false;
        all->blocks[i].text = line->block;
        all->blocks[i].first = line->first;
        all->n++;
    }
    if (line->first < all->blocks[i].first)
        all->blocks[i].first = line->first;
    if (line->last > all->blocks[i].last)
        all->blocks[i].last = line->last;
    if (all->first == 0 || line->first < all->first)
        all->first = line->first;
    if (line->last > all->last)
        all->last = line->last;
    return true;
}

/* What the MTA serves is recorded by the filter itself. */
static bool is_of_mta(const struct config *config, const char *service) {
    for (size_t i = 0; i < config->n_listeners; i++)
        if (config->listeners[i].rules.door == DOOR_MTA &&
            config->listeners[i].rules.service != NULL &&
            strcmp(config->listeners[i].rules.service, service) == 0)
            return true;
    return strcmp(service, "smtp") == 0 || strcmp(service, "submission") == 0 ||
           strcmp(service, "submissions") == 0;
}

/* Is there a service that asks for the source, is open, and may be used without a record? */
static bool may_be_unseen(const struct use_search *s, const struct policy_set *set) {
    const struct config *config = s->ctl->config;
    for (size_t i = 0; i < config->rules.n_source_services; i++) {
        const char *service = config->rules.source_services[i];
        struct policy_origin origin;
        int on = 1;
        if (is_of_mta(config, service) || use_is_recorded(s, service, s->ctl->now - s->period))
            continue;
        if (decision_service_state(&config->rules, set, service, &on, &origin) != SETTING_SET || on)
            return true;
    }
    return false;
}

/* Was each block used for so long? Who was there for a short time may soon be elsewhere again. */
static bool are_usual(const struct use_search *s, const struct sources *all) {
    for (size_t i = 0; i < all->n; i++)
        if (all->blocks[i].last - all->blocks[i].first < s->period)
            return false;
    return all->n > 0;
}

/* All that is known of an account's sources; false when it is not enough. */
static bool find_sources(const struct use_search *s, const struct policy_set *set,
                         const struct ctl_use *use, struct sources *all) {
    if (use->n >= USE_FIELDS_MAX) /* some may have made room */
        return false;
    for (size_t i = 0; i < use->n; i++)
        if (decision_asks_source(&s->ctl->config->rules, use->lines[i].service) &&
            !add_source(all, &use->lines[i]))
            return false;
    return are_usual(s, all) && !may_be_unseen(s, set);
}

/* Marks the blocks that are listed for good. False when an entry cannot be read. */
static bool find_listed(const struct policy_set *set, struct sources *all) {
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct policy *policy = set->policies[i];
        if (policy != NULL && (policy->wrong_type || policy->too_large))
            return false;
        for (size_t j = 0; policy != NULL && j < policy->n_ips; j++) {
            const struct ip_entry *entry = &policy->ips[j];
            if (entry->malformed)
                return false;
            for (size_t k = 0; entry->until == 0 && k < all->n; k++)
                all->blocks[k].listed |=
                    entry->block.base.family == all->blocks[k].block.base.family &&
                    entry->block.prefix <= all->blocks[k].block.prefix &&
                    netblock_contains(&entry->block, &all->blocks[k].block.base);
        }
    }
    return true;
}

static bool is_open(const struct use_search *s, const struct policy_set *set) {
    const struct effective is = effective_setting(&s->ctl->config->rules, set, FIELD_SOURCE, 0);
    return strcmp(is.value, "any") == 0;
}

static json_t *time_json(int64_t time) {
    char text[TIMESTAMP_SIZE];
    return json_text(timestamp_format(time, text));
}

static void propose_sources(struct use_search *s, const char *account, const struct sources *all) {
    char first[TIMESTAMP_SIZE], last[TIMESTAMP_SIZE];
    for (size_t i = 0; i < all->n; i++)
        if (!all->blocks[i].listed)
            propose(s, &(struct change){"ip", "add", account, all->blocks[i].text},
                    time_json(all->blocks[i].first), time_json(all->blocks[i].last), true,
                    xasprintf("used %.10s to %.10s", timestamp_format(all->blocks[i].first, first),
                              timestamp_format(all->blocks[i].last, last)));
    propose(s, &(struct change){"source", "authorized", account, NULL}, time_json(all->first),
            time_json(all->last), false,
            xasprintf("%lld days of logins from %zu block%s only",
                      (long long)(all->last - all->first) / 86400, all->n, all->n == 1 ? "" : "s"));
}

static void suggest_sources(struct suggesting *suggesting, const char *account,
                            const struct ctl_policies *policies, const struct ctl_use *use) {
    struct use_search *s = &suggesting->search;
    struct sources all = {.n = 0};
    struct use_field fields[BLOCKS_MAX + 1];
    if (!is_open(s, &policies->set) || !find_sources(s, &policies->set, use, &all) ||
        !find_listed(&policies->set, &all))
        return;
    for (size_t i = 0; i < all.n; i++)
        fields[i] = (struct use_field){xasprintf("ip:%s", all.blocks[i].text), ""};
    fields[all.n] = (struct use_field){"source", "authorized"};
    if (!use_locks_out(s, policies, fields, all.n + 1)) {
        if (strangers_are_refused(&suggesting->strangers, account, &policies->set))
            propose_sources(s, account, &all);
        else
            suggesting->left_out++;
    }
    for (size_t i = 0; i < all.n; i++)
        free((void *)fields[i].name);
}

/* ---- what is found ---- */

static void visit(struct use_search *s, const char *account, const struct ctl_policies *policies,
                  const struct ctl_use *use) {
    suggest_protocols(s, account, policies, use);
    suggest_sources((struct suggesting *)s, account, policies, use);
}

static const char *word_of(const json_t *row, size_t i) {
    return json_string_value(json_array_get(json_object_get(row, "command"), i));
}

/* What only holds after the one before stands on one line with it. */
static void put_command(const json_t *row) {
    fputs("gatepostctl", stdout);
    for (size_t i = 0; word_of(row, i) != NULL; i++) {
        putchar(' ');
        use_put_word(word_of(row, i));
    }
    fputs(json_is_true(json_object_get(row, "leads")) ? " && " : "\n", stdout);
}

static void put_row(const json_t *row) {
    const char *what = word_of(row, 3);
    char *change = xasprintf("%s %s%s%s", word_of(row, 0), word_of(row, 1), what == NULL ? "" : " ",
                             what == NULL ? "" : what);
    fputs("  ", stdout);
    ctl_put_column(stdout, change, 28);
    printf(" %s\n", json_string_value(json_object_get(row, "reason")));
    free(change);
}

/* What stands beside the proposals, on stderr. */
static void warn_of_sources(const struct suggesting *suggesting) {
    bool sources = false;
    const json_t *row;
    size_t i;
    json_array_foreach(suggesting->search.found, i, row) sources |=
        strcmp(word_of(row, 0), "source") == 0;
    if (sources)
        ctl_warn("source authorized holds for mail without a login too: try it first with "
                 "replay --with");
    if (suggesting->left_out > 0)
        ctl_warn("source authorized is not proposed for %zu account%s: mail without a login is "
                 "not recorded, and no SPF record refuses it from elsewhere",
                 suggesting->left_out, suggesting->left_out == 1 ? "" : "s");
}

static int print(const struct ctl *ctl, json_t *found) {
    const char *account = "";
    const json_t *row;
    size_t i;
    if (ctl->json)
        return ctl_print_json(json_incref(found));
    json_array_foreach(found, i, row) {
        if (ctl->commands) {
            put_command(row);
            continue;
        }
        if (strcmp(account, word_of(row, 2)) != 0) {
            account = word_of(row, 2);
            ctl_puts(stdout, account);
            putchar('\n');
        }
        put_row(row);
    }
    return CTL_DONE;
}

int ctl_suggest(struct ctl *ctl, int argc, char **argv) {
    struct suggesting suggesting = {.search = {.ctl = ctl, .visit = visit, .found = json_array()},
                                    .strangers = {.ctl = ctl}};
    json_t *found = suggesting.search.found;
    int status = use_search(&suggesting.search, argc > 0 ? argv[0] : "*", SOURCES_FOR);
    if (status == CTL_DONE) {
        warn_of_sources(&suggesting);
        status = print(ctl, found);
    }
    if (status == CTL_DONE && suggesting.search.searched && !ctl->commands &&
        json_array_size(found) == 0)
        ctl_say_empty(ctl, "nothing is suggested");
    strangers_clear(&suggesting.strangers);
    json_decref(found);
    return status;
}
