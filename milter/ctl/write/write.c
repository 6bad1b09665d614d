/*
 * Writing to the policy. Owns the order of the steps - check, compare, guard, write, tell - and
 * that a write which meets another one is tried again; what is wanted is the commands' business.
 */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../print.h"
#include "gatepost/write/guard.h"

#define TRIES 100 /* each time that one is too late, another has written */

static int check(const struct ctl *ctl, const char *subject, const struct wanted_fact *wanted,
                 size_t n) {
    struct why why;
    for (size_t i = 0; i < n; i++) {
        if (wanted[i].value == NULL)
            continue;
        const struct store_text field = {wanted[i].field, strlen(wanted[i].field)};
        const struct store_text value = {wanted[i].value, strlen(wanted[i].value)};
        if (ctl_check(ctl, subject, &field, &value, &why) != FACT_GOOD)
            return ctl_refuse(ctl, "%.300s %.100s: %s", subject, wanted[i].field, why.text);
    }
    return CTL_DONE;
}

/* What a write works with. */
struct attempt {
    const char *subject;
    struct ctl_policies before; /* of a network only the hash of its own */
    struct change_plan plan;
    bool drop;
    char *warning;    /* what the guard says although it was forced; NULL */
    char *unrecorded; /* why the history does not have it; NULL */
};

static struct store_hash *own_hash(struct attempt *a) {
    return &a->before.hashes[a->before.own];
}

static void attempt_clear(struct attempt *a) {
    ctl_policies_clear(&a->before);
    plan_clear(&a->plan);
    free(a->warning);
    free(a->unrecorded);
    a->warning = a->unrecorded = NULL;
}

static int read_before(struct ctl *ctl, struct attempt *a) {
    struct why why;
    if (store_writer_begin(ctl->writer, a->subject, &why) != 0)
        return ctl_fail(ctl, "%s", why.text);
    if (!fact_is_network(a->subject))
        return ctl_policies_read(ctl, a->subject, &a->before);
    a->before = (struct ctl_policies){0};
    if (ctl_read_hash(ctl, a->subject, own_hash(a), &why) == 0)
        return CTL_DONE;
    return ctl_fail(ctl, "%s", why.text);
}

static int guarded(const struct ctl *ctl, struct attempt *a, const char *why) {
    if (!ctl->force)
        return ctl_refuse(ctl, "%s: %s (use --force to do it anyway)", a->subject, why);
    a->warning = xstrdup(why);
    ctl_warn("%s: forced: %s", a->subject, why);
    return CTL_DONE;
}

static int ask_guard(const struct ctl *ctl, struct attempt *a) {
    struct why why;
    bool gone = false;
    if (fact_is_network(a->subject)) {
        if (a->plan.state != 0 || own_hash(a)->n == 0 ||
            !guard_network(ctl->config, a->subject + strlen("network:"), &why))
            return CTL_DONE;
        return guarded(ctl, a, why.text);
    }
    struct policy_set after = a->before.set;
    struct policy *policy = a->drop ? NULL : plan_policy(own_hash(a), &a->plan, &gone);
    if (policy == NULL && !gone && !a->drop)
        no_memory();
    after.policies[a->before.own] = policy;
    bool locked_out = guard_policy(ctl->config, &a->before.set, &after, ctl->now, &why);
    policy_free(policy);
    return locked_out ? guarded(ctl, a, why.text) : CTL_DONE;
}

/* ---- telling ---- */

static int tell_json(const struct ctl *ctl, const struct attempt *a) {
    json_t *changes = json_array(), *told = json_object();
    for (size_t i = 0; i < a->plan.n; i++)
        json_array_append_new(changes, ctl_change_json(&a->plan.changes[i]));
    json_object_set_new(told, "subject", json_text(a->subject));
    json_object_set_new(told, "dry_run", json_boolean(ctl->dry_run));
    json_object_set_new(told, "deleted", json_boolean(a->drop));
    json_object_set_new(told, "changes", changes);
    json_object_set_new(told, "forced", json_text(a->warning));
    if (a->unrecorded != NULL)
        json_object_set_new(told, "unrecorded", json_text(a->unrecorded));
    return ctl_print_json(told);
}

static int tell(const struct ctl *ctl, const struct attempt *a) {
    if (ctl->json)
        return tell_json(ctl, a);
    for (size_t i = 0; i < a->plan.n; i++)
        ctl_put_change(a->subject, &a->plan.changes[i]);
    if (a->drop && a->plan.n == 0) {
        ctl_puts(stdout, a->subject);
        puts(": deleted");
    } else if (a->plan.n == 0) {
        ctl_puts(stdout, a->subject);
        puts(": nothing to change");
    }
    if (ctl->dry_run)
        puts("dry run: nothing was written");
    return CTL_DONE;
}

/* ---- one write ---- */

/* Returns the status; *again when somebody else was faster. */
static int commit(struct ctl *ctl, struct attempt *a, bool *again) {
    struct why why = {""};
    struct store_edit edit = {.subject = a->subject,
                              .changes = a->plan.changes,
                              .n = a->plan.n,
                              .drop = a->drop,
                              .state = a->plan.state};
    enum store_written written = store_writer_write(ctl->writer, &edit, 1, &why);
    *again = written == WRITE_CONFLICT;
    if (written == WRITE_FAILED)
        return ctl_fail(ctl, "%s", why.text);
    if (edit.refused)
        return ctl_fail(ctl, "the store refused the change: %s", edit.why);
    if (written == WRITE_UNRECORDED)
        a->unrecorded = xstrdup(why.text);
    return CTL_DONE;
}

static int plan(const struct ctl *ctl, struct attempt *a, const struct wanted_fact *wanted,
                size_t n) {
    const struct store_hash *now = own_hash(a);
    if (now->answer == STORE_WRONG_TYPE && !a->drop)
        return ctl_refuse(ctl,
                          "%s%s is no hash, so it has no fields: delete it (account delete, or "
                          "redis-cli DEL) and set it anew",
                          ctl->config->key_prefix, a->subject);
    if (a->drop && now->answer == STORE_ABSENT)
        return ctl_refuse(ctl, "%s: there is no policy of that name", a->subject);
    if (plan_changes(fact_is_network(a->subject), now, wanted, n, a->drop, &a->plan) != 0)
        no_memory();
    return CTL_DONE;
}

static int write_once(struct ctl *ctl, struct attempt *a, const struct wanted_fact *wanted,
                      size_t n, bool *again) {
    *again = false;
    int status = read_before(ctl, a);
    if (status == CTL_DONE)
        status = plan(ctl, a, wanted, n);
    if (status == CTL_DONE && (a->plan.n > 0 || a->drop))
        status = ask_guard(ctl, a);
    if (status == CTL_DONE && (a->plan.n > 0 || a->drop) && !ctl->dry_run)
        status = commit(ctl, a, again);
    if (status == CTL_DONE && !*again)
        status = tell(ctl, a);
    if (status == CTL_DONE && a->unrecorded != NULL) {
        ctl_warn("%s: changed, but not recorded in the history: %s", a->subject, a->unrecorded);
        status = CTL_FAILED;
    }
    attempt_clear(a);
    return status;
}

static int write_subject(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted,
                         size_t n, bool drop) {
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE)
        status = check(ctl, subject, wanted, n);
    bool again = status == CTL_DONE;
    for (int i = 0; again && i < TRIES; i++) {
        struct attempt attempt = {.subject = subject, .drop = drop};
        status = write_once(ctl, &attempt, wanted, n, &again);
    }
    if (again)
        return ctl_fail(ctl, "%s: not changed, because others kept changing it at the same time",
                        subject);
    return status;
}

int ctl_write(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted, size_t n) {
    return write_subject(ctl, subject, wanted, n, false);
}

int ctl_write_drop(struct ctl *ctl, const char *subject) {
    return write_subject(ctl, subject, NULL, 0, true);
}
