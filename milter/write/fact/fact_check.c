/*
 * The check of a fact before it is written. Owns what is refused beyond what cannot be read: names
 * that nothing asks for. Which fields there are is the table of policy_field.h, what can be read is
 * policy.c's.
 */
#include "gatepost/write/fact_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fact_inside.h"
#include "gatepost/core/policy_field.h"
#include "gatepost/core/policy_line.h"
#include "gatepost/core/textbuf.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_name.h"
#include "gatepost/write/suggest.h"

/* Protocol names at the most in a proposal; a configuration with more still works. */
#define NAMES_MAX 200

static enum fact_kind wrong(enum fact_kind kind, struct why *why, const char *reason) {
    why_set(why, "%s", reason);
    return kind;
}

bool fact_works(enum fact_kind kind) {
    return kind == FACT_GOOD || kind == FACT_SPELLING || kind == FACT_HOST_BITS;
}

bool fact_is_plain(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t sequence = utf8_sequence(text + i, len - i);
        if (sequence == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
        i += sequence;
    }
    return true;
}

/* Of the domain whose subdomains are meant. */
static const char *parent_fault(const char *domain) {
    const char *fault =
        domain[0] == '[' ? "an address literal has no subdomains" : fact_domain_fault(domain);
    return fault == NULL && !parents_can_be(domain)
               ? "no look-up asks for it: subdomains have policy of domains with 2 to 5 labels"
               : fault;
}

/* A sender is taken as it is where a login is not: with any white space or control characters. */
static bool is_of_sender(const char *name, const struct address_rules *rules) {
    struct address canonical = {0};
    bool same =
        address_from_sender(name, rules, &canonical) == 0 && strcmp(canonical.text, name) == 0;
    address_clear(&canonical);
    return same;
}

/* An account must be what the filter makes of it. */
static enum fact_kind check_account(const struct address_rules *rules, const char *name,
                                    struct why *why) {
    struct address canonical = {0};
    const char *domain = strrchr(name, '@'), *fault = NULL;
    char meant[300];
    if (strcmp(name, "*") == 0)
        return FACT_GOOD;
    if (domain != NULL && domain[1] == '\0')
        return wrong(FACT_BAD_SUBJECT, why, fact_domain_fault(""));
    if (suggest_account(name, meant, sizeof meant) == 0) {
        why_set(why, "nobody has that name: write account:%s", meant);
        return FACT_BAD_SUBJECT;
    }
    if (address_from_login(name, rules, &canonical) != 0)
        return wrong(FACT_UNCHECKED, why, "no memory");
    bool of_login = strcmp(canonical.text, name) == 0 && (!canonical.misnamed || name[0] == '@');
    if (strcmp(canonical.text, name) != 0 && !is_of_sender(name, rules)) {
        why_set(why, "no look-up asks for it: write account:%.300s", canonical.text);
        fault = why->text;
    } else if (domain != NULL) {
        fault =
            strncmp(name, "@.", 2) == 0 ? parent_fault(name + 2) : fact_domain_fault(domain + 1);
    }
    address_clear(&canonical);
    if (fault == NULL && domain != NULL && memchr(name, '@', (size_t)(domain - name)) != NULL)
        fault = "the address has more than one '@'";
    if (fault == NULL && strncmp(name, "prvs=", 5) == 0 && !is_of_sender(name, rules))
        return wrong(FACT_SPELLING, why,
                     "no sender has this name: the tag \"prvs=...=\" is left out");
    if (fault == NULL)
        return of_login ? FACT_GOOD
                        : wrong(FACT_SPELLING, why, "a sender can have this name, but no login");
    return fault == why->text ? FACT_BAD_SUBJECT : wrong(FACT_BAD_SUBJECT, why, fault);
}

enum fact_kind fact_check_subject(const struct fact_rules *rules, const char *subject,
                                  struct why *why) {
    const char *odd = NULL;
    if (!fact_is_plain(subject, strlen(subject)))
        odd = "the name contains control characters or invalid UTF-8";
    else if (strpbrk(subject, " \t") != NULL)
        odd = "the name contains white space";
    if (strncmp(subject, "account:", 8) == 0 && subject[8] != '\0') {
        enum fact_kind kind = check_account(rules->address, subject + 8, why);
        if (odd == NULL)
            return kind;
        if (kind == FACT_UNCHECKED)
            return kind;
        return wrong(fact_works(kind) ? FACT_SPELLING : FACT_BAD_SUBJECT, why, odd);
    }
    if (odd != NULL)
        return wrong(FACT_BAD_SUBJECT, why, odd);
    const char *fault = policy_subject_fault(subject);
    if (self_is_subject(subject) && fault == NULL)
        return check_account(rules->address, subject + strlen(SELF_SUBJECT), why);
    if (fault == NULL)
        for (const char *p = subject; *p != '\0'; p++)
            if ((unsigned char)*p >= 0x80)
                fault = "the name of a network must be printable US-ASCII";
    return fault == NULL ? FACT_GOOD : wrong(FACT_BAD_SUBJECT, why, fault);
}

bool fact_service_is_bound(const struct decision_rules *rules, const char *service) {
    for (size_t i = 0; i < rules->n_protocols; i++)
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            if (strcmp(rules->protocols[i].services[j], service) == 0)
                return true;
    return false;
}

size_t fact_protocols(const struct decision_rules *rules, const char **names, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < rules->n_protocols; i++, n++)
        if (n < room)
            names[n] = rules->protocols[i].name;
    for (size_t i = 0; i < service_words.count; i++) {
        if (fact_service_is_bound(rules, service_words.names[i]))
            continue;
        if (n < room)
            names[n] = service_words.names[i];
        n++;
    }
    return n;
}

/* The protocols that contain the service, as "a, b". */
static void put_protocols_of(const struct decision_rules *rules, const char *service,
                             struct why *why) {
    const char *before = "";
    for (size_t i = 0; i < rules->n_protocols; i++) {
        const struct protocol *p = &rules->protocols[i];
        for (size_t j = 0; j < p->n_services; j++) {
            if (strcmp(p->services[j], service) != 0)
                continue;
            fact_append(why, before, p->name, "");
            before = ", ";
            break;
        }
    }
}

enum fact_kind fact_check_protocol(const struct decision_rules *rules, const char *name,
                                   struct why *why) {
    const char *names[NAMES_MAX];
    size_t n = fact_protocols(rules, names, NAMES_MAX);
    n = n < NAMES_MAX ? n : NAMES_MAX;
    if (strcmp(name, "*") == 0)
        return FACT_GOOD;
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return FACT_GOOD;
    if (fact_service_is_bound(rules, name)) {
        why_set(why, "protocol:%.60s has no effect: that service is switched by ", name);
        put_protocols_of(rules, name, why);
        return FACT_UNKNOWN_PROTOCOL;
    }
    const char *near = suggest_word(names, n, name, strlen(name));
    why_set(why, "there is no protocol \"%.60s\"", name);
    if (near != NULL)
        fact_append(why, ": did you mean ", near, "?");
    fact_append(why, near == NULL ? ": known are " : " (known are ", names[0], "");
    for (size_t i = 1; i < n; i++)
        fact_append(why, ", ", names[i], "");
    fact_append(why, near == NULL ? "" : ")", "", "");
    return FACT_UNKNOWN_PROTOCOL;
}

/* ---- one fact ---- */

static enum fact_kind check_host_bits(const struct netblock *block, const char *prefix,
                                      struct why *why) {
    char good[NETBLOCK_TEXT_SIZE];
    if (!block->host_bits)
        return FACT_GOOD;
    why_set(why, "host bits are set: write %s%s", prefix, netblock_format(block, good));
    return FACT_HOST_BITS;
}

static enum fact_kind check_member(const char *field, const char *value, size_t value_len,
                                   struct why *why) {
    struct netblock block;
    char good[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(field, strlen(field), &block, why) != 0) {
        if (suggest_netblock(field, strlen(field), good, sizeof good) == 0)
            fact_append(why, ": did you mean ", good, "?");
        return FACT_MALFORMED;
    }
    if (value_len >= 6 && strncasecmp(value, "until=", 6) == 0)
        return wrong(FACT_MALFORMED, why, "until= is not supported in a network");
    return check_host_bits(&block, "", why);
}

/* An address, or a domain, of an `as:` entry must be what the filter makes of a sender. */
static enum fact_kind check_sender(const struct fact_rules *rules, const struct name_entry *entry,
                                   struct why *why) {
    const char *name = entry->field + strlen("as:"), *at = strrchr(entry->name, '@');
    char *canonical;
    if (fact_name_sender(name, rules->address, &canonical) != 0)
        return wrong(FACT_UNCHECKED, why, "no memory");
    enum fact_kind kind = FACT_GOOD;
    const char *fault =
        at == NULL ? NULL : fact_domain_fault(at + 1 + (at == entry->name && at[1] == '.'));
    if (strcmp(canonical, entry->name) != 0) {
        kind = FACT_NO_EFFECT;
        why_set(why, "no sender has this name: write as:%.300s", canonical);
    } else if (strcmp(canonical, name) != 0) {
        kind = FACT_SPELLING;
        why_set(why, "write as:%.300s", canonical);
    } else if (fault != NULL) {
        kind = wrong(FACT_NO_EFFECT, why, fault);
    }
    free(canonical);
    return kind;
}

/* What policy_add() takes, and more of its names. */
static enum fact_kind check_decoded(const struct fact_rules *rules, const struct policy *policy,
                                    const struct policy_field *field, const char *name,
                                    struct why *why) {
    /* the digits of an address may be of any case */
    const char *end = name + (field->id == FIELD_IP ? strlen(field->name) : strlen(name));
    enum fact_kind kind = FACT_GOOD;
    if (policy->n_protocols > 0)
        kind = fact_check_protocol(rules->decision, policy->protocols[0].name, why);
    else if (policy->n_ips > 0)
        kind = check_host_bits(&policy->ips[0].block, "ip:", why);
    else if (policy->n_as > 0)
        kind = check_sender(rules, &policy->as[0], why);
    for (const char *p = name; kind == FACT_GOOD && p < end; p++)
        if (*p >= 'A' && *p <= 'Z')
            kind = wrong(FACT_SPELLING, why, "field names must be in lower case");
    return kind;
}

static enum fact_kind check_account_fact(const struct fact_rules *rules, const char *subject,
                                         const char *name, const char *value, size_t value_len,
                                         struct why *why) {
    struct policy_field_key key;
    const struct policy_field *field = policy_field_find(name, strlen(name), &key);
    struct policy *policy = policy_new_of(subject);
    enum fact_kind kind = FACT_MALFORMED;
    if (policy == NULL || policy_add(policy, name, strlen(name), value, value_len) != 0) {
        kind = wrong(FACT_UNCHECKED, why, "no memory");
    } else if (policy->n_faults == 0) {
        kind = check_decoded(rules, policy, field, name, why);
    } else {
        why_set(why, "%s", policy->faults[0].why);
        if (policy->faults[0].kind == FAULT_UNKNOWN_FIELD) {
            kind = FACT_UNKNOWN_FIELD;
            if (field == NULL || !policy->own)
                fact_propose_field(name, why);
        } else if (!policy->own) { /* these are written by a program, and have one value */
            fact_propose_value(rules, field, &key, value, value_len, why);
        }
    }
    policy_free(policy);
    return kind;
}

/* A fact whose octets are refused before anybody reads them: what it would have been. */
static enum fact_kind kind_of_octets(const char *subject, const char *name, size_t len,
                                     const char *value, size_t value_len) {
    struct policy_field_key key;
    const struct policy_field *field = policy_field_find(name, len, &key);
    if (strncmp(subject, "network:", 8) == 0)
        return FACT_MALFORMED;
    if (field == NULL || (field->kind == FIELD_HAS_NAMES && key.len == 0))
        return FACT_UNKNOWN_FIELD;
    if (field->kind == FIELD_HAS_NAMES && switch_parse(value, value_len) >= 0)
        return FACT_UNKNOWN_PROTOCOL;
    return FACT_MALFORMED;
}

enum fact_kind fact_check(const struct fact_rules *rules, const char *subject, const char *field,
                          size_t field_len, const char *value, size_t value_len, struct why *why) {
    const char *octets = NULL;
    bool odd_value = !fact_is_plain(value, value_len);
    if (!fact_is_plain(field, field_len) || memchr(field, ' ', field_len) != NULL)
        octets = "the field's name has white space, a control character or octets that are no "
                 "UTF-8";
    if (octets != NULL)
        return wrong(kind_of_octets(subject, field, field_len, value, value_len), why, octets);
    char *name = strndup(field, field_len);
    if (name == NULL)
        return wrong(FACT_UNCHECKED, why, "no memory");
    enum fact_kind kind = strncmp(subject, "network:", 8) == 0
                              ? check_member(name, value, value_len, why)
                              : check_account_fact(rules, subject, name, value, value_len, why);
    free(name);
    if (!odd_value || kind == FACT_UNCHECKED)
        return kind;
    /* in a note they do no harm */
    if (fact_works(kind))
        kind = FACT_SPELLING;
    else
        kind = kind_of_octets(subject, field, field_len, value, value_len);
    return wrong(kind, why, "the value has a control character or octets that are no UTF-8");
}
