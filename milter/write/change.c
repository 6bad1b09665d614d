/*
 * One change. Owns the order of its steps - check, read, compare, guard, write - and that one which
 * meets another is tried again; each step is somebody else's.
 */
#include "gatepost/write/change.h"

#include <string.h>

#include "gatepost/write/fact_name.h"
#include "gatepost/write/guard.h"

#define TRIES 100 /* each time that one is too late, another has written */

static enum change_result check(struct change *c, struct why *why) {
    for (size_t i = 0; i < c->n; i++) {
        const struct wanted_fact *w = &c->wanted[i];
        if (w->value == NULL)
            continue;
        enum fact_kind kind = fact_check(c->rules, c->subject, w->field, strlen(w->field), w->value,
                                         strlen(w->value), why);
        c->bad_field = w->field;
        if (kind != FACT_GOOD)
            return kind == FACT_UNCHECKED ? CHANGE_FAILED : CHANGE_MALFORMED;
    }
    c->bad_field = NULL;
    return CHANGE_DONE;
}

static enum change_result guarded(struct change *c, const struct why *reason, struct why *why) {
    c->forced = c->force;
    c->warning = *reason;
    *why = *reason;
    return c->force ? CHANGE_DONE : CHANGE_GUARDED;
}

/* Does the change empty a network that is needed, or add to it what nobody may want? */
static bool asks_network(const struct change *c, const struct change_before *before,
                         struct why *reason) {
    const char *name = c->subject + strlen("network:");
    if (c->plan.state == 0 && before->hash->n > 0 && guard_network(c->config, name, reason))
        return true;
    for (size_t i = 0; !c->drop && i < c->plan.n; i++) {
        const struct store_change *change = &c->plan.changes[i];
        if (change->old.text == NULL && change->new_value.text != NULL &&
            guard_member(c->config, name, change->field.text, change->field.len, reason))
            return true;
    }
    return false;
}

static enum change_result ask_guard(struct change *c, const struct change_before *before,
                                    struct why *why) {
    struct why reason;
    bool gone = false;
    if (before->policies == NULL)
        return asks_network(c, before, &reason) ? guarded(c, &reason, why) : CHANGE_DONE;
    struct policy_set after = *before->policies;
    struct policy *policy = c->drop ? NULL : plan_policy(c->subject, before->hash, &c->plan, &gone);
    if (policy == NULL && !gone && !c->drop) {
        why_set(why, "no memory");
        return CHANGE_FAILED;
    }
    after.policies[before->own] = policy;
    /* nobody inherits what a user has set himself */
    bool inherited = before->own != SUBJECT_ACCOUNT && before->own != SUBJECT_SELF;
    bool asks = guard_policy(c->config, before->policies, &after, c->now, &reason) ||
                guard_opening(before->policies->policies[before->own], policy, c->drop && inherited,
                              c->now, &reason);
    policy_free(policy);
    return asks ? guarded(c, &reason, why) : CHANGE_DONE;
}

static enum change_result write_plan(struct change *c, bool *again, struct why *why) {
    struct store_edit edit = {.subject = c->subject,
                              .changes = c->plan.changes,
                              .n = c->plan.n,
                              .drop = c->drop,
                              .state = c->plan.state};
    enum store_written written = store_writer_write(c->writer, &edit, 1, why);
    *again = written == WRITE_CONFLICT;
    if (written == WRITE_FAILED)
        return CHANGE_FAILED;
    if (edit.refused) {
        why_set(why, "%s", edit.why);
        return CHANGE_REFUSED;
    }
    return written == WRITE_UNRECORDED ? CHANGE_UNRECORDED : CHANGE_DONE;
}

static enum change_result try_once(struct change *c, bool *again, struct why *why) {
    struct change_before before = {0};
    *again = false;
    change_clear(c);
    if ((c->writer != NULL && store_writer_begin(c->writer, c->subject, why) != 0) ||
        c->read(c->context, c->subject, &before, why) != 0)
        return CHANGE_FAILED;
    if (before.hash->answer == STORE_WRONG_TYPE && !c->drop)
        return CHANGE_WRONG_TYPE;
    if (before.hash->answer == STORE_ABSENT && c->drop)
        return CHANGE_ABSENT;
    if (plan_changes(fact_is_network(c->subject), before.hash, c->wanted, c->n, c->drop,
                     &c->plan) != 0) {
        why_set(why, "no memory");
        return CHANGE_FAILED;
    }
    if (c->plan.n == 0 && !c->drop)
        return CHANGE_DONE;
    enum change_result result = ask_guard(c, &before, why);
    return result == CHANGE_DONE && !c->dry_run ? write_plan(c, again, why) : result;
}

enum change_result change_make(struct change *change, struct why *why) {
    bool again = true;
    enum change_result result = check(change, why);
    if (result != CHANGE_DONE)
        return result;
    for (int i = 0; again && i < TRIES; i++)
        result = try_once(change, &again, why);
    return again ? CHANGE_TOO_LATE : result;
}

void change_clear(struct change *change) {
    plan_clear(&change->plan);
    change->forced = false;
}
