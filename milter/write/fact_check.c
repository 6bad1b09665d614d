/*
 * The check of a fact before it is written. Owns the corrections that are proposed and what is
 * refused beyond what cannot be read: names that nothing asks for. What can be read is policy.c's.
 */
#include "gatepost/write/fact_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/policy_line.h"
#include "gatepost/core/textbuf.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/suggest.h"

/* Protocol names at the most in a proposal; a configuration with more still works. */
#define NAMES_MAX 200

static enum fact_verdict wrong(struct why *why, const char *reason) {
    why_set(why, "%s", reason);
    return FACT_WRONG;
}

static void append(struct why *why, const char *before, const char *text, const char *behind) {
    size_t len = strlen(why->text);
    snprintf(why->text + len, sizeof why->text - len, "%s%s%s", before, text, behind);
}

static bool is_plain(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t sequence = utf8_sequence(text + i, len - i);
        if (sequence == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
        i += sequence;
    }
    return true;
}

static const char *domain_fault(const char *domain) {
    size_t len = strlen(domain), label = 0;
    if (domain[0] == '[')
        return NULL; /* an address literal */
    if (len == 0)
        return "the domain behind '@' is missing";
    if (len > 253)
        return "the domain is longer than 253 octets";
    for (size_t i = 0; i <= len; i++) {
        char c = domain[i];
        if (c == '.' || c == '\0') {
            if (label == 0)
                return "the domain has an empty label";
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
            if (++label > 63)
                return "a label of the domain is longer than 63 octets";
        } else {
            return "a domain has letters, digits, '-' and '.' only";
        }
    }
    return NULL;
}

/* An account must be what the filter makes of it. */
static enum fact_verdict check_account(const struct address_rules *rules, const char *name,
                                       struct why *why) {
    struct address canonical = {0};
    const char *domain = strrchr(name, '@'), *fault = NULL;
    if (strcmp(name, "*") == 0)
        return FACT_GOOD;
    if (domain != NULL && domain[1] == '\0')
        return wrong(why, domain_fault(""));
    if (strncmp(name, "*@", 2) == 0 || strncmp(name, "account:", 8) == 0) { /* meant otherwise */
        why_set(why, "nobody has that name: write account:%.300s",
                name[0] == '*' ? name + 1 : name + 8);
        return FACT_WRONG;
    }
    if (address_from_login(name, rules, &canonical) != 0)
        return wrong(why, "no memory");
    if (strcmp(canonical.text, name) != 0) {
        why_set(why, "no look-up asks for it: write account:%.300s", canonical.text);
        fault = why->text;
    } else if (domain != NULL) {
        fault = domain_fault(domain + 1);
    }
    address_clear(&canonical);
    if (fault == NULL && domain != NULL && memchr(name, '@', (size_t)(domain - name)) != NULL)
        fault = "there is more than one '@'";
    if (fault == NULL)
        return FACT_GOOD;
    return fault == why->text ? FACT_WRONG : wrong(why, fault);
}

enum fact_verdict fact_check_subject(const struct fact_rules *rules, const char *subject,
                                     struct why *why) {
    if (!is_plain(subject, strlen(subject)))
        return wrong(why, "a control character, or octets that are no UTF-8");
    if (strpbrk(subject, " \t") != NULL)
        return wrong(why, "white space in the name");
    if (strncmp(subject, "account:", 8) == 0 && subject[8] != '\0')
        return check_account(rules->address, subject + 8, why);
    const char *fault = policy_subject_fault(subject);
    if (fault == NULL)
        for (const char *p = subject; *p != '\0'; p++)
            if ((unsigned char)*p >= 0x80)
                fault = "a network's name is made of printable US-ASCII";
    return fault == NULL ? FACT_GOOD : wrong(why, fault);
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
            append(why, before, p->name, "");
            before = ", ";
            break;
        }
    }
}

enum fact_verdict fact_check_protocol(const struct decision_rules *rules, const char *name,
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
        return FACT_WRONG;
    }
    const char *near = suggest_word(names, n, name, strlen(name));
    why_set(why, "there is no protocol \"%.60s\"", name);
    if (near != NULL)
        append(why, ": did you mean ", near, "?");
    append(why, near == NULL ? ": known are " : " (known are ", names[0], "");
    for (size_t i = 1; i < n; i++)
        append(why, ", ", names[i], "");
    append(why, near == NULL ? "" : ")", "", "");
    return FACT_WRONG;
}

/* ---- proposals for what policy_add() would not take ---- */

static void propose_word(struct why *why, const struct words *words, const char *value,
                         size_t len) {
    const char *near = suggest_word(words->names, words->count, value, len);
    if (near != NULL)
        append(why, ": did you mean ", near, "?");
}

static void propose_value(const char *field, const char *value, size_t len, struct why *why) {
    static const char *const switch_names[] = {"on", "off"};
    static const struct words switch_words = {switch_names, 2, "on or off"};
    char good[NETBLOCK_TEXT_SIZE];
    if (strncasecmp(field, "protocol:", 9) == 0) {
        propose_word(why, &switch_words, value, len);
    } else if (strncasecmp(field, "spf:", 4) == 0) {
        propose_word(why, &verdict_words, value, len);
    } else if (strcasecmp(field, "source") == 0) {
        propose_word(why, &source_words, value, len);
    } else if (strcasecmp(field, "tls") == 0) {
        propose_word(why, &need_words, value, len);
    } else if (strcasecmp(field, "mode") == 0) {
        propose_word(why, &mode_words, value, len);
    } else if (strncasecmp(field, "ip:", 3) == 0) {
        struct netblock block;
        struct why ignored;
        const char *time = value + 6, *space = len > 6 ? memchr(time, ' ', len - 6) : NULL;
        if (netblock_parse(field + 3, strlen(field + 3), &block, &ignored) != 0) {
            if (suggest_netblock(field + 3, strlen(field + 3), good, sizeof good) == 0)
                append(why, ": did you mean ip:", good, "?");
        } else if (len > 6 && suggest_time(time, space ? (size_t)(space - time) : len - 6, good,
                                           sizeof good) == 0) {
            append(why, ": did you mean until=", good, "?");
        }
    }
}

/* For a field that does not exist. */
static void propose_field(const char *field, struct why *why) {
    static const char *const heads[] = {"protocol", "source", "ip", "spf", "tls", "mode"};
    const char *colon = strchr(field, ':');
    size_t len = colon ? (size_t)(colon - field) : strlen(field);
    struct netblock block;
    struct why ignored;
    if (netblock_parse(field, strlen(field), &block, &ignored) == 0) {
        append(why, ": did you mean ip:", field, "?");
        return;
    }
    const char *head = suggest_word(heads, sizeof heads / sizeof *heads, field, len);
    if (head == NULL) {
        append(why, ": the fields are protocol:NAME, source, ip:CIDR, spf:RESULT, tls ", "and mode",
               "");
        return;
    }
    bool named = strcmp(head, "protocol") == 0 || strcmp(head, "ip") == 0;
    if (strcmp(head, "spf") == 0) {
        const char *result = colon ? suggest_word(spf_result_words.names, spf_result_words.count,
                                                  colon + 1, strlen(colon + 1))
                                   : NULL;
        append(why, ": did you mean spf:", result ? result : "RESULT", "?");
        if (result == NULL)
            append(why, " (results are ", spf_result_words.listed, ")");
    } else if (!named) {
        append(why, ": did you mean ", head, "?");
    } else {
        append(why, ": did you mean ", head, "");
        append(why, colon && colon[1] ? colon : ":NAME", "?", "");
    }
}

/* ---- one fact ---- */

static enum fact_verdict check_host_bits(const struct netblock *block, const char *prefix,
                                         struct why *why) {
    char good[NETBLOCK_TEXT_SIZE];
    if (!block->host_bits)
        return FACT_GOOD;
    why_set(why, "bits are set behind the prefix length: write %s%s", prefix,
            netblock_format(block, good));
    return FACT_ODD;
}

static enum fact_verdict check_member(const char *field, const char *value, size_t value_len,
                                      struct why *why) {
    struct netblock block;
    char good[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(field, strlen(field), &block, why) != 0) {
        if (suggest_netblock(field, strlen(field), good, sizeof good) == 0)
            append(why, ": did you mean ", good, "?");
        return FACT_WRONG;
    }
    if (value_len >= 6 && strncasecmp(value, "until=", 6) == 0) {
        why_set(why, "until= has no effect in a network: its members have no end");
        return FACT_WRONG;
    }
    return check_host_bits(&block, "", why);
}

/* What policy_add() takes, and more of its names. */
static enum fact_verdict check_decoded(const struct fact_rules *rules, const struct policy *policy,
                                       const char *field, struct why *why) {
    if (policy->n_protocols > 0) {
        const char *name = policy->protocols[0].name;
        if (fact_check_protocol(rules->decision, name, why) != FACT_GOOD)
            return FACT_WRONG;
    }
    if (policy->n_ips > 0 && !policy->ips[0].malformed && policy->ips[0].block.host_bits)
        return check_host_bits(&policy->ips[0].block, "ip:", why);
    if (strncmp(field, "ip:", 3) == 0)
        return FACT_GOOD;
    for (const char *p = field; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            why_set(why, "fields are written in lower case");
            return FACT_ODD;
        }
        if (policy->n_ips > 0 && *p == ':')
            break; /* the digits of an address may be of any case */
    }
    return FACT_GOOD;
}

static enum fact_verdict check_account_fact(const struct fact_rules *rules, const char *field,
                                            const char *value, size_t value_len, struct why *why) {
    struct policy *policy = policy_new();
    enum fact_verdict verdict = FACT_WRONG;
    if (policy == NULL || policy_add(policy, field, strlen(field), value, value_len) != 0) {
        why_set(why, "no memory");
    } else if (policy->n_faults == 0) {
        verdict = check_decoded(rules, policy, field, why);
    } else {
        why_set(why, "%s", policy->faults[0].why);
        if (policy->faults[0].kind == FAULT_UNKNOWN_FIELD)
            propose_field(field, why);
        else
            propose_value(field, value, value_len, why);
    }
    policy_free(policy);
    return verdict;
}

enum fact_verdict fact_check(const struct fact_rules *rules, const char *subject, const char *field,
                             size_t field_len, const char *value, size_t value_len,
                             struct why *why) {
    if (!is_plain(field, field_len) || memchr(field, ' ', field_len) != NULL)
        return wrong(why, "the field's name has white space, a control character or "
                          "octets that are no UTF-8");
    if (!is_plain(value, value_len))
        return wrong(why, "the value has a control character or octets that are no "
                          "UTF-8");
    char *name = strndup(field, field_len);
    if (name == NULL)
        return wrong(why, "no memory");
    enum fact_verdict verdict = strncmp(subject, "network:", 8) == 0
                                    ? check_member(name, value, value_len, why)
                                    : check_account_fact(rules, name, value, value_len, why);
    free(name);
    return verdict;
}
