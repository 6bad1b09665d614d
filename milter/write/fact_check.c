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

static enum fact_verdict wrong(char *why, size_t why_size, const char *reason) {
    snprintf(why, why_size, "%s", reason);
    return FACT_WRONG;
}

static void append(char *why, size_t why_size, const char *before, const char *text,
                   const char *behind) {
    size_t len = strlen(why);
    snprintf(why + len, why_size - len, "%s%s%s", before, text, behind);
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
                                       char *why, size_t why_size) {
    struct address canonical = {0};
    const char *domain = strrchr(name, '@'), *fault = NULL;
    if (strcmp(name, "*") == 0)
        return FACT_GOOD;
    if (domain != NULL && domain[1] == '\0')
        return wrong(why, why_size, domain_fault(""));
    if (strncmp(name, "*@", 2) == 0 || strncmp(name, "account:", 8) == 0) { /* meant otherwise */
        snprintf(why, why_size, "nobody has that name: write account:%.300s",
                 name[0] == '*' ? name + 1 : name + 8);
        return FACT_WRONG;
    }
    if (address_from_login(name, rules, &canonical) != 0)
        return wrong(why, why_size, "no memory");
    if (strcmp(canonical.text, name) != 0) {
        snprintf(why, why_size, "no look-up asks for it: write account:%.300s", canonical.text);
        fault = why;
    } else if (domain != NULL) {
        fault = domain_fault(domain + 1);
    }
    address_clear(&canonical);
    if (fault == NULL && domain != NULL && memchr(name, '@', (size_t)(domain - name)) != NULL)
        fault = "there is more than one '@'";
    if (fault == NULL)
        return FACT_GOOD;
    return fault == why ? FACT_WRONG : wrong(why, why_size, fault);
}

enum fact_verdict fact_check_subject(const struct fact_rules *rules, const char *subject, char *why,
                                     size_t why_size) {
    if (!is_plain(subject, strlen(subject)))
        return wrong(why, why_size, "a control character, or octets that are no UTF-8");
    if (strpbrk(subject, " \t") != NULL)
        return wrong(why, why_size, "white space in the name");
    if (strncmp(subject, "account:", 8) == 0 && subject[8] != '\0')
        return check_account(rules->address, subject + 8, why, why_size);
    const char *fault = policy_subject_fault(subject);
    if (fault == NULL)
        for (const char *p = subject; *p != '\0'; p++)
            if ((unsigned char)*p >= 0x80)
                fault = "a network's name is made of printable US-ASCII";
    return fault == NULL ? FACT_GOOD : wrong(why, why_size, fault);
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
static void put_protocols_of(const struct decision_rules *rules, const char *service, char *why,
                             size_t why_size) {
    const char *before = "";
    for (size_t i = 0; i < rules->n_protocols; i++) {
        const struct protocol *p = &rules->protocols[i];
        for (size_t j = 0; j < p->n_services; j++) {
            if (strcmp(p->services[j], service) != 0)
                continue;
            append(why, why_size, before, p->name, "");
            before = ", ";
            break;
        }
    }
}

enum fact_verdict fact_check_protocol(const struct decision_rules *rules, const char *name,
                                      char *why, size_t why_size) {
    const char *names[NAMES_MAX];
    size_t n = fact_protocols(rules, names, NAMES_MAX);
    n = n < NAMES_MAX ? n : NAMES_MAX;
    if (strcmp(name, "*") == 0)
        return FACT_GOOD;
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return FACT_GOOD;
    if (fact_service_is_bound(rules, name)) {
        snprintf(why, why_size, "protocol:%.60s has no effect: that service is switched by ", name);
        put_protocols_of(rules, name, why, why_size);
        return FACT_WRONG;
    }
    const char *near = suggest_word(names, n, name, strlen(name));
    snprintf(why, why_size, "there is no protocol \"%.60s\"", name);
    if (near != NULL)
        append(why, why_size, ": did you mean ", near, "?");
    append(why, why_size, near == NULL ? ": known are " : " (known are ", names[0], "");
    for (size_t i = 1; i < n; i++)
        append(why, why_size, ", ", names[i], "");
    append(why, why_size, near == NULL ? "" : ")", "", "");
    return FACT_WRONG;
}

/* ---- proposals for what policy_add() would not take ---- */

static void propose_word(char *why, size_t why_size, const struct words *words, const char *value,
                         size_t len) {
    const char *near = suggest_word(words->names, words->count, value, len);
    if (near != NULL)
        append(why, why_size, ": did you mean ", near, "?");
}

static void propose_value(const char *field, const char *value, size_t len, char *why,
                          size_t why_size) {
    static const char *const switch_names[] = {"on", "off"};
    static const struct words switch_words = {switch_names, 2, "on or off"};
    char good[NETBLOCK_TEXT_SIZE];
    if (strncasecmp(field, "protocol:", 9) == 0) {
        propose_word(why, why_size, &switch_words, value, len);
    } else if (strncasecmp(field, "spf:", 4) == 0) {
        propose_word(why, why_size, &verdict_words, value, len);
    } else if (strcasecmp(field, "source") == 0) {
        propose_word(why, why_size, &source_words, value, len);
    } else if (strcasecmp(field, "tls") == 0) {
        propose_word(why, why_size, &need_words, value, len);
    } else if (strcasecmp(field, "mode") == 0) {
        propose_word(why, why_size, &mode_words, value, len);
    } else if (strncasecmp(field, "ip:", 3) == 0) {
        struct netblock block;
        char ignored[160];
        const char *time = value + 6, *space = len > 6 ? memchr(time, ' ', len - 6) : NULL;
        if (netblock_parse(field + 3, strlen(field + 3), &block, ignored, sizeof ignored) != 0) {
            if (suggest_netblock(field + 3, strlen(field + 3), good, sizeof good) == 0)
                append(why, why_size, ": did you mean ip:", good, "?");
        } else if (len > 6 && suggest_time(time, space ? (size_t)(space - time) : len - 6, good,
                                           sizeof good) == 0) {
            append(why, why_size, ": did you mean until=", good, "?");
        }
    }
}

/* For a field that does not exist. */
static void propose_field(const char *field, char *why, size_t why_size) {
    static const char *const heads[] = {"protocol", "source", "ip", "spf", "tls", "mode"};
    const char *colon = strchr(field, ':');
    size_t len = colon ? (size_t)(colon - field) : strlen(field);
    struct netblock block;
    char ignored[160];
    if (netblock_parse(field, strlen(field), &block, ignored, sizeof ignored) == 0) {
        append(why, why_size, ": did you mean ip:", field, "?");
        return;
    }
    const char *head = suggest_word(heads, sizeof heads / sizeof *heads, field, len);
    if (head == NULL) {
        append(why, why_size, ": the fields are protocol:NAME, source, ip:CIDR, spf:RESULT, tls ",
               "and mode", "");
        return;
    }
    bool named = strcmp(head, "protocol") == 0 || strcmp(head, "ip") == 0;
    if (strcmp(head, "spf") == 0) {
        const char *result = colon ? suggest_word(spf_result_words.names, spf_result_words.count,
                                                  colon + 1, strlen(colon + 1))
                                   : NULL;
        append(why, why_size, ": did you mean spf:", result ? result : "RESULT", "?");
        if (result == NULL)
            append(why, why_size, " (results are ", spf_result_words.listed, ")");
    } else if (!named) {
        append(why, why_size, ": did you mean ", head, "?");
    } else {
        append(why, why_size, ": did you mean ", head, "");
        append(why, why_size, colon && colon[1] ? colon : ":NAME", "?", "");
    }
}

/* ---- one fact ---- */

static enum fact_verdict check_host_bits(const struct netblock *block, const char *prefix,
                                         char *why, size_t why_size) {
    char good[NETBLOCK_TEXT_SIZE];
    if (!block->host_bits)
        return FACT_GOOD;
    snprintf(why, why_size, "bits are set behind the prefix length: write %s%s", prefix,
             netblock_format(block, good));
    return FACT_ODD;
}

static enum fact_verdict check_member(const char *field, const char *value, size_t value_len,
                                      char *why, size_t why_size) {
    struct netblock block;
    char good[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(field, strlen(field), &block, why, why_size) != 0) {
        if (suggest_netblock(field, strlen(field), good, sizeof good) == 0)
            append(why, why_size, ": did you mean ", good, "?");
        return FACT_WRONG;
    }
    if (value_len >= 6 && strncasecmp(value, "until=", 6) == 0) {
        snprintf(why, why_size, "until= has no effect in a network: its members have no end");
        return FACT_WRONG;
    }
    return check_host_bits(&block, "", why, why_size);
}

/* What policy_add() takes, and more of its names. */
static enum fact_verdict check_decoded(const struct fact_rules *rules, const struct policy *policy,
                                       const char *field, char *why, size_t why_size) {
    if (policy->n_protocols > 0) {
        const char *name = policy->protocols[0].name;
        if (fact_check_protocol(rules->decision, name, why, why_size) != FACT_GOOD)
            return FACT_WRONG;
    }
    if (policy->n_ips > 0 && !policy->ips[0].malformed && policy->ips[0].block.host_bits)
        return check_host_bits(&policy->ips[0].block, "ip:", why, why_size);
    if (strncmp(field, "ip:", 3) == 0)
        return FACT_GOOD;
    for (const char *p = field; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            snprintf(why, why_size, "fields are written in lower case");
            return FACT_ODD;
        }
        if (policy->n_ips > 0 && *p == ':')
            break; /* the digits of an address may be of any case */
    }
    return FACT_GOOD;
}

static enum fact_verdict check_account_fact(const struct fact_rules *rules, const char *field,
                                            const char *value, size_t value_len, char *why,
                                            size_t why_size) {
    struct policy *policy = policy_new();
    enum fact_verdict verdict = FACT_WRONG;
    if (policy == NULL || policy_add(policy, field, strlen(field), value, value_len) != 0) {
        snprintf(why, why_size, "no memory");
    } else if (policy->n_faults == 0) {
        verdict = check_decoded(rules, policy, field, why, why_size);
    } else {
        snprintf(why, why_size, "%s", policy->faults[0].why);
        if (policy->faults[0].unknown)
            propose_field(field, why, why_size);
        else
            propose_value(field, value, value_len, why, why_size);
    }
    policy_free(policy);
    return verdict;
}

enum fact_verdict fact_check(const struct fact_rules *rules, const char *subject, const char *field,
                             size_t field_len, const char *value, size_t value_len, char *why,
                             size_t why_size) {
    if (!is_plain(field, field_len) || memchr(field, ' ', field_len) != NULL)
        return wrong(why, why_size,
                     "the field's name has white space, a control character or "
                     "octets that are no UTF-8");
    if (!is_plain(value, value_len))
        return wrong(why, why_size,
                     "the value has a control character or octets that are no "
                     "UTF-8");
    char *name = strndup(field, field_len);
    if (name == NULL)
        return wrong(why, why_size, "no memory");
    enum fact_verdict verdict =
        strncmp(subject, "network:", 8) == 0
            ? check_member(name, value, value_len, why, why_size)
            : check_account_fact(rules, name, value, value_len, why, why_size);
    free(name);
    return verdict;
}
