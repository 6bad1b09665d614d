/*
 * Policy of one subject, decoded from its fields as the table of policy_field.h says. Owns when a
 * field is malformed; knows neither where fields are stored nor what is decided from them
 * (policy_inherit.c asks the questions).
 */
#include "gatepost/core/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/timestamp.h"

struct policy *policy_new(void) {
    return calloc(1, sizeof(struct policy));
}

struct policy *policy_new_of(const char *subject) {
    struct policy *policy = policy_new();
    if (policy != NULL)
        policy->own = self_is_subject(subject);
    return policy;
}

static void free_names(struct name_entry *entries, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(entries[i].name);
        free(entries[i].field);
    }
    free(entries);
}

void policy_free(struct policy *policy) {
    if (policy == NULL)
        return;
    for (size_t i = 0; i < POLICY_SETTINGS; i++)
        free(policy->settings[i].field);
    for (size_t i = 0; i < policy->n_protocols; i++) {
        free(policy->protocols[i].name);
        free(policy->protocols[i].on.field);
    }
    for (size_t i = 0; i < policy->n_ips; i++)
        free(policy->ips[i].field);
    free_names(policy->providers, policy->n_providers);
    free_names(policy->as, policy->n_as);
    for (size_t i = 0; i < policy->n_faults; i++)
        free(policy->faults[i].field);
    free(policy->protocols);
    free(policy->ips);
    free(policy->faults);
    free(policy);
}

/* A field being decoded. */
struct fact {
    const char *field, *value;
    size_t field_len, value_len;
    struct policy_field_key key;
    struct fact_time time; /* of a self fact, whose value is then the word alone */
    bool bad_time;         /* which cannot be read */
};

static const char bad_times[] = "until= and from= must be UTC times like 2027-01-31T00:00:00Z";

/* Room for one more element of `size` octets after `n`; doubles at powers of two. */
static void *grow(void *array, size_t n, size_t size) {
    if ((n & (n - 1)) != 0)
        return array;
    return realloc(array, (n == 0 ? 1 : n * 2) * size);
}

static int add_fault(struct policy *policy, const struct fact *fact, enum policy_fault_kind kind,
                     const char *why) {
    struct policy_fault *grown = grow(policy->faults, policy->n_faults, sizeof *grown);
    char *field = strndup(fact->field, fact->field_len);
    if (grown != NULL)
        policy->faults = grown;
    if (grown == NULL || field == NULL) {
        free(field);
        return -1;
    }
    struct policy_fault *fault = &policy->faults[policy->n_faults++];
    *fault = (struct policy_fault){.field = field, .kind = kind};
    snprintf(fault->why, sizeof fault->why, "%s", why);
    return 0;
}

/* Stores value (below 0: malformed, and `listed` says what would be right). */
static int store_setting(struct policy *policy, struct setting *setting, const struct fact *fact,
                         int value, const char *listed) {
    enum policy_fault_kind kind = value >= 0 ? FAULT_CONTRADICTION : FAULT_MALFORMED;
    char why[160];
    bool again = setting->state != SETTING_UNSET;
    if (!again) {
        setting->field = strndup(fact->field, fact->field_len);
        if (setting->field == NULL)
            return -1;
    }
    if (again && setting->state == SETTING_SET && value == setting->value &&
        fact->time.from == setting->time.from && fact->time.until == setting->time.until)
        return 0;
    if (value >= 0 && !again) {
        *setting = (struct setting){SETTING_SET, value, setting->field, fact->time};
        return 0;
    }
    setting->state = SETTING_MALFORMED;
    if (kind == FAULT_CONTRADICTION)
        snprintf(why, sizeof why, "contradicts %.80s", setting->field);
    else if (fact->bad_time)
        snprintf(why, sizeof why, "%s", bad_times);
    else if (fact->value_len == 0)
        snprintf(why, sizeof why, "the value is empty: it must be %s", listed);
    else
        snprintf(why, sizeof why, "the value must be %s", listed);
    return add_fault(policy, fact, kind, why);
}

/* Stores what a value says; of a self fact only the stricter one is right. */
static int store_value(struct policy *policy, struct setting *setting,
                       const struct policy_field *field, const struct fact *fact, int value) {
    if (!policy->own)
        return store_setting(policy, setting, fact, value, field->words->listed);
    bool good = value == field->stricter && !fact->bad_time;
    return store_setting(policy, setting, fact, good ? value : -1, field->own);
}

/* One of the field's settings: its only one, or that of its key. */
static int add_setting(struct policy *policy, const struct policy_field *field,
                       const struct fact *fact) {
    struct setting *setting = &policy->settings[(size_t)field->id + fact->key.number];
    int value = words_find(field->words, fact->value, fact->value_len);
    return store_value(policy, setting, field, fact, value);
}

static void lower(char *text) {
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static struct protocol_switch *find_protocol(struct policy *policy, const char *name, size_t len) {
    for (size_t i = 0; i < policy->n_protocols; i++) {
        struct protocol_switch *p = &policy->protocols[i];
        if (strlen(p->name) == len && strncasecmp(p->name, name, len) == 0)
            return p;
    }
    struct protocol_switch *grown = grow(policy->protocols, policy->n_protocols, sizeof *grown);
    if (grown == NULL)
        return NULL;
    policy->protocols = grown;
    char *copy = strndup(name, len);
    if (copy == NULL)
        return NULL;
    lower(copy);
    struct protocol_switch *p = &policy->protocols[policy->n_protocols++];
    *p = (struct protocol_switch){.name = copy};
    return p;
}

static int add_protocol(struct policy *policy, const struct policy_field *field,
                        const struct fact *fact) {
    if (fact->key.len == 0)
        return add_fault(policy, fact, FAULT_UNKNOWN_FIELD, "the protocol's name is missing");
    struct protocol_switch *p = find_protocol(policy, fact->key.text, fact->key.len);
    if (p == NULL)
        return -1;
    return store_value(policy, &p->on, field, fact, switch_parse(fact->value, fact->value_len));
}

/* The note's "until=TIME": 0 and *until (0 when there is none), or -1 when it cannot be read. */
static int parse_until(const struct fact *fact, int64_t *until) {
    static const char key[] = "until=";
    size_t key_len = sizeof key - 1;
    *until = 0;
    if (fact->value_len < key_len || strncasecmp(fact->value, key, key_len) != 0)
        return 0;
    const char *time = fact->value + key_len;
    const char *space = memchr(time, ' ', fact->value_len - key_len);
    size_t len = space ? (size_t)(space - time) : fact->value_len - key_len;
    if (timestamp_parse(time, len, until) != 0)
        return -1;
    if (*until ==
        0) /* 1970-01-01T00:00:00Z; 0 means no end, and a second does not matter that long ago */
        *until = 1;
    return 0;
}

static const char bad_until[] = "until= must be a UTC time like 2027-01-31T00:00:00Z";

static int add_ip(struct policy *policy, const struct fact *fact) {
    struct ip_entry *grown = grow(policy->ips, policy->n_ips, sizeof *grown);
    if (grown == NULL)
        return -1;
    policy->ips = grown;
    struct ip_entry *entry = &policy->ips[policy->n_ips];
    *entry = (struct ip_entry){.field = strndup(fact->field, fact->field_len)};
    if (entry->field == NULL)
        return -1;
    policy->n_ips++;
    struct why why;
    if (netblock_parse(fact->key.text, fact->key.len, &entry->block, &why) != 0) {
        entry->malformed = true;
        return add_fault(policy, fact, FAULT_MALFORMED, why.text);
    }
    entry->from = fact->time.from;
    entry->until = fact->time.until;
    if (fact->bad_time || (!policy->own && parse_until(fact, &entry->until) != 0)) {
        entry->malformed = true;
        return add_fault(policy, fact, FAULT_MALFORMED, policy->own ? bad_times : bad_until);
    }
    return 0;
}

/* What is wrong with the domain of a provider; NULL: nothing. */
static const char *provider_fault(const char *domain) {
    size_t label = 0, labels = 1, len = strlen(domain);
    for (const char *c = domain; *c != '\0'; c++) {
        bool letter =
            (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
        if (*c == '.' ? label == 0 : !letter || label == 63)
            return "no domain name";
        labels += *c == '.';
        label = *c == '.' ? 0 : label + 1;
    }
    return len == 0                  ? "the domain is missing"
           : label == 0 || len > 253 ? "no domain name"
           : labels == 1             ? "the domain must have two labels at least"
                                     : NULL;
}

/* What is wrong with an address, @DOMAIN or @.DOMAIN likewise. */
static const char *as_fault(const char *address) {
    const char *domain = strrchr(address, '@');
    bool none = domain != NULL && domain[1 + (address[0] == '@' && domain[1] == '.')] == '\0';
    return address[0] == '\0' ? "the address is missing" : none ? "the domain is missing" : NULL;
}

/* One more entry of a list. */
static int add_name(struct policy *policy, const struct policy_field *field,
                    const struct fact *fact) {
    bool provider = field->id == FIELD_IP_SPF;
    struct name_entry **list = provider ? &policy->providers : &policy->as;
    size_t *n = provider ? &policy->n_providers : &policy->n_as;
    struct name_entry *grown = grow(*list, *n, sizeof *grown);
    if (grown == NULL)
        return -1;
    *list = grown;
    struct name_entry *entry = &grown[*n];
    *entry = (struct name_entry){.name = strndup(fact->key.text, fact->key.len),
                                 .field = strndup(fact->field, fact->field_len)};
    ++*n;
    if (entry->name == NULL || entry->field == NULL)
        return -1;
    lower(entry->name);
    const char *fault = provider ? provider_fault(entry->name) : as_fault(entry->name);
    if (fault == NULL && parse_until(fact, &entry->until) != 0)
        fault = bad_until;
    entry->malformed = fault != NULL;
    return fault == NULL ? 0 : add_fault(policy, fact, FAULT_MALFORMED, fault);
}

static int add_fact(struct policy *policy, const struct policy_field *row,
                    const struct fact *fact) {
    switch (row->kind) {
    case FIELD_HAS_NAMES:
        return add_protocol(policy, row, fact);
    case FIELD_HAS_ENTRIES:
        return row->id == FIELD_IP ? add_ip(policy, fact) : add_name(policy, row, fact);
    default:
        return add_setting(policy, row, fact);
    }
}

/* A self fact: the time that it holds is taken off its value. */
static int add_own(struct policy *policy, const struct policy_field *row, struct fact *fact) {
    struct self_value value;
    if (row->own == NULL)
        return add_fault(policy, fact, FAULT_UNKNOWN_FIELD, "no user can set this himself");
    fact->bad_time =
        self_value_parse(fact->value, fact->value_len, row->words != NULL, &value) != 0;
    fact->time = value.time;
    fact->value = row->words != NULL ? value.word : value.note;
    fact->value_len = row->words != NULL ? value.word_len : value.note_len;
    return add_fact(policy, row, fact);
}

int policy_add(struct policy *policy, const char *field, size_t field_len, const char *value,
               size_t value_len) {
    struct fact fact = {field, value, field_len, value_len, {NULL, 0, 0}, {0, 0}, false};
    const struct policy_field *row = policy_field_find(field, field_len, &fact.key);
    if (row == NULL)
        return add_fault(policy, &fact, FAULT_UNKNOWN_FIELD, "there is no such field");
    return policy->own ? add_own(policy, row, &fact) : add_fact(policy, row, &fact);
}
