/*
 * Entries: the addresses and providers that an account lists, the addresses that it may send as,
 * and the members of a network. Owns how one is written, removed and shown; what the words of the
 * command line mean as a field is the commands' business.
 */
#include "entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_name.h"
#include "memory.h"
#include "table.h"
#include "write/write.h"

char *ctl_trim_note(const char *note) {
    note += strspn(note, " \t");
    size_t len = strlen(note);
    while (len > 0 && strchr(" \t", note[len - 1]) != NULL)
        len--;
    return xstrndup(note, len);
}

/* "until=TIME NOTE" of --until and the note; *value is malloc'd. Returns the status. */
static int make_value(const struct ctl *ctl, const char *note, char **value) {
    int64_t seconds;
    char good[TIMESTAMP_SIZE];
    char *plain = ctl_trim_note(note);
    if (ctl->until == NULL) {
        *value = plain;
        return CTL_DONE;
    }
    int status = ctl_parse_until(ctl, &seconds);
    if (status == CTL_DONE && strncasecmp(plain, "until=", 6) == 0) {
        status =
            ctl_refuse(ctl, "the note already begins with until=: use either until= or --until");
    } else if (status == CTL_DONE) {
        *value = xasprintf("until=%s%s%s", timestamp_format(seconds, good),
                           plain[0] == '\0' ? "" : " ", plain);
    }
    free(plain);
    return status;
}

/* An entry that has ended before it begins is a slip of the pen. */
static int check_end(const struct ctl *ctl, const char *field, const char *value) {
    struct policy *policy = policy_new();
    int64_t until = 0;
    char good[TIMESTAMP_SIZE];
    if (policy == NULL || policy_add(policy, field, strlen(field), value, strlen(value)) != 0)
        no_memory();
    if (policy->n_faults == 0)
        until = policy->n_ips > 0         ? policy->ips[0].until
                : policy->n_providers > 0 ? policy->providers[0].until
                : policy->n_as > 0        ? policy->as[0].until
                                          : 0;
    policy_free(policy);
    if (until == 0 || until > ctl->now)
        return CTL_DONE;
    timestamp_format(until, good);
    if (!ctl->force)
        return ctl_refuse(ctl,
                          "until %s is in the past: the entry would not count (--force does "
                          "it all the same)",
                          good);
    ctl_warn("forced: until %s is in the past: the entry does not count", good);
    return CTL_DONE;
}

int ctl_add_entry(struct ctl *ctl, const char *subject, const char *field, const char *note) {
    char *value = NULL;
    int status = make_value(ctl, note, &value);
    if (status == CTL_DONE)
        status = check_end(ctl, field, value);
    if (status == CTL_DONE) {
        const struct wanted_fact wanted = {field, value};
        status = ctl_write(ctl, subject, &wanted, 1);
    }
    free(value);
    return status;
}

/* The field that says the same as `field`, or NULL; *around is one that contains it. */
static const struct store_field *find_field(const struct store_hash *hash, bool network,
                                            const char *field, const struct store_field **around) {
    size_t skip = network ? 0 : strlen("ip:"), len = strlen(field);
    struct netblock block, wider;
    struct why why;
    *around = NULL;
    bool is_block = fact_is_block(network, field, len) &&
                    netblock_parse(field + skip, len - skip, &block, &why) == 0;
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        if (fact_is_same(network, f->name, f->name_len, field, len))
            return f;
        bool has_block = f->name_len > skip && fact_is_block(network, f->name, f->name_len) &&
                         netblock_parse(f->name + skip, f->name_len - skip, &wider, &why) == 0;
        if (is_block && has_block && wider.prefix <= block.prefix &&
            netblock_contains(&wider, &block.base))
            *around = f;
    }
    return NULL;
}

/* Does gatepost.conf have the member of a network? */
static bool is_configured(const struct ctl *ctl, const char *subject, const char *member) {
    const struct config_network *network =
        fact_is_network(subject) ? config_network(ctl->config, subject + strlen("network:")) : NULL;
    for (size_t i = 0; network != NULL && i < network->texts.n; i++)
        if (fact_is_same(true, network->texts.items[i], strlen(network->texts.items[i]), member,
                         strlen(member)))
            return true;
    return false;
}

/*
 * What is not there cannot go; and it helps to know what is there instead. *field becomes `literal`
 * where that is there and it is not.
 */
static int check_listed(struct ctl *ctl, const char *subject, const char **field,
                        const char *literal) {
    bool network = fact_is_network(subject);
    const struct store_field *around;
    struct store_hash hash;
    struct why why;
    int status = ctl_open_writer(ctl);
    if (status != CTL_DONE)
        return status;
    if (ctl_read_whole(ctl, subject, &hash, &why) != 0)
        return ctl_fail(ctl, "%s", why.text);
    if (find_field(&hash, network, *field, &around) == NULL && hash.answer != STORE_WRONG_TYPE) {
        const struct store_field *ignored;
        if (find_field(&hash, network, literal, &ignored) != NULL)
            *field = literal;
        else if (is_configured(ctl, subject, *field))
            status = ctl_refuse(ctl, "%s has no %s in the store: it stands in %s", subject, *field,
                                ctl->config->path);
        else
            status = ctl_refuse(ctl, "%s has no %s%s%.*s%s", subject, *field,
                                around == NULL ? "" : " of its own; it is inside ",
                                around == NULL ? 0 : (int)around->name_len,
                                around == NULL ? "" : around->name, "");
    }
    store_hash_clear(&hash);
    return status;
}

int ctl_remove_entry(struct ctl *ctl, const char *subject, const char *field, const char *literal) {
    int status = check_listed(ctl, subject, &field, literal);
    if (status == CTL_DONE) {
        const struct wanted_fact wanted = {field, NULL};
        status = ctl_write(ctl, subject, &wanted, 1);
    }
    return status;
}

/* ---- lists ---- */

/* An entry as it is shown; of a member of a network nothing more is known. */
struct shown_entry {
    const char *subject;
    const char *name; /* without the field's name */
    size_t name_len;
    const char *note; /* without its time, where that can be read */
    size_t note_len;
    bool malformed, expired;
    bool pending;        /* it does not count yet */
    int64_t until, from; /* 0: without end; from the beginning */
};

/* What follows the times in front of a note; a policy knows the second only of self facts. */
static void skip_times(struct shown_entry *entry) {
    struct self_value value;
    size_t len = entry->note_len;
    if (entry->malformed || (entry->until == 0 && entry->from == 0))
        return;
    if (!self_is_subject(entry->subject)) {
        const char *space = memchr(entry->note, ' ', len);
        len = space == NULL ? len : (size_t)(space - entry->note);
        while (len < entry->note_len && entry->note[len] == ' ')
            len++;
        entry->note += len;
        entry->note_len -= len;
    } else if (self_value_parse(entry->note, len, false, &value) == 0) {
        entry->note = value.note;
        entry->note_len = value.note_len;
    }
}

static json_t *entry_json(const struct shown_entry *entry, bool member) {
    char time[TIMESTAMP_SIZE];
    json_t *told = json_object();
    json_object_set_new(told, "subject", json_text(entry->subject));
    json_object_set_new(told, "address", json_octets(entry->name, entry->name_len));
    json_object_set_new(told, "note", json_octets(entry->note, entry->note_len));
    if (member)
        return told;
    json_object_set_new(told, "until",
                        entry->until != 0 ? json_string(timestamp_format(entry->until, time))
                                          : json_null());
    json_object_set_new(told, "malformed", json_boolean(entry->malformed));
    json_object_set_new(told, "expired", json_boolean(entry->expired));
    if (entry->from != 0) {
        json_object_set_new(told, "from", json_string(timestamp_format(entry->from, time)));
        json_object_set_new(told, "pending", json_boolean(entry->pending));
    }
    return told;
}

/* When it counts, as people are told: "until TIME", "from TIME until TIME"; malloc'd or NULL. */
static char *say_time(const struct shown_entry *entry) {
    char from[TIMESTAMP_SIZE], until[TIMESTAMP_SIZE];
    bool begins = entry->pending, ends = entry->until != 0;
    if (!begins && !ends)
        return NULL;
    return xasprintf("%s%s%s%s", begins ? "from " : "",
                     begins ? timestamp_format(entry->from, from) : "",
                     begins && ends   ? " until "
                     : entry->expired ? "expired "
                     : ends           ? "until "
                                      : "",
                     ends ? timestamp_format(entry->until, until) : "");
}

static void add_row(struct ctl_table *table, const struct shown_entry *entry) {
    char *said = NULL, *time = say_time(entry);
    char *note = xstrndup(entry->note, entry->note_len);
    if (time != NULL)
        said = xasprintf("%s%s%s", time, note[0] == '\0' ? "" : ": ", note);
    else if (entry->malformed)
        said = xasprintf("malformed: %s", note);
    ctl_table_add_octets(table, entry->name, entry->name_len);
    ctl_table_add(table, entry->subject);
    if (said != NULL)
        ctl_table_add_painted(table, said,
                              entry->malformed                   ? CTL_BAD
                              : entry->expired || entry->pending ? CTL_ODD
                                                                 : CTL_PLAIN);
    else
        ctl_table_add_octets(table, entry->note, entry->note_len);
    free(time);
    free(said);
    free(note);
}

/* The number of entries of a policy so far, in the order of their fields. */
struct entry_counts {
    size_t ips, providers, as;
};

static void show_ip(struct shown_entry *shown, const struct ip_entry *entry, int64_t now) {
    shown->malformed = entry->malformed;
    shown->pending = !entry->malformed && entry->from > now;
    shown->expired = !entry->malformed && !shown->pending && !policy_ip_counts(entry, now);
    shown->until = entry->malformed ? 0 : entry->until;
    shown->from = entry->malformed ? 0 : entry->from;
}

static void show_name(struct shown_entry *shown, const struct name_entry *entry, int64_t now) {
    shown->malformed = entry->malformed;
    shown->expired = !entry->malformed && !policy_name_counts(entry, now);
    shown->until = entry->malformed ? 0 : entry->until;
}

/* Is the field an entry of that list? Then what its policy makes of it, into `shown`. */
static bool find_entry(enum entry_list list, const struct store_field *f,
                       const struct policy *policy, struct entry_counts *counts, int64_t now,
                       struct shown_entry *shown) {
    struct policy_field_key key;
    const struct policy_field *row = policy_field_find(f->name, f->name_len, &key);
    if (row == NULL || row->kind != FIELD_HAS_ENTRIES)
        return false;
    bool as = row->id == FIELD_AS;
    size_t skip = as ? strlen("as:") : strlen("ip:");
    shown->note = f->value;
    shown->note_len = f->value_len;
    shown->name = f->name + skip;
    shown->name_len = f->name_len - skip;
    if (as)
        show_name(shown, &policy->as[counts->as++], now);
    else if (row->id == FIELD_IP_SPF)
        show_name(shown, &policy->providers[counts->providers++], now);
    else
        show_ip(shown, &policy->ips[counts->ips++], now);
    skip_times(shown);
    return as == (list == ENTRIES_AS);
}

size_t ctl_list_entries(const struct ctl *ctl, enum entry_list which,
                        const struct ctl_policies *policies, int indent, json_t *list) {
    struct ctl_table table = {.columns = 3, .indent = indent};
    size_t n = 0;
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        const struct store_hash *hash = &policies->hashes[i];
        const struct policy *policy = policies->policies[i];
        struct entry_counts counts = {0};
        for (size_t j = 0; policy != NULL && j < hash->n; j++) {
            struct shown_entry shown = {.subject = policies->subjects[i]};
            if (!find_entry(which, &hash->fields[j], policy, &counts, ctl->now, &shown))
                continue;
            n++;
            if (list != NULL)
                json_array_append_new(list, entry_json(&shown, false));
            else
                add_row(&table, &shown);
        }
    }
    ctl_table_print(&table);
    return n;
}

int ctl_show_entries(struct ctl *ctl, enum entry_list which, const char *account) {
    struct ctl_policies policies;
    int status = ctl_policies_of(ctl, account, &policies);
    if (status != CTL_DONE)
        return status;
    json_t *list = ctl->json ? json_array() : NULL;
    if (ctl_list_entries(ctl, which, &policies, 0, list) == 0)
        ctl_say_empty(ctl, "%s %s", policies.subjects[policies.own] + strlen("account:"),
                      which == ENTRIES_AS ? "has no addresses to send as"
                                          : "has no listed addresses");
    ctl_policies_clear(&policies);
    return ctl->json ? ctl_print_json(list) : CTL_DONE;
}

/* ---- members of a network ---- */

static void show_member(struct ctl_table *table, json_t *list, const struct shown_entry *entry,
                        const char *from) {
    if (list != NULL) {
        json_t *told = entry_json(entry, true);
        json_object_set_new(told, "from", json_text(from));
        json_array_append_new(list, told);
        return;
    }
    ctl_table_add_octets(table, entry->name, entry->name_len);
    ctl_table_add(table, from);
    ctl_table_add_octets(table, entry->note, entry->note_len);
}

size_t ctl_list_members(const struct ctl *ctl, const char *subject, const struct store_hash *hash,
                        json_t *list) {
    const struct config_network *network =
        config_network(ctl->config, subject + strlen("network:"));
    struct ctl_table table = {.columns = 3};
    size_t configured = network == NULL ? 0 : network->texts.n;
    for (size_t i = 0; i < configured; i++) {
        const char *member = network->texts.items[i];
        const struct shown_entry shown = {
            .subject = subject, .name = member, .name_len = strlen(member), .note = ""};
        show_member(&table, list, &shown, "configuration");
    }
    for (size_t i = 0; i < hash->n; i++) {
        const struct store_field *f = &hash->fields[i];
        const struct shown_entry shown = {.subject = subject,
                                          .name = f->name,
                                          .name_len = f->name_len,
                                          .note = f->value,
                                          .note_len = f->value_len};
        show_member(&table, list, &shown, "store");
    }
    ctl_table_print(&table);
    return configured + hash->n;
}
