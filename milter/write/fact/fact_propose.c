/*
 * What was probably meant. Owns the corrections that are proposed for what policy_add() would not
 * take.
 */
#include "fact_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_name.h"
#include "gatepost/write/suggest.h"

void fact_append(struct why *why, const char *before, const char *text, const char *after) {
    size_t len = strlen(why->text);
    snprintf(why->text + len, sizeof why->text - len, "%s%s%s", before, text, after);
}

static void propose_word(struct why *why, const struct words *words, const char *value,
                         size_t len) {
    const char *near = suggest_word(words->names, words->count, value, len);
    if (near != NULL)
        fact_append(why, ": did you mean ", near, "?");
}

static void propose_block(const char *text, struct why *why) {
    char good[NETBLOCK_TEXT_SIZE];
    if (suggest_netblock(text, strlen(text), good, sizeof good) == 0)
        fact_append(why, ": did you mean ip:", good, "?");
}

/* For a domain, which may be in Unicode. */
static void propose_domain(const struct fact_rules *rules, const char *domain, struct why *why) {
    char *name;
    if (fact_name_domain(domain, rules->address, &name) == 0 && strcmp(name, domain) != 0 &&
        fact_domain_fault(name) == NULL && strchr(name, '.') != NULL)
        fact_append(why, ": did you mean ip:spf:", name, "?");
    free(name);
}

/* For the end of an entry. */
static void propose_end(const char *value, size_t len, struct why *why) {
    char good[TIMESTAMP_SIZE];
    const char *time = value + 6, *space = len > 6 ? memchr(time, ' ', len - 6) : NULL;
    if (len > 6 &&
        suggest_time(time, space ? (size_t)(space - time) : len - 6, good, sizeof good) == 0) {
        fact_append(why, ": did you mean until=", good, "?");
    }
}

void fact_propose_value(const struct fact_rules *rules, const struct policy_field *field,
                        const struct policy_field_key *key, const char *value, size_t len,
                        struct why *why) {
    struct netblock block;
    struct why ignored;
    if (field->words != NULL)
        propose_word(why, field->words, value, len);
    else if (strncmp(why->text, "until=", 6) == 0)
        propose_end(value, len, why);
    else if (field->id == FIELD_IP &&
             netblock_parse(key->text, strlen(key->text), &block, &ignored) != 0)
        propose_block(key->text, why);
    else if (field->id == FIELD_IP_SPF)
        propose_domain(rules, key->text, why);
}

/* All fields, as "a:KEY, b and c". */
static void list_fields(struct why *why) {
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        fact_append(why,
                    i == 0                   ? ""
                    : i + 1 == POLICY_FIELDS ? " and "
                                             : ", ",
                    field->name, field->key == NULL ? "" : ":");
        fact_append(why, "", field->key == NULL ? "" : field->key, "");
    }
}

/* The field whose name before the colon was probably meant; NULL when none is near enough. */
static const struct policy_field *suggest_field(const char *name, size_t len) {
    const char *heads[POLICY_FIELDS];
    for (size_t i = 0; i < POLICY_FIELDS; i++)
        heads[i] = policy_fields[i].name;
    const char *head = suggest_word(heads, POLICY_FIELDS, name, len);
    for (size_t i = 0; head != NULL && i < POLICY_FIELDS; i++)
        if (heads[i] == head)
            return &policy_fields[i];
    return NULL;
}

/* For a key that a field does not have; NULL where there is none. */
static void propose_key(const struct policy_field *field, const char *key, struct why *why) {
    const char *near = NULL;
    if (key != NULL)
        near = suggest_word(field->keys->names, field->keys->count, key, strlen(key));
    fact_append(why, ": did you mean ", field->name, ":");
    fact_append(why, "", near != NULL ? near : field->key, "?");
    if (near == NULL) {
        fact_append(why, " (", field->keys_name, " are ");
        fact_append(why, "", field->keys->listed, ")");
    }
}

void fact_propose_field(const char *name, struct why *why) {
    const char *colon = strchr(name, ':');
    struct netblock block;
    struct why ignored;
    if (netblock_parse(name, strlen(name), &block, &ignored) == 0) {
        fact_append(why, ": did you mean ip:", name, "?");
        return;
    }
    const struct policy_field *field =
        suggest_field(name, colon != NULL ? (size_t)(colon - name) : strlen(name));
    if (field == NULL) {
        fact_append(why, ": the fields are ", "", "");
        list_fields(why);
    } else if (field->keys != NULL) {
        propose_key(field, colon != NULL ? colon + 1 : NULL, why);
    } else if (field->key == NULL) {
        fact_append(why, ": did you mean ", field->name, "?");
    } else {
        fact_append(why, ": did you mean ", field->name, "");
        fact_append(why, colon && colon[1] ? colon : ":NAME", "?", "");
    }
}
