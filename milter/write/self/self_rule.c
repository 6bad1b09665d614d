/*
 * What a user's wish becomes. Owns what he may change, and when it acts; how the facts are read
 * and written is self_facts.c's and self_change.c's.
 */
#include "self_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_name.h"
#include "self_loss.h"

struct judging {
    const struct config *config;
    const struct self_facts *facts;
    struct policy_set host;
    const struct self_change *change;
    struct self_plan *plan;
    struct self_outcome *out;
    bool no_memory;
};

/* Takes a malloc'd text, or its absence, which ends the judging. */
static const char *own(struct judging *j, char *text) {
    const char *kept = self_plan_keep(j->plan, text);
    j->no_memory |= kept == NULL;
    return kept;
}

/* Value NULL: the field goes. Both last as long as the plan. */
static void want(struct judging *j, const char *field, const char *value) {
    j->no_memory |= self_plan_want(j->plan, field, value) != 0;
}

static void want_value(struct judging *j, const char *field, const char *word,
                       struct fact_time time, const char *note) {
    const char *name = own(j, strdup(field));
    const char *value = own(j, self_value_make(word, &time, note, strlen(note)));
    if (name != NULL && value != NULL)
        want(j, name, value);
}

static void want_gone(struct judging *j, const char *field) {
    const char *name = own(j, strdup(field));
    if (name != NULL)
        want(j, name, NULL);
}

/* It acts from then on. */
static void wait_until(struct judging *j, int64_t time) {
    if (time > j->plan->pending)
        j->plan->pending = time;
}

static void refuse(struct judging *j, const char *kind, const char *name, const char *why) {
    struct self_outcome *out = j->out;
    if (out->result == SELF_REFUSED)
        return; /* the first one is told */
    out->result = SELF_REFUSED;
    snprintf(out->field, sizeof out->field, "%s%s%.250s", kind, name[0] == '\0' ? "" : ".", name);
    why_set(&out->why, "%s", why);
}

/* ---- one word ---- */

/* A switch or a setting, with what the host and the user say of it. */
struct word {
    const struct policy_field *field;
    const char *kind, *name;   /* how the user is told of it */
    const char *as;            /* the field that says it */
    const struct setting *own; /* NULL: none */
    enum setting_state host;
    int host_value;
};

static void restrict_word(struct judging *j, const struct word *w) {
    bool endless = w->own != NULL && w->own->state == SETTING_SET && w->own->time.until == 0 &&
                   fact_time_holds(&w->own->time, j->change->now);
    if (!endless)
        want_value(j, w->as, w->field->own, (struct fact_time){0, 0}, "");
}

/* What he has set himself goes, at once or when he has waited; what has no effect yet goes. */
static void unset_word(struct judging *j, const struct word *w) {
    const struct self_change *c = j->change;
    const struct setting *own = w->own;
    if (own == NULL || own->state == SETTING_UNSET)
        return;
    bool holds = own->state == SETTING_MALFORMED || fact_time_holds(&own->time, c->now);
    int64_t then = c->now + c->loosen_after;
    if (!holds || c->loosen_after == 0)
        want_gone(j, own->field);
    else if (own->state == SETTING_SET && own->time.until != 0 && own->time.until <= then)
        wait_until(j, own->time.until); /* he has asked for it before */
    else {
        want_value(j, w->as, w->field->own, (struct fact_time){0, then}, "");
        wait_until(j, then);
    }
}

static void judge_word(struct judging *j, const struct word *w, enum self_wish wish) {
    if (wish == SELF_RESTRICT)
        restrict_word(j, w);
    else if (wish == SELF_OPEN && w->host == SETTING_MALFORMED)
        refuse(j, w->kind, w->name, "what your host has set for it cannot be read: ask your host");
    else if (wish == SELF_OPEN && w->host == SETTING_SET && w->host_value == w->field->stricter)
        refuse(j, w->kind, w->name, "your host has set this, and only your host can change it");
    else if (wish != SELF_LEAVE)
        unset_word(j, w);
}

static void judge_setting(struct judging *j, enum policy_field_id id, enum self_wish wish) {
    const struct policy *own = j->facts->set.policies[SUBJECT_SELF];
    const struct policy_field *field = policy_field_of(id);
    struct policy_origin origin;
    struct word w = {.field = field,
                     .kind = field->name,
                     .name = "",
                     .as = field->name,
                     .own = own == NULL ? NULL : &own->settings[id],
                     .host_value = field->otherwise};
    w.host = policy_setting(&j->host, id, &w.host_value, &origin);
    judge_word(j, &w, wish);
}

/* ---- protocols ---- */

static const struct setting *own_switch(const struct policy *own, const char *name) {
    for (size_t i = 0; own != NULL && i < own->n_protocols; i++)
        if (strcmp(own->protocols[i].name, name) == 0)
            return &own->protocols[i].on;
    return NULL;
}

static void judge_protocol(struct judging *j, const struct self_wish_protocol *wish) {
    const struct policy *own = j->facts->set.policies[SUBJECT_SELF];
    char name[64], field[80];
    struct why why;
    struct policy_origin origin;
    size_t len = strlen(wish->name);
    for (size_t i = 0; i <= len && len < sizeof name; i++) {
        char c = wish->name[i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    if (len == 0 || len >= sizeof name || strcmp(name, "*") == 0) {
        refuse(j, "protocols", wish->name, "there is no protocol of that name");
        return;
    }
    /* of one that the host has no more, he can still take back what he has set */
    bool leftover = wish->wish == SELF_UNSET && own_switch(own, name) != NULL;
    if (!leftover && fact_check_protocol(&j->config->rules, name, &why) != FACT_GOOD) {
        refuse(j, "protocols", wish->name, why.text);
        return;
    }
    snprintf(field, sizeof field, "protocol:%s", name);
    struct word w = {.field = policy_field_of(FIELD_PROTOCOL),
                     .kind = "protocols",
                     .name = wish->name,
                     .as = field,
                     .own = own_switch(own, name),
                     .host_value = 1};
    w.host = policy_protocol(&j->host, name, &w.host_value, &origin);
    if (wish->wish == SELF_OPEN && own != NULL &&
        policy_own_switch(own, "*", j->change->now) != NULL)
        refuse(j, "protocols", wish->name,
               "all protocols are switched off together (protocol:*): ask your host");
    else
        judge_word(j, &w, wish->wish);
}

/* ---- addresses ---- */

/* The user's own entry, or the host's, for the same block. */
static const struct ip_entry *find_entry(const struct policy *policy,
                                         const struct netblock *block) {
    for (size_t i = 0; policy != NULL && i < policy->n_ips; i++) {
        const struct ip_entry *entry = &policy->ips[i];
        if (!entry->malformed && entry->block.prefix == block->prefix &&
            memcmp(&entry->block.base, &block->base, sizeof block->base) == 0)
            return entry;
    }
    return NULL;
}

static bool is_hosts(const struct judging *j, const struct netblock *block) {
    for (size_t i = 0; i < SUBJECTS; i++)
        if (find_entry(j->host.policies[i], block) != NULL)
            return true;
    return false;
}

/* Whose listed addresses are demanded? */
enum demand { DEMAND_NOBODY, DEMAND_OWN, DEMAND_HOST };

static enum demand demanded(const struct judging *j) {
    struct policy_origin origin;
    int value = SOURCE_ANY;
    enum setting_state state = policy_source(&j->facts->set, &value, &origin);
    if (state == SETTING_UNSET || (state == SETTING_SET && value == SOURCE_ANY))
        return DEMAND_NOBODY;
    return policy_is_own(&j->facts->set, &origin) ? DEMAND_OWN : DEMAND_HOST;
}

static const char *note_fault(const char *note) {
    if (strlen(note) > SELF_NOTE_MAX)
        return "the note is too long";
    if (!fact_is_plain(note, strlen(note)))
        return "the note has characters that cannot be shown";
    if (note[0] == ' ' || (note[0] != '\0' && note[strlen(note) - 1] == ' '))
        return "the note begins or ends with a space";
    if (strncasecmp(note, "until=", 6) == 0 || strncasecmp(note, "from=", 5) == 0)
        return "a note cannot begin with until= or from=";
    return NULL;
}

static void add_address(struct judging *j, const char *name, const struct netblock *block,
                        const struct ip_entry *there, const char *note) {
    const struct self_change *c = j->change;
    enum demand demand = demanded(j);
    char text[NETBLOCK_TEXT_SIZE], field[NETBLOCK_TEXT_SIZE + 3];
    const char *fault = note_fault(note);
    struct fact_time time = {0, 0};
    if (demand == DEMAND_HOST)
        fault = "your host demands listed addresses, and only your host can list one more";
    if (fault != NULL) {
        refuse(j, "ips", name, fault);
        return;
    }
    if (there != NULL && (there->until == 0 || c->now < there->until))
        time = (struct fact_time){there->from, there->until};
    else if (demand == DEMAND_OWN && c->loosen_after > 0)
        time.from = c->now + c->loosen_after;
    if (time.from > c->now)
        wait_until(j, time.from);
    snprintf(field, sizeof field, "ip:%s", netblock_format(block, text));
    want_value(j, there != NULL ? there->field : field, NULL, time, note);
}

/* The user's own entry that cannot be read, by its block or by what stands there instead. */
static const struct ip_entry *find_malformed(const struct policy *policy, const char *name) {
    struct netblock wanted, block;
    struct why why;
    bool is_block = netblock_parse(name, strlen(name), &wanted, &why) == 0;
    for (size_t i = 0; policy != NULL && i < policy->n_ips; i++) {
        const char *stored = policy->ips[i].field + strlen("ip:");
        if (!policy->ips[i].malformed)
            continue;
        if (strcasecmp(stored, name) == 0 ||
            (is_block && netblock_parse(stored, strlen(stored), &block, &why) == 0 &&
             block.prefix == wanted.prefix &&
             memcmp(&block.base, &wanted.base, sizeof block.base) == 0))
            return &policy->ips[i];
    }
    return NULL;
}

static void judge_address(struct judging *j, const struct self_wish_ip *wish) {
    struct netblock block;
    struct why why;
    char text[NETBLOCK_TEXT_SIZE];
    const struct policy *own = j->facts->set.policies[SUBJECT_SELF];
    const struct ip_entry *malformed = wish->note == NULL ? find_malformed(own, wish->block) : NULL;
    if (malformed != NULL) {
        want_gone(j, malformed->field);
        return;
    }
    if (netblock_parse(wish->block, strlen(wish->block), &block, &why) != 0) {
        refuse(j, "ips", wish->block, why.text);
        return;
    }
    const struct ip_entry *there = find_entry(own, &block);
    if (block.host_bits) {
        why_set(&why, "bits are set after the prefix length: write %s",
                netblock_format(&block, text));
        refuse(j, "ips", wish->block, why.text);
    } else if (wish->note != NULL) {
        add_address(j, wish->block, &block, there, wish->note);
    } else if (there != NULL) {
        want_gone(j, there->field);
    } else if (is_hosts(j, &block)) {
        refuse(j, "ips", wish->block,
               "your host has listed this, and only your host can remove it");
    }
}

/* ---- all of it ---- */

static void refuse_twice(struct judging *j) {
    const struct self_change *c = j->change;
    for (size_t i = 0; i < c->n_protocols; i++)
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(c->protocols[i].name, c->protocols[k].name) == 0)
                refuse(j, "protocols", c->protocols[i].name, "it is there twice");
    for (size_t i = 0; i < j->plan->n; i++)
        for (size_t k = 0; k < i; k++)
            if (fact_is_same(false, j->plan->wanted[i].field, strlen(j->plan->wanted[i].field),
                             j->plan->wanted[k].field, strlen(j->plan->wanted[k].field)))
                refuse(j, "ips",
                       j->plan->wanted[i].field + strcspn(j->plan->wanted[i].field, ":") +
                           (strchr(j->plan->wanted[i].field, ':') != NULL),
                       "it is there twice");
}

static bool is_wanted(const struct self_plan *plan, const char *field) {
    for (size_t i = 0; i < plan->n; i++)
        if (fact_is_same(false, plan->wanted[i].field, strlen(plan->wanted[i].field), field,
                         strlen(field)))
            return true;
    return false;
}

static void forget(struct judging *j, const char *field, int64_t until) {
    if (until != 0 && until <= j->change->now && !is_wanted(j->plan, field))
        want_gone(j, field);
}

/* What has ended is of no use any more: it goes with the next change. */
static void forget_ended(struct judging *j) {
    const struct policy *own = j->facts->set.policies[SUBJECT_SELF];
    if (own == NULL || j->plan->n == 0)
        return;
    for (size_t i = 0; i < POLICY_SETTINGS; i++)
        if (own->settings[i].state == SETTING_SET)
            forget(j, own->settings[i].field, own->settings[i].time.until);
    for (size_t i = 0; i < own->n_protocols; i++)
        if (own->protocols[i].on.state == SETTING_SET)
            forget(j, own->protocols[i].on.field, own->protocols[i].on.time.until);
    for (size_t i = 0; i < own->n_ips; i++)
        if (!own->ips[i].malformed)
            forget(j, own->ips[i].field, own->ips[i].until);
}

static size_t count_ips(const struct policy *policy) {
    return policy == NULL ? 0 : policy->n_ips;
}

/* What the facts would be, and whether that may be. Returns 0, or -1: no memory. */
static int judge_after(struct judging *j) {
    const struct self_facts *facts = j->facts;
    struct policy_set after = facts->set;
    struct self_plan *plan = j->plan;
    bool gone = false;
    const struct store_hash *own = &facts->hashes[SUBJECT_SELF];
    if (plan_changes(false, own, plan->wanted, plan->n, false, &plan->changes) != 0)
        return -1;
    struct policy *policy =
        plan_policy(facts->set.subjects[SUBJECT_SELF], own, &plan->changes, &gone);
    if (policy == NULL && !gone)
        return -1;
    after.policies[SUBJECT_SELF] = policy;
    const char *lost = self_loss(j->config, j->change, &facts->set, &after);
    if (count_ips(policy) > SELF_IPS_MAX &&
        count_ips(policy) > count_ips(facts->policies[SUBJECT_SELF])) {
        refuse(j, "ips", "", "there are too many: remove one first");
    } else if (lost != NULL && !j->change->confirm) {
        j->out->result = SELF_LOCKS_OUT;
        why_set(&j->out->why, "%s", lost);
    }
    policy_free(policy);
    return 0;
}

int self_rule_judge(const struct config *config, const struct self_facts *facts,
                    const struct self_change *change, struct self_plan *plan,
                    struct self_outcome *out) {
    struct judging j = {config, facts, self_facts_host(&facts->set), change, plan, out, false};
    enum store_answer answer = facts->hashes[SUBJECT_SELF].answer;
    out->result = SELF_DONE;
    if (answer == STORE_WRONG_TYPE || answer == STORE_TOO_LARGE) {
        refuse(&j, "", "", "what is stored for you cannot be read: ask your host");
        return 0;
    }
    if (change->n_ips > SELF_IPS_MAX || change->n_protocols > SELF_PROTOCOLS_MAX) {
        refuse(&j, change->n_ips > SELF_IPS_MAX ? "ips" : "protocols", "",
               "there are too many at once");
        return 0;
    }
    judge_setting(&j, FIELD_SOURCE, change->source);
    judge_setting(&j, FIELD_PASSWORD, change->password);
    for (size_t i = 0; i < change->n_protocols; i++)
        judge_protocol(&j, &change->protocols[i]);
    for (size_t i = 0; i < change->n_ips; i++)
        judge_address(&j, &change->ips[i]);
    refuse_twice(&j);
    forget_ended(&j);
    if (j.no_memory || (out->result == SELF_DONE && judge_after(&j) != 0))
        return -1;
    out->pending = plan->pending;
    if (out->result == SELF_DONE && plan->pending > 0)
        out->result = SELF_PENDING;
    return 0;
}
