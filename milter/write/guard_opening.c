/*
 * The guard against opening up by mistake. Owns how wide is too wide, and what everybody loses with
 * a policy that is inherited; who asks, and what may be done nevertheless, is up to the caller.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/textbuf.h"
#include "gatepost/write/guard.h"
#include "gatepost/write/suggest.h"

/* A block with a shorter prefix than this is no site's. */
#define WIDEST_V4 8
#define WIDEST_V6 16
#define WIDEST_MEMBER_V6 32 /* of a network; a provider's allocation is a /32 */

static bool too_wide(const struct netblock *block, unsigned widest_v6) {
    return block->prefix < (block->base.family == IP_V4 ? WIDEST_V4 : widest_v6);
}

static bool has_entry(const struct policy *policy, const char *field) {
    for (size_t i = 0; policy != NULL && i < policy->n_ips; i++)
        if (strcasecmp(policy->ips[i].field, field) == 0)
            return true;
    return false;
}

static const struct ip_entry *new_wide_entry(const struct policy *before,
                                             const struct policy *after) {
    for (size_t i = 0; after != NULL && i < after->n_ips; i++) {
        const struct ip_entry *entry = &after->ips[i];
        if (!entry->malformed && too_wide(&entry->block, WIDEST_V6) &&
            !has_entry(before, entry->field))
            return entry;
    }
    return NULL;
}

/* ---- the end of a policy ---- */

static void put(struct textbuf *out, const char *field, const char *word) {
    textbuf_puts(out, out->len == 0 ? "" : ", ");
    textbuf_puts(out, field);
    textbuf_puts(out, word == NULL ? "" : " ");
    textbuf_puts(out, word == NULL ? "" : word);
}

/* Does the value hold somebody back who would not be held back without it? */
static bool restricts(const struct policy_field *field, const struct setting *setting) {
    if (setting->state != SETTING_SET)
        return false;
    if (field->otherwise != FIELD_CONFIGURED)
        return setting->value != field->otherwise;
    return field->id == FIELD_SPF && setting->value >= VERDICT_DEFER;
}

static void put_restrictions(struct textbuf *out, const struct policy *policy, int64_t now) {
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        for (size_t j = 0; j < policy_field_settings(field); j++) {
            const struct setting *setting = &policy->settings[(size_t)field->id + j];
            if (restricts(field, setting))
                put(out, setting->field, field->words->names[setting->value]);
        }
    }
    for (size_t i = 0; i < policy->n_protocols; i++) {
        const struct setting *on = &policy->protocols[i].on;
        if (on->state == SETTING_SET && on->value == 0)
            put(out, on->field, "off");
    }
    for (size_t i = 0; i < policy->n_ips; i++)
        if (policy_ip_counts(&policy->ips[i], now))
            put(out, policy->ips[i].field, NULL);
}

bool guard_opening(const struct policy *before, const struct policy *after, bool inherited_goes,
                   int64_t now, struct why *why) {
    const struct ip_entry *wide = new_wide_entry(before, after);
    char text[200];
    struct textbuf lost;
    if (wide != NULL) {
        why_set(why,
                "%s is wider than /%d (IPv6: /%d): nearly every client would count as listed, and "
                "source authorized hold nobody back",
                wide->field, WIDEST_V4, WIDEST_V6);
        return true;
    }
    if (!inherited_goes || before == NULL)
        return false;
    textbuf_init(&lost, text, sizeof text);
    put_restrictions(&lost, before, now);
    if (lost.len == 0)
        return false;
    why_set(why, "all accounts that inherit from it would lose %s%s", lost.data,
            lost.cut ? "..." : "");
    return true;
}

/* ---- networks ---- */

/* The names that the configuration asks for. Writes at most `room`; returns how many. */
static size_t networks_asked(const struct config *config, const char **names, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < config->trusted.n && n < room; i++)
        names[n++] = config->trusted.items[i];
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_list *lists[] = {&config->listeners[i].connect_from,
                                             &config->listeners[i].real_client_from};
        for (size_t j = 0; j < 2; j++)
            for (size_t k = 0; k < lists[j]->n && n < room; k++)
                names[n++] = lists[j]->items[k];
    }
    return n;
}

static bool is_trusted(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->trusted.n; i++)
        if (strcmp(config->trusted.items[i], name) == 0)
            return true;
    return false;
}

bool guard_member(const struct config *config, const char *name, const char *member, size_t len,
                  struct why *why) {
    const char *names[100];
    size_t n = networks_asked(config, names, sizeof names / sizeof *names);
    struct netblock block;
    struct why ignored;
    if (netblock_parse(member, len, &block, &ignored) == 0 && too_wide(&block, WIDEST_MEMBER_V6)) {
        why_set(why, "%.*s is wider than /%d (IPv6: /%d): %s", (int)len, member, WIDEST_V4,
                WIDEST_MEMBER_V6,
                is_trusted(config, name)
                    ? "the network is trusted, and nothing would be refused to so many clients"
                    : "nearly every client would be in the network");
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return false;
    const char *meant =
        config_network(config, name) != NULL ? NULL : suggest_word(names, n, name, strlen(name));
    if (meant == NULL)
        return false;
    why_set(why, "the configuration asks for no network of this name: did you mean %.100s?", meant);
    return true;
}
