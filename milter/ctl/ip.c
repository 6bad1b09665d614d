/*
 * The commands for addresses: ip of an account, network. Owns how an address on the command line
 * becomes a field and how entries are listed; the writing is write.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "entries.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/suggest.h"
#include "memory.h"
#include "print.h"
#include "write/write.h"

/* A field of `prefix` and the block in its usual form. Returns the status. */
static int block_field(const struct ctl *ctl, const char *prefix, const char *text, char *field,
                       size_t field_size) {
    struct netblock block;
    struct why why;

    char good[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(text, strlen(text), &block, &why) != 0) {
        bool near = suggest_netblock(text, strlen(text), good, sizeof good) == 0;
        return ctl_refuse(ctl, "%.100s%s%s%s%s%s", text, text[0] == '\0' ? "" : ": ", why.text,
                          near ? ": did you mean " : "", near ? good : "", near ? "?" : "");
    }
    netblock_format(&block, good);
    if (block.host_bits)
        return ctl_refuse(ctl, "%.100s: host bits are set: write %s", text, good);
    snprintf(field, field_size, "%s%s", prefix, good);
    return CTL_DONE;
}

/* White space around a note is nothing that anybody means. */
static char *trim(const char *note) {
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
    char *plain = trim(note);
    if (ctl->until == NULL) {
        *value = plain;
        return CTL_DONE;
    }
    int status = CTL_DONE;
    size_t len = strlen(ctl->until);
    if (timestamp_parse(ctl->until, len, &seconds) != 0) {
        bool near = suggest_time(ctl->until, len, good, sizeof good) == 0;
        status = ctl_refuse(
            ctl, "--until %.60s: it must be a UTC time like 2027-01-31T00:00:00Z%s%s%s", ctl->until,
            near ? ": did you mean " : "", near ? good : "", near ? "?" : "");
    } else if (strncasecmp(plain, "until=", 6) == 0) {
        status =
            ctl_refuse(ctl, "the note already begins with until=: use either until= or --until");
    } else {
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
    if (policy->n_ips > 0 && !policy->ips[0].malformed)
        until = policy->ips[0].until;
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

int ctl_ip_add(struct ctl *ctl, int argc, char **argv) {
    char field[NETBLOCK_TEXT_SIZE + 4], *subject = NULL, *value = NULL;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = block_field(ctl, "ip:", argv[1], field, sizeof field);
    if (status == CTL_DONE)
        status = make_value(ctl, argc > 2 ? argv[2] : "", &value);
    if (status == CTL_DONE)
        status = check_end(ctl, field, value);
    if (status == CTL_DONE) {
        const struct wanted_fact wanted = {field, value};
        status = ctl_write(ctl, subject, &wanted, 1);
    }
    free(value);
    free(subject);
    return status;
}

/* The field that says the same as `field`, or NULL; *around is one that contains it. */
static const struct store_field *find_field(const struct store_hash *hash, bool network,
                                            const char *field, const struct store_field **around) {
    size_t skip = network ? 0 : 3, len = strlen(field);
    struct netblock block, wider;
    struct why why;
    *around = NULL;
    bool is_block = len > skip && netblock_parse(field + skip, len - skip, &block, &why) == 0;
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

/* What is not there cannot go; and it helps to know what is there instead. */
static int check_listed(struct ctl *ctl, const char *subject, const char *field) {
    bool network = fact_is_network(subject);
    const struct store_field *around;
    struct store_hash hash;
    struct why why;
    int status = ctl_open_writer(ctl);
    if (status != CTL_DONE)
        return status;
    if (ctl_read_whole(ctl, subject, &hash, &why) != 0)
        return ctl_fail_store(ctl, why.text);
    if (find_field(&hash, network, field, &around) == NULL && hash.answer != STORE_WRONG_TYPE)
        status = ctl_refuse(ctl, "%s has no %s%s%.*s%s", subject, field,
                            around == NULL ? "" : " of its own; it is inside ",
                            around == NULL ? 0 : (int)around->name_len,
                            around == NULL ? "" : around->name, "");
    store_hash_clear(&hash);
    return status;
}

static int remove_block(struct ctl *ctl, const char *subject, const char *prefix,
                        const char *text) {
    struct netblock block;
    struct why ignored;
    char good[NETBLOCK_TEXT_SIZE];
    /* as it stands, so that what cannot be read can go too */
    const char *named = text;
    if (netblock_parse(text, strlen(text), &block, &ignored) == 0)
        named = netblock_format(&block, good);
    char *field = xasprintf("%s%s", prefix, named);
    int status = check_listed(ctl, subject, field);
    if (status == CTL_DONE) {
        const struct wanted_fact wanted = {field, NULL};
        status = ctl_write(ctl, subject, &wanted, 1);
    }
    free(field);
    return status;
}

int ctl_ip_remove(struct ctl *ctl, int argc, char **argv) {
    char *subject;
    (void)argc;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = remove_block(ctl, subject, "ip:", argv[1]);
    free(subject);
    return status;
}

/* ---- lists ---- */

static json_t *entry_json(const char *subject, const char *address, size_t len,
                          const struct store_field *field, const struct ip_entry *entry,
                          int64_t now) {
    char time[TIMESTAMP_SIZE];
    json_t *told = json_object();
    json_object_set_new(told, "subject", json_text(subject));
    json_object_set_new(told, "address", json_octets(address, len));
    json_object_set_new(told, "note", json_octets(field->value, field->value_len));
    if (entry == NULL)
        return told;
    bool ends = !entry->malformed && entry->until != 0;
    json_object_set_new(told, "until",
                        ends ? json_string(timestamp_format(entry->until, time)) : json_null());
    json_object_set_new(told, "malformed", json_boolean(entry->malformed));
    json_object_set_new(told, "expired",
                        json_boolean(!entry->malformed && !policy_ip_counts(entry, now)));
    return told;
}

static void put_entry(const char *subject, const char *address, const struct store_field *field,
                      const struct ip_entry *entry, int64_t now) {
    ctl_put_column(stdout, address, 24);
    putchar(' ');
    if (subject != NULL) {
        ctl_put_column(stdout, subject, 32);
        putchar(' ');
    }
    ctl_put(stdout, field->value, field->value_len);
    if (entry != NULL && !policy_ip_counts(entry, now))
        fputs(entry->malformed ? " [malformed]" : " [expired]", stdout);
    putchar('\n');
}

void ctl_list_entries(const struct ctl *ctl, const struct ctl_policies *policies, json_t *list) {
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct store_hash *hash = &policies->hashes[i];
        size_t n = 0; /* entries stand in the order of their fields */
        for (size_t j = 0; policies->policies[i] != NULL && j < hash->n; j++) {
            const struct store_field *f = &hash->fields[j];
            if (f->name_len < 3 || strncasecmp(f->name, "ip:", 3) != 0)
                continue;
            const struct ip_entry *entry = &policies->policies[i]->ips[n++];
            if (list != NULL)
                json_array_append_new(list, entry_json(policies->subjects[i], f->name + 3,
                                                       f->name_len - 3, f, entry, ctl->now));
            else
                put_entry(policies->subjects[i], f->name + 3, f, entry, ctl->now);
        }
    }
}

int ctl_ip_list(struct ctl *ctl, int argc, char **argv) {
    struct ctl_policies policies;
    (void)argc;
    int status = ctl_policies_of(ctl, argv[0], &policies);
    if (status != CTL_DONE)
        return status;
    json_t *list = ctl->json ? json_array() : NULL;
    ctl_list_entries(ctl, &policies, list);
    ctl_policies_clear(&policies);
    return ctl->json ? ctl_print_json(list) : CTL_DONE;
}

/* ---- network ---- */

int ctl_network_add(struct ctl *ctl, int argc, char **argv) {
    char field[NETBLOCK_TEXT_SIZE + 4], *subject = NULL, *note = NULL;
    int status = ctl_name_network(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = block_field(ctl, "", argv[1], field, sizeof field);
    if (status == CTL_DONE) {
        note = trim(argc > 2 ? argv[2] : "");
        const struct wanted_fact wanted = {field, note};
        status = ctl_write(ctl, subject, &wanted, 1);
    }
    free(note);
    free(subject);
    return status;
}

int ctl_network_remove(struct ctl *ctl, int argc, char **argv) {
    char *subject;
    (void)argc;
    int status = ctl_name_network(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = remove_block(ctl, subject, "", argv[1]);
    free(subject);
    return status;
}

static int list_members(struct ctl *ctl, const char *subject) {
    struct store_hash hash;
    struct why why;
    if (ctl_read_hash(ctl, subject, &hash, &why) != 0)
        return ctl_fail_store(ctl, why.text);
    if (hash.answer == STORE_WRONG_TYPE)
        return ctl_refuse(ctl, "%s%s is not a hash: it has no members", ctl->config->key_prefix,
                          subject);
    json_t *list = ctl->json ? json_array() : NULL;
    for (size_t i = 0; i < hash.n; i++) {
        const struct store_field *f = &hash.fields[i];
        if (list != NULL)
            json_array_append_new(list, entry_json(subject, f->name, f->name_len, f, NULL, 0));
        else
            put_entry(NULL, f->name, f, NULL, 0);
    }
    store_hash_clear(&hash);
    return list != NULL ? ctl_print_json(list) : CTL_DONE;
}

int ctl_network_list(struct ctl *ctl, int argc, char **argv) {
    struct ctl_names names;
    char *subject;
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE && argc > 0) {
        status = ctl_name_network(ctl, argv[0], &subject);
        if (status != CTL_DONE)
            return status;
        status = list_members(ctl, subject);
        free(subject);
        return status;
    }
    if (status == CTL_DONE)
        status = ctl_names_read(ctl, "network:*", &names);
    if (status != CTL_DONE)
        return status;
    json_t *list = ctl->json ? json_array() : NULL;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.names[i] + strlen("network:");
        if (list != NULL) {
            json_array_append_new(list, json_text(name));
        } else {
            ctl_puts(stdout, name);
            putchar('\n');
        }
    }
    ctl_names_clear(&names);
    return list != NULL ? ctl_print_json(list) : CTL_DONE;
}
