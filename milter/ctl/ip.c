/*
 * The commands for addresses: ip and as of an account, network. Owns how an address on the command
 * line becomes a field; what is done with it is entries.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "entries.h"
#include "gatepost/write/fact_name.h"
#include "gatepost/write/suggest.h"
#include "memory.h"
#include "print.h"
#include "write/write.h"

/* Is it probably a domain: letters, digits, hyphens, underscores and a dot, and at last a letter?
 */
static bool is_domain(const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *last = strrchr(text, '.');
    return last != NULL && last > text && last[1] != '\0' && strchr(letters, last[1]) != NULL &&
           strcspn(text, ":/ \t") == strlen(text);
}

/* A field of `prefix` and the block in its usual form. Returns the status. */
static int block_field(const struct ctl *ctl, const char *prefix, const char *text, char *field,
                       size_t field_size) {
    struct netblock block;
    struct why why;

    char good[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(text, strlen(text), &block, &why) != 0) {
        bool near = suggest_netblock(text, strlen(text), good, sizeof good) == 0;
        if (!near && prefix[0] != '\0' && is_domain(text))
            return ctl_refuse(ctl, "%.253s: %s: did you mean spf:%.253s?", text, why.text, text);
        return ctl_refuse(ctl, "%.100s%s%s%s%s%s", text, text[0] == '\0' ? "" : ": ", why.text,
                          near ? ": did you mean " : "", near ? good : "", near ? "?" : "");
    }
    netblock_format(&block, good);
    if (block.host_bits)
        return ctl_refuse(ctl, "%.100s: host bits are set: write %s", text, good);
    snprintf(field, field_size, "%s%s", prefix, good);
    return CTL_DONE;
}

/* "ip:spf:" and the domain as it is looked up, malloc'd. */
static char *provider_field(const struct ctl *ctl, const char *domain) {
    char *name;
    if (fact_name_domain(domain, &ctl->address_rules, &name) != 0)
        no_memory();
    char *field = xasprintf("ip:spf:%s", name);
    free(name);
    return field;
}

/* "ip:BLOCK" or "ip:spf:DOMAIN", malloc'd. Returns the status. */
static int ip_field(const struct ctl *ctl, const char *text, char **field) {
    char block[NETBLOCK_TEXT_SIZE + 4];
    int status = CTL_DONE;
    *field = NULL;
    if (strncasecmp(text, "spf:", 4) != 0) {
        status = block_field(ctl, "ip:", text, block, sizeof block);
        *field = status == CTL_DONE ? xstrdup(block) : NULL;
        return status;
    }
    *field = provider_field(ctl, text + 4);
    return status;
}

int ctl_ip_add(struct ctl *ctl, int argc, char **argv) {
    char *field = NULL, *subject = NULL;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = ip_field(ctl, argv[1], &field);
    if (status == CTL_DONE)
        status = ctl_add_entry(ctl, subject, field, argc > 2 ? argv[2] : "");
    free(field);
    free(subject);
    return status;
}

static int remove_block(struct ctl *ctl, const char *subject, const char *prefix,
                        const char *text) {
    struct netblock block;
    struct why ignored;
    char good[NETBLOCK_TEXT_SIZE];
    const char *named = text;
    if (netblock_parse(text, strlen(text), &block, &ignored) == 0)
        named = netblock_format(&block, good);
    char *field = xasprintf("%s%s", prefix, named), *literal = xasprintf("%s%s", prefix, text);
    int status = ctl_remove_entry(ctl, subject, field, literal);
    free(field);
    free(literal);
    return status;
}

static int remove_provider(struct ctl *ctl, const char *subject, const char *domain) {
    char *field = provider_field(ctl, domain), *literal = xasprintf("ip:spf:%s", domain);
    int status = ctl_remove_entry(ctl, subject, field, literal);
    free(field);
    free(literal);
    return status;
}

int ctl_ip_remove(struct ctl *ctl, int argc, char **argv) {
    char *subject;
    (void)argc;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    if (strncasecmp(argv[1], "spf:", 4) == 0)
        status = remove_provider(ctl, subject, argv[1] + 4);
    else
        status = remove_block(ctl, subject, "ip:", argv[1]);
    free(subject);
    return status;
}

int ctl_ip_list(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return ctl_show_entries(ctl, ENTRIES_LISTED, argv[0]);
}

/* ---- as ---- */

/* "as:" and the address as senders are compared with it, malloc'd. */
static char *as_field(const struct ctl *ctl, const char *address) {
    char *name;
    if (fact_name_sender(address, &ctl->address_rules, &name) != 0)
        no_memory();
    char *field = xasprintf("as:%s", name);
    free(name);
    return field;
}

int ctl_as_add(struct ctl *ctl, int argc, char **argv) {
    char *subject;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    char *field = as_field(ctl, argv[1]);
    status = ctl_add_entry(ctl, subject, field, argc > 2 ? argv[2] : "");
    free(field);
    free(subject);
    return status;
}

int ctl_as_remove(struct ctl *ctl, int argc, char **argv) {
    char *subject;
    (void)argc;
    int status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    char *field = as_field(ctl, argv[1]), *literal = xasprintf("as:%s", argv[1]);
    status = ctl_remove_entry(ctl, subject, field, literal);
    free(field);
    free(literal);
    free(subject);
    return status;
}

int ctl_as_list(struct ctl *ctl, int argc, char **argv) {
    (void)argc;
    return ctl_show_entries(ctl, ENTRIES_AS, argv[0]);
}

/* ---- network ---- */

int ctl_network_add(struct ctl *ctl, int argc, char **argv) {
    char field[NETBLOCK_TEXT_SIZE + 4], *subject = NULL, *note = NULL;
    int status = ctl_name_network(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = block_field(ctl, "", argv[1], field, sizeof field);
    if (status == CTL_DONE) {
        note = ctl_trim_note(argc > 2 ? argv[2] : "");
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
    if (ctl_list_members(ctl, subject, &hash, list) == 0)
        ctl_say_empty(ctl, "%s has no members", subject + strlen("network:"));
    store_hash_clear(&hash);
    return list != NULL ? ctl_print_json(list) : CTL_DONE;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Those of the store and those of the configuration, each once. */
static void list_networks(const struct ctl *ctl, const struct ctl_names *names) {
    const struct config *config = ctl->config;
    const char **all = xcalloc(names->n + config->n_networks + 1, sizeof *all);
    size_t n = 0;
    json_t *list = ctl->json ? json_array() : NULL;
    for (size_t i = 0; i < names->n; i++)
        all[n++] = names->names[i] + strlen("network:");
    for (size_t i = 0; i < config->n_networks; i++)
        all[n++] = config->networks[i].name;
    qsort(all, n, sizeof *all, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(all[i - 1], all[i]) == 0)
            continue;
        if (list != NULL) {
            json_array_append_new(list, json_text(all[i]));
        } else {
            ctl_puts(stdout, all[i]);
            putchar('\n');
        }
    }
    if (list != NULL)
        ctl_print_json(list);
    else if (n == 0)
        ctl_say_empty(ctl, "there are no networks");
    free(all);
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
    list_networks(ctl, &names);
    ctl_names_clear(&names);
    return CTL_DONE;
}
