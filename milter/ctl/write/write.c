/*
 * Writing to the policy. Owns what is told of a change, done or not; its steps are change.c's, what
 * is wanted is the commands' business.
 */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../print.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/trial.h"
#include "gatepost/write/change.h"

/* What a reading was made into, until the next one. */
struct reading {
    struct ctl *ctl;
    struct ctl_policies policies; /* of a network only the hash of its own */
};

/* A change_read. */
static int read_before(void *context, const char *subject, struct change_before *out,
                       struct why *why) {
    struct reading *r = context;
    bool network = fact_is_network(subject);
    ctl_policies_clear(&r->policies);
    if (network ? ctl_read_hash(r->ctl, subject, &r->policies.hashes[0], why) != 0
                : ctl_policies_load(r->ctl, subject, &r->policies, why) != 0)
        return -1;
    struct store_hash *own = &r->policies.hashes[network ? 0 : r->policies.own];
    if (own->answer == STORE_TOO_LARGE && /* it is edited as others are */
        ctl_read_whole(r->ctl, subject, own, why) != 0)
        return -1;
    *out = (struct change_before){
        .hash = own, .policies = network ? NULL : &r->policies.set, .own = r->policies.own};
    return 0;
}

/* ---- what the user has set himself ---- */

/* Is it the fact of the host that this one of the user's stands beside? protocol:* is all of them.
 */
static bool is_beside(const struct store_text *host, const struct store_field *own) {
    static const char every[] = "protocol:*";
    if (host->len == sizeof every - 1 && memcmp(host->text, every, host->len) == 0)
        return own->name_len > host->len - 1 && memcmp(own->name, every, host->len - 1) == 0;
    return own->name_len == host->len && memcmp(own->name, host->text, host->len) == 0;
}

/* Does the user's say the same? His has a time behind the word, perhaps. */
static bool says_the_same(const struct store_text *host, const struct store_field *own) {
    return host->text != NULL && own->value_len >= host->len &&
           memcmp(own->value, host->text, host->len) == 0 &&
           (own->value_len == host->len || own->value[host->len] == ' ');
}

/* What the user has closed the host does not open: is that what was wanted? */
static void warn_of_self(const struct change *c, const struct ctl_policies *policies) {
    const struct store_hash *own = &policies->hashes[SUBJECT_SELF];
    if (c->drop || policies->own != SUBJECT_ACCOUNT || policies->subjects[SUBJECT_SELF] == NULL)
        return;
    for (size_t i = 0; i < c->plan.n; i++) {
        const struct store_change *change = &c->plan.changes[i];
        for (size_t j = 0; j < own->n; j++) {
            const struct store_field *field = &own->fields[j];
            if (field->value_len == 0 || strncmp(field->name, "ip:", 3) == 0 ||
                !is_beside(&change->field, field) || says_the_same(&change->new_value, field))
                continue;
            ctl_warn("%s has set %.*s %.*s himself, which counts beside this: account show "
                     "tells what holds, self forget removes all that he has set",
                     c->subject + strlen("account:"), (int)field->name_len, field->name,
                     (int)field->value_len, field->value);
        }
    }
}

/* ---- what has changed ---- */

/* What follows the change, of which `told` is told; an exit status. */
static int follow(struct ctl *ctl, const struct change *c, json_t *told) {
    return ctl->after_change == NULL || c->dry_run ? CTL_DONE
                                                   : ctl->after_change(ctl, c->subject, told);
}

static int tell_json(struct ctl *ctl, const struct change *c, const char *unrecorded) {
    json_t *changes = json_array(), *told = json_object();
    for (size_t i = 0; i < c->plan.n; i++)
        json_array_append_new(changes, ctl_change_json(&c->plan.changes[i]));
    json_object_set_new(told, "subject", json_text(c->subject));
    json_object_set_new(told, "dry_run", json_boolean(c->dry_run));
    json_object_set_new(told, "deleted", json_boolean(c->drop));
    json_object_set_new(told, "changes", changes);
    json_object_set_new(told, "forced", json_text(c->forced ? c->warning.text : NULL));
    if (unrecorded != NULL)
        json_object_set_new(told, "unrecorded", json_text(unrecorded));
    int status = follow(ctl, c, told);
    ctl_print_json(told);
    return status;
}

static int tell(struct ctl *ctl, const struct change *c, const char *unrecorded) {
    if (ctl->json)
        return tell_json(ctl, c, unrecorded);
    for (size_t i = 0; i < c->plan.n; i++)
        ctl_put_change(c->subject, &c->plan.changes[i]);
    if (c->plan.n == 0) {
        ctl_puts(stdout, c->subject);
        puts(c->drop ? ": deleted" : ": nothing to change");
    }
    if (c->dry_run)
        puts("dry run: nothing was written");
    fflush(stdout);
    return follow(ctl, c, NULL);
}

/* ---- or not ---- */

static int refuse_type(struct ctl *ctl, const char *subject) {
    char key[400];
    store_key_put(key, sizeof key, ctl->config->key_prefix, subject);
    return ctl_refuse(ctl,
                      "%s is no hash, so it has no fields: delete it (account delete, or redis-cli "
                      "DEL) and set it anew",
                      key);
}

static int tell_result(struct ctl *ctl, const struct change *c, enum change_result result,
                       const char *why) {
    switch (result) {
    case CHANGE_DONE:
        return tell(ctl, c, NULL);
    case CHANGE_UNRECORDED:
        tell(ctl, c, why);
        ctl_warn("%s: changed, but not recorded in the history: %s", c->subject, why);
        return CTL_FAILED;
    case CHANGE_MALFORMED:
        return ctl_refuse(ctl, "%.300s %.100s: %s", c->subject, c->bad_field, why);
    case CHANGE_WRONG_TYPE:
        return refuse_type(ctl, c->subject);
    case CHANGE_ABSENT:
        return ctl_refuse(ctl,
                          self_is_subject(c->subject) ? "%s: nothing is set"
                                                      : "%s: there is no policy of that name",
                          c->subject);
    case CHANGE_GUARDED:
        return ctl_refuse(ctl, "%s: %s (use --force to do it anyway)", c->subject, why);
    case CHANGE_REFUSED:
        return ctl_fail(ctl, "store \"%s\" refused the change: %s", ctl->config->store, why);
    case CHANGE_TOO_LATE:
        return ctl_fail(ctl, "%s: not changed, because others kept changing it at the same time",
                        c->subject);
    case CHANGE_FAILED:
        break;
    }
    return ctl_fail_store(ctl, why);
}

/* ---- or only tried ---- */

/* Puts what a plan makes of a subject into the trial. */
static int try_plan(const struct ctl *ctl, const struct change *c,
                    const struct store_hash *before) {
    struct store_field *after = xcalloc(before->n + c->plan.n, sizeof *after);
    size_t n = 0;
    for (size_t i = 0; !c->drop && i < before->n; i++)
        after[n++] = before->fields[i];
    for (size_t i = 0; !c->drop && i < c->plan.n; i++) {
        const struct store_change *change = &c->plan.changes[i];
        const struct store_text *name = &change->field, *value = &change->new_value;
        size_t at = 0;
        while (at < n && (after[at].name_len != name->len ||
                          memcmp(after[at].name, name->text, name->len) != 0))
            at++;
        if (value->text == NULL && at < n)
            after[at] = after[--n];
        else if (value->text != NULL)
            after[at] = (struct store_field){name->text, value->text, name->len, value->len};
        n += value->text != NULL && at == n;
    }
    if (store_trial_put(ctl->trial, c->subject, after, n) != 0)
        no_memory();
    free(after);
    return CTL_DONE;
}

/* A subject beside that of the command. */
static int tell_beside(struct ctl *ctl, const struct change *c, enum change_result result,
                       const char *why) {
    if (result == CHANGE_ABSENT)
        return CTL_DONE;
    if (result != CHANGE_DONE)
        return tell_result(ctl, c, result, why);
    for (size_t i = 0; !ctl->json && i < c->plan.n; i++)
        ctl_put_change(c->subject, &c->plan.changes[i]);
    return CTL_DONE;
}

enum purpose { SET, DROP, DROP_BESIDE, ASK_TO_DROP };

static int write_subject(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted,
                         size_t n, enum purpose purpose) {
    struct reading reading = {.ctl = ctl};
    struct why why = {"no memory"};
    int status = ctl_open_writer(ctl);
    if (status != CTL_DONE)
        return status;
    struct change change = {.writer = ctl->writer,
                            .config = ctl->config,
                            .rules = &ctl->fact_rules,
                            .read = read_before,
                            .context = &reading,
                            .subject = subject,
                            .wanted = wanted,
                            .n = n,
                            .drop = purpose != SET,
                            .force = ctl->force || ctl->trial != NULL,
                            .dry_run = ctl->dry_run || purpose == ASK_TO_DROP,
                            .now = ctl->now};
    enum change_result result = change_make(&change, &why);
    bool may = purpose == ASK_TO_DROP && (result == CHANGE_DONE || result == CHANGE_ABSENT);
    if (change.forced && !may)
        ctl_warn("%s: forced: %s", subject, change.warning.text);
    if (may)
        status = CTL_DONE;
    else if (ctl->trial != NULL && result == CHANGE_DONE)
        status =
            try_plan(ctl, &change,
                     &reading.policies.hashes[fact_is_network(subject) ? 0 : reading.policies.own]);
    else
        status = purpose == DROP_BESIDE ? tell_beside(ctl, &change, result, why.text)
                                        : tell_result(ctl, &change, result, why.text);
    if (result == CHANGE_DONE && purpose == SET && ctl->trial == NULL && !fact_is_network(subject))
        warn_of_self(&change, &reading.policies);
    change_clear(&change);
    ctl_policies_clear(&reading.policies);
    return status;
}

int ctl_write(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted, size_t n) {
    return write_subject(ctl, subject, wanted, n, SET);
}

int ctl_write_drop(struct ctl *ctl, const char *subject) {
    return write_subject(ctl, subject, NULL, 0, DROP);
}

int ctl_write_drop_beside(struct ctl *ctl, const char *subject) {
    return write_subject(ctl, subject, NULL, 0, DROP_BESIDE);
}

int ctl_write_may_drop(struct ctl *ctl, const char *subject) {
    return write_subject(ctl, subject, NULL, 0, ASK_TO_DROP);
}
