/*
 * The terms of an SPF record against the DNS. Owns the limits of an evaluation and what each
 * mechanism asks; the order of the terms and what a match means is not its business.
 */
#include "terms.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gatepost/base/clock.h"

int spf_fail(struct spf_evaluation *evaluation, enum spf_result error, const char *format, ...) {
    va_list args;
    if (evaluation->failed)
        return -1;
    evaluation->failed = true;
    evaluation->error = error;
    va_start(args, format);
    vsnprintf(evaluation->problem, sizeof evaluation->problem, format, args);
    va_end(args);
    return -1;
}

void spf_note(struct spf_evaluation *e, const char *format, ...) {
    char line[700];
    va_list args;
    if (e->trace == NULL)
        return;
    int indent = (int)(2 * e->depth > 40 ? 40 : 2 * e->depth);
    memset(line, ' ', (size_t)indent);
    va_start(args, format);
    vsnprintf(line + indent, sizeof line - (size_t)indent, format, args);
    va_end(args);
    e->trace(e->trace_context, line);
}

/* What the DNS said to a question. */
static void note_answer(struct spf_evaluation *e, const char *name, enum dns_type type,
                        const struct dns_answer *answer) {
    char memory[500], text[IP_TEXT_SIZE];
    struct textbuf buf;
    if (e->trace == NULL)
        return;
    const char *asked = type == DNS_A      ? "A"
                        : type == DNS_AAAA ? "AAAA"
                        : type == DNS_MX   ? "MX"
                        : type == DNS_PTR  ? "PTR"
                                           : "TXT";
    textbuf_init(&buf, memory, sizeof memory);
    for (size_t i = 0; answer != NULL && i < answer->n; i++) {
        const struct dns_record *record = &answer->records[i];
        struct ip_address ip = {.family = type == DNS_A ? IP_V4 : IP_V6};
        textbuf_puts(&buf, i == 0 ? "" : ", ");
        if (type == DNS_A || type == DNS_AAAA)
            memcpy(ip.bytes, record->data, record->len);
        textbuf_puts(&buf, type == DNS_A || type == DNS_AAAA ? ip_format(&ip, text) : record->data);
    }
    if (answer == NULL || answer->status == DNS_FAILED)
        textbuf_printf(&buf, "failed: %s", answer == NULL ? "no memory" : answer->why);
    else if (answer->n == 0)
        textbuf_puts(&buf, "nothing");
    spf_note(e, "    %s %s: %s", asked, name, memory);
}

/*
 * RFC 7208 4.6.4 limits the terms that find nothing, so an `mx` whose hosts have no address of the
 * client's family counts once. Returns -1 when it is one too many.
 */
static int count_void(struct spf_evaluation *e, const char *name) {
    if (e->term_void)
        return 0;
    e->term_void = true;
    if (++e->voids <= SPF_VOIDS_MAX)
        return 0;
    return spf_fail(e, RESULT_PERMERROR, "more than %d terms that found nothing, %.100s the last",
                    SPF_VOIDS_MAX, name);
}

/*
 * Asks the DNS. Before an evaluation waits for the first time it takes its share of those that may;
 * without one it ends.
 */
static enum dns_status ask(struct spf_evaluation *e, const char *name, enum dns_type type,
                           int64_t deadline, struct dns_answer **answer) {
    struct why why;
    if (e->shares != NULL && !e->share.taken && !dns_is_known(e->dns, name, type, deadline) &&
        shares_take(e->shares, e->values.sender_domain, &e->values.client, &e->share, &why) != 0) {
        *answer = NULL;
        spf_fail(e, RESULT_TEMPERROR, "%s", why.text);
        return DNS_FAILED;
    }
    return dns_query(e->dns, name, type, deadline, answer);
}

/*
 * One query of a term. On DNS_FAILED the evaluation has failed and there is no answer to release.
 */
static enum dns_status query(struct spf_evaluation *e, const char *name, enum dns_type type,
                             struct dns_answer **answer) {
    enum dns_status status = ask(e, name, type, e->deadline, answer);
    note_answer(e, name, type, *answer);
    if (status == DNS_FAILED)
        spf_fail(e, RESULT_TEMPERROR, "%.100s: %.80s", name,
                 *answer == NULL ? "no memory" : (*answer)->why);
    else if (status == DNS_ABSENT && count_void(e, name) != 0)
        status = DNS_FAILED;
    if (status == DNS_FAILED) {
        dns_answer_release(*answer);
        *answer = NULL;
    }
    return status;
}

int spf_count_lookup(struct spf_evaluation *e, const char *term) {
    e->term_void = false;
    if (++e->lookups > SPF_LOOKUPS_MAX)
        return spf_fail(e, RESULT_PERMERROR,
                        "more than %d terms that look things up, %.80s the last", SPF_LOOKUPS_MAX,
                        term);
    return 0;
}

/* RFC 7208 4.6.4: a fault of the DNS that took all the time ends the evaluation, also at ptr. */
static bool out_of_time(struct spf_evaluation *e) {
    if (clock_now_ms() < e->deadline)
        return false;
    spf_fail(e, RESULT_TEMPERROR, "no answer in time");
    return true;
}

/* The one SPF record among the TXT records; its place, the number of records when there is none. */
static size_t find_record(const struct dns_answer *answer, bool *several) {
    size_t found = answer->n;
    *several = false;
    for (size_t i = 0; i < answer->n; i++) {
        if (!spf_record_is(answer->records[i].data, answer->records[i].len))
            continue;
        *several = found < answer->n;
        if (*several)
            return found;
        found = i;
    }
    return found;
}

int spf_fetch(struct spf_evaluation *e, const char *domain, struct spf_record *out) {
    struct dns_answer *answer;
    struct why why;
    bool several;
    enum dns_status status = ask(e, domain, DNS_TXT, e->deadline, &answer);
    int rc = 0;
    note_answer(e, domain, DNS_TXT, answer);
    if (status == DNS_FAILED) {
        rc = spf_fail(e, RESULT_TEMPERROR, "%.100s: %.80s", domain,
                      answer == NULL ? "no memory" : answer->why);
    } else if (status == DNS_FOUND) {
        size_t at = find_record(answer, &several);
        if (several) {
            rc = spf_fail(e, RESULT_PERMERROR, "%.100s has several SPF records", domain);
        } else if (at < answer->n) {
            rc = spf_record_parse(answer->records[at].data, answer->records[at].len, out, &why);
            if (rc == -1)
                spf_fail(e, RESULT_PERMERROR, "%.80s: %.100s", domain, why.text);
            else if (rc == -2)
                rc = spf_fail(e, RESULT_TEMPERROR, "no memory");
            else
                rc = 1;
        }
    }
    dns_answer_release(answer);
    return rc;
}

static enum dns_type address_type(const struct spf_evaluation *e) {
    return e->values.client.family == IP_V6 ? DNS_AAAA : DNS_A;
}

/* Is one of the addresses in `answer` the client's, as far as its first `prefix` bits go? */
static bool has_client(const struct spf_evaluation *e, const struct dns_answer *answer,
                       unsigned prefix) {
    const struct ip_address *client = &e->values.client;
    for (size_t i = 0; i < answer->n; i++) {
        /* not ip_from_bytes(): an AAAA record is IPv6 whatever it maps */
        struct netblock block = {.base = {.family = client->family}, .prefix = (uint8_t)prefix};
        memcpy(block.base.bytes, answer->records[i].data, answer->records[i].len);
        ip_mask(&block.base, prefix);
        if (netblock_contains(&block, client))
            return true;
    }
    return false;
}

static int match_host(struct spf_evaluation *e, const char *host, const struct spf_term *term) {
    struct dns_answer *answer;
    enum dns_status status = query(e, host, address_type(e), &answer);
    if (status == DNS_FAILED)
        return -1;
    int matched =
        has_client(e, answer, e->values.client.family == IP_V6 ? term->cidr6 : term->cidr4);
    dns_answer_release(answer);
    return matched;
}

static int match_mx(struct spf_evaluation *e, const char *domain, const struct spf_term *term) {
    struct dns_answer *answer;
    enum dns_status status = query(e, domain, DNS_MX, &answer);
    int matched = 0;
    if (status == DNS_FAILED)
        return -1;
    if (answer->n > SPF_MX_MAX)
        matched =
            spf_fail(e, RESULT_PERMERROR, "%.100s has more than %d MX records", domain, SPF_MX_MAX);
    for (size_t i = 0; matched == 0 && i < answer->n; i++)
        if (answer->records[i].len > 0) /* "." is no host (RFC 7505) */
            matched = match_host(e, answer->records[i].data, term);
    dns_answer_release(answer);
    return matched;
}

/* Is `name` the domain or below it? */
static bool is_below(const char *name, const char *domain) {
    size_t name_len = strlen(name), len = strlen(domain);
    if (name_len < len || strcasecmp(name + name_len - len, domain) != 0)
        return false;
    return name_len == len || name[name_len - len - 1] == '.';
}

static void reverse_name(const struct ip_address *ip, char out[80]) {
    struct textbuf buf;
    textbuf_init(&buf, out, 80);
    if (ip->family == IP_V4) {
        textbuf_printf(&buf, "%u.%u.%u.%u.in-addr.arpa", ip->bytes[3], ip->bytes[2], ip->bytes[1],
                       ip->bytes[0]);
        return;
    }
    for (int i = 15; i >= 0; i--)
        textbuf_printf(&buf, "%x.%x.", ip->bytes[i] & 15, ip->bytes[i] >> 4);
    textbuf_puts(&buf, "ip6.arpa");
}

/* How well a name of the client's fits a domain: 2 it is the domain, 1 it is below it, 0. */
static int rank_name(const char *name, const char *domain) {
    return strcasecmp(name, domain) == 0 ? 2 : is_below(name, domain) ? 1 : 0;
}

/*
 * Does the i-th of the names that the client's address maps to map back to it? One whose name
 * server does not answer is skipped (RFC 7208 5.5): it gets its share of the time that is left, so
 * that there is some for those after it that rank as high as `least`, and for the next terms.
 */
static bool is_validated(struct spf_evaluation *e, const struct dns_answer *names, size_t i,
                         const char *domain, int least) {
    struct dns_answer *answer;
    const char *name = names->records[i].data;
    int64_t now = clock_now_ms(), shares = 2;
    for (i++; i < names->n && i < SPF_PTR_MAX; i++)
        shares += rank_name(names->records[i].data, domain) >= least;
    enum dns_status status =
        ask(e, name, address_type(e), now + (e->deadline - now) / shares, &answer);
    if (status == DNS_FAILED)
        note_answer(e, name, address_type(e), answer);
    bool validated =
        status == DNS_FOUND && has_client(e, answer, e->values.client.family == IP_V6 ? 128 : 32);
    dns_answer_release(answer);
    return validated;
}

/*
 * The names of the client's address (RFC 7208 5.5): NULL when they cannot be had, which is the
 * same as none, but for the void look-up that none is.
 */
static struct dns_answer *client_names(struct spf_evaluation *e, bool *too_many_voids) {
    struct dns_answer *answer;
    char reverse[80];
    reverse_name(&e->values.client, reverse);
    enum dns_status status = ask(e, reverse, DNS_PTR, e->deadline, &answer);
    note_answer(e, reverse, DNS_PTR, answer);
    *too_many_voids = status == DNS_ABSENT && count_void(e, reverse) != 0;
    if (status == DNS_FOUND)
        return answer;
    dns_answer_release(answer);
    return NULL;
}

static int match_ptr(struct spf_evaluation *e, const char *domain) {
    bool too_many_voids;
    struct dns_answer *names = client_names(e, &too_many_voids);
    int matched = too_many_voids ? -1 : 0;
    for (size_t i = 0; names != NULL && matched == 0 && i < names->n && i < SPF_PTR_MAX; i++)
        matched =
            rank_name(names->records[i].data, domain) >= 1 && is_validated(e, names, i, domain, 1);
    dns_answer_release(names);
    return matched == 0 && out_of_time(e) ? -1 : matched;
}

/* %{p} (RFC 7208 7.3): the domain itself if validated, else a name below it, else any, else
 * "unknown". */
static void find_name(struct spf_evaluation *e, const char *domain) {
    bool too_many_voids;
    struct dns_answer *names = client_names(e, &too_many_voids);
    int best = -1;
    snprintf(e->name, sizeof e->name, "unknown");
    for (size_t i = 0; names != NULL && i < names->n && i < SPF_PTR_MAX; i++) {
        const char *name = names->records[i].data;
        int rank = rank_name(name, domain);
        if (rank > best && strlen(name) <= SPF_DOMAIN_MAX &&
            is_validated(e, names, i, domain, best + 1)) {
            snprintf(e->name, sizeof e->name, "%s", name);
            best = rank;
        }
    }
    if (best < 2)
        out_of_time(e);
    dns_answer_release(names);
}

/* The values of macros for the current domain. */
static struct spf_macro_values values_for(struct spf_evaluation *e, const char *text,
                                          const char *domain) {
    struct spf_macro_values values = e->values;
    if (spf_macro_wants_name(text) && strcasecmp(e->name_domain, domain) != 0) {
        snprintf(e->name_domain, sizeof e->name_domain, "%s", domain);
        find_name(e, domain);
    }
    values.domain = domain;
    values.name = e->name;
    return values;
}

int spf_target(struct spf_evaluation *e, const char *spec, const char *domain,
               char out[SPF_DOMAIN_MAX + 1]) {
    if (spec == NULL) {
        snprintf(out, SPF_DOMAIN_MAX + 1, "%s", domain);
        return 0;
    }
    struct spf_macro_values values = values_for(e, spec, domain);
    if (e->failed)
        return -1;
    return spf_domain_expand(spec, &values, out) == 0 ? 0 : 1;
}

static int match_exists(struct spf_evaluation *e, const char *domain) {
    struct dns_answer *answer;
    enum dns_status status = query(e, domain, DNS_A, &answer); /* A for IPv6 clients too */
    if (status == DNS_FAILED)
        return -1;
    dns_answer_release(answer);
    return status == DNS_FOUND;
}

bool spf_term_looks_up(const struct spf_term *term) {
    return term->mechanism != MECHANISM_ALL && term->mechanism != MECHANISM_IP4 &&
           term->mechanism != MECHANISM_IP6;
}

bool spf_term_settles(const struct spf_term *term, const struct ip_address *client) {
    enum ip_family family = term->mechanism == MECHANISM_IP4 ? IP_V4 : IP_V6;
    if (term->mechanism == MECHANISM_ALL)
        return true;
    return client->family == family && netblock_contains(&term->block, client);
}

static int ask_term(struct spf_evaluation *e, const struct spf_term *term, const char *domain) {
    char target[SPF_DOMAIN_MAX + 1];
    if (!spf_term_looks_up(term))
        return spf_term_settles(term, &e->values.client);
    if (spf_count_lookup(e, term->text) != 0)
        return -1;
    int rc = spf_target(e, term->domain_spec, domain, target);
    if (rc != 0)
        return rc < 0 ? -1 : 0; /* what is no domain name matches nothing */
    switch (term->mechanism) {
    case MECHANISM_A:
        return match_host(e, target, term);
    case MECHANISM_MX:
        return match_mx(e, target, term);
    case MECHANISM_PTR:
        return match_ptr(e, target);
    case MECHANISM_EXISTS:
        return match_exists(e, target);
    default:
        return 0;
    }
}

int spf_term_matches(struct spf_evaluation *e, const struct spf_term *term, const char *domain) {
    unsigned before = e->lookups;
    int matched = ask_term(e, term, domain);
    if (e->lookups > before)
        spf_note(e, "  %s: %s (look-up %u of %d, void %u of %d)", term->text,
                 matched > 0    ? "match"
                 : matched == 0 ? "no match"
                                : e->problem,
                 e->lookups, SPF_LOOKUPS_MAX, e->voids, SPF_VOIDS_MAX);
    else
        spf_note(e, "  %s: %s", term->text, matched > 0 ? "match" : "no match");
    return matched;
}

void spf_explain(struct spf_evaluation *e, const char *spec, const char *domain, char *out,
                 size_t size) {
    struct why ignored;
    char target[SPF_DOMAIN_MAX + 1];
    struct dns_answer *answer;
    struct textbuf buf;
    size_t at;
    out[0] = '\0';
    if (spf_target(e, spec, domain, target) != 0)
        return;
    if (ask(e, target, DNS_TXT, e->deadline, &answer) == DNS_FOUND && answer->n == 1 &&
        spf_macro_check(answer->records[0].data, answer->records[0].len, true, &at, &ignored) ==
            0) {
        struct spf_macro_values values = values_for(e, answer->records[0].data, domain);
        textbuf_init(&buf, out, size);
        spf_macro_expand(&buf, answer->records[0].data, &values);
    }
    dns_answer_release(answer);
}
