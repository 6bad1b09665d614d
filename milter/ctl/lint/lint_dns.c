/*
 * `lint --dns`: the SPF records of domains with policy. Owns how near to a limit is too near, and
 * what is told of listed addresses; the evaluation is the spf room's.
 */
#include "lint_dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"

/* RFC 7208 4.6.4 has 10 look-ups and 2 void ones. From so many on one more include is too many. */
#define LOOKUPS_NEAR 8
#define LOOKUPS_MAX 10
#define VOIDS_MAX 2

/* Addresses that no record names: of blocks for documentation. */
static const char *const strangers[] = {"203.0.113.255", "2001:db8:ffff:ffff::ffff"};

void lint_listing_add(struct lint_listing *listing, const struct lint *lint, const char *subject,
                      const struct policy *policy) {
    for (size_t i = 0; i < policy->n_ips; i++) {
        const struct ip_entry *entry = &policy->ips[i];
        if (entry->malformed || !policy_ip_counts(entry, lint->ctl->now))
            continue;
        if (listing->n == LINT_LISTED_MAX) {
            listing->more++;
            continue;
        }
        listing->entries =
            xgrow(listing->entries, listing->n, &listing->room, sizeof *listing->entries);
        listing->entries[listing->n++] = (struct lint_listed){
            .subject = xstrdup(subject), .field = xstrdup(entry->field), .block = entry->block};
    }
}

void lint_listing_clear(struct lint_listing *listing) {
    for (size_t i = 0; i < listing->n; i++) {
        free(listing->entries[i].subject);
        free(listing->entries[i].field);
    }
    free(listing->entries);
    *listing = (struct lint_listing){.n = 0};
}

/* Returns 0, or -1 with the reason when the DNS does not say. */
static int evaluate(struct spf *spf, const char *domain, const struct ip_address *client,
                    int64_t deadline, struct spf_answer *answer, struct why *why) {
    char sender[300];
    snprintf(sender, sizeof sender, "postmaster@%.253s", domain);
    const struct spf_query query = {
        .client = *client, .helo = domain, .sender = sender, .deadline = deadline};
    spf_check(spf, &query, answer);
    return answer->result == RESULT_TEMPERROR ? why_set(why, "%s", answer->problem) : 0;
}

/* ---- limits ---- */

static int lint_limits(struct lint *lint, struct spf *spf, const char *domain, const char *subject,
                       int64_t deadline, struct why *why) {
    unsigned lookups = 0, voids = 0;
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        struct ip_address client;
        struct spf_answer answer;
        ip_parse(strangers[i], strlen(strangers[i]), &client);
        if (evaluate(spf, domain, &client, deadline, &answer, why) != 0)
            return -1;
        if (answer.result == RESULT_PERMERROR) {
            lint_found(lint, "spf-record", subject, NULL,
                       "the SPF record of %.253s is in error: %.200s", domain, answer.problem);
            return 0;
        }
        lookups = answer.lookups > lookups ? answer.lookups : lookups;
        voids = answer.voids > voids ? answer.voids : voids;
    }
    if (lookups >= LOOKUPS_NEAR)
        lint_found(lint, "spf-lookups", subject, NULL,
                   "the SPF record of %.253s needs %u look-ups; with more than %d it is in error",
                   domain, lookups, LOOKUPS_MAX);
    if (voids > 0)
        lint_found(lint, "spf-void", subject, NULL,
                   "the SPF record of %.253s asks for %u %s not exist; with more than %d it is in "
                   "error (gatepostctl spf check %s %.253s postmaster@%.253s shows them)",
                   domain, voids, voids == 1 ? "name that does" : "names that do", VOIDS_MAX,
                   strangers[0], domain, domain);
    return 0;
}

/* ---- listed addresses ---- */

static void last_of(const struct netblock *block, struct ip_address *out) {
    unsigned bits = block->base.family == IP_V4 ? 32 : 128;
    *out = block->base;
    for (unsigned bit = block->prefix; bit < bits; bit++)
        out->bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

/* The first and the last address stand for a block. */
static int lint_listed(struct lint *lint, struct spf *spf, const char *domain,
                       const struct lint_listed *listed, int64_t deadline, struct why *why) {
    struct ip_address clients[2] = {listed->block.base};
    last_of(&listed->block, &clients[1]);
    for (size_t i = 0; i < 2; i++) {
        struct spf_answer answer;
        char text[IP_TEXT_SIZE];
        if (evaluate(spf, domain, &clients[i], deadline, &answer, why) != 0)
            return -1;
        if (answer.result == RESULT_PASS || answer.result == RESULT_PERMERROR)
            continue;
        lint_noted(lint, "not-in-spf", listed->subject, listed->field,
                   "it is listed here, but the SPF record of %.253s does not name it: %s for %s",
                   domain, spf_result_name(answer.result), ip_format(&clients[i], text));
        break;
    }
    return 0;
}

int lint_record(struct lint *lint, struct spf *spf, const char *domain, const char *subject,
                const struct lint_listing *listing, int64_t deadline, struct why *why) {
    int rc = lint_limits(lint, spf, domain, subject, deadline, why);
    for (size_t i = 0; rc == 0 && i < listing->n; i++)
        rc = lint_listed(lint, spf, domain, &listing->entries[i], deadline, why);
    if (listing->more > 0)
        lint_noted(lint, "not-in-spf", subject, NULL,
                   "%zu more listed addresses of %.253s were not compared with its SPF record",
                   listing->more, domain);
    return rc;
}
