/*
 * `import`: lines of policy into the store, each subject whole or not at all. Owns the way of many
 * subjects through reading, comparing, guard and writing in few round trips.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#define uthash_fatal(message) no_memory()
#include <uthash.h>

#include "../print.h"
#include "gatepost/write/guard.h"
#include "import_read.h"
#include "prune.h"

/* Subjects read in one go. */
#define BATCH 256

/* What accounts inherit, as it will be: read, or made by this import. policy NULL: absent. */
struct inherited {
    char *subject;
    struct policy *policy;
    UT_hash_handle hh;
};

/* A subject on its way; the edit's texts are those of hash and facts. */
struct pending {
    struct input_facts *facts;
    struct store_hash hash;
    struct change_plan plan;
};

struct import {
    struct ctl *ctl;
    struct input_problems problems;
    struct inherited *inherited;
    struct pending *pending;
    struct store_edit *edits;
    size_t n_pending, room;
    size_t written, unchanged, refused, set, removed;
    struct prune prune;
    bool unrecorded; /* the last ones written are not all in the history */
};

static void refuse(struct import *im, struct input_facts *facts, const char *why) {
    input_problem(&im->problems, facts->line, facts->subject, NULL, true, why);
    facts->refused = true;
    im->refused++;
}

/* ---- what is inherited ---- */

static void keep_inherited(struct import *im, const char *subject, struct policy *policy) {
    struct inherited *known;
    HASH_FIND_STR(im->inherited, subject, known);
    if (known != NULL) {
        policy_free(known->policy);
        known->policy = policy;
        return;
    }
    known = xcalloc(1, sizeof *known);
    known->subject = xstrdup(subject);
    known->policy = policy;
    HASH_ADD_KEYPTR(hh, im->inherited, known->subject, strlen(known->subject), known);
}

static int find_inherited(struct import *im, const char *subject, const struct policy **policy,
                          struct why *why) {
    struct inherited *known;
    HASH_FIND_STR(im->inherited, subject, known);
    if (known == NULL) {
        struct store_hash hash;
        if (ctl_read_hash(im->ctl, subject, &hash, why) != 0)
            return -1;
        keep_inherited(im, subject, ctl_decode(subject, &hash));
        store_hash_clear(&hash);
        HASH_FIND_STR(im->inherited, subject, known);
    }
    *policy = known->policy;
    return 0;
}

static void inherited_free(struct import *im) {
    struct inherited *known, *next;
    HASH_ITER(hh, im->inherited, known, next) {
        HASH_DEL(im->inherited, known);
        policy_free(known->policy);
        free(known->subject);
        free(known);
    }
}

/* ---- one subject ---- */

/*
 * What the guard would ask about is reported, but written nevertheless: what was exported must come
 * back. Returns 0, or -1 with the reason.
 */
static int ask_guard(struct import *im, struct pending *p, struct why *why) {
    struct ctl_policies names = {0};
    struct policy_set before;
    struct why locked_out;
    bool gone = false;
    int rc = 0;
    ctl_policies_name(&names, p->facts->subject);
    before = names.set;
    for (size_t i = 0; rc == 0 && i < SUBJECTS; i++)
        if (names.subjects[i] != NULL && i != names.own)
            rc = find_inherited(im, names.subjects[i], &before.policies[i], why);
    struct policy_set after = before;
    struct policy *was = ctl_decode(p->facts->subject, &p->hash);
    struct policy *will = plan_policy(p->facts->subject, &p->hash, &p->plan, &gone);
    before.policies[names.own] = was;
    after.policies[names.own] = will;
    if (will == NULL && !gone)
        no_memory();
    if (rc == 0 && !im->ctl->force &&
        (guard_policy(im->ctl->config, &before, &after, im->ctl->now, &locked_out) ||
         guard_opening(was, will, false, im->ctl->now, &locked_out)))
        input_problem(&im->problems, p->facts->line, p->facts->subject, NULL, false,
                      locked_out.text);
    if (rc == 0 && names.own != SUBJECT_ACCOUNT && names.own != SUBJECT_SELF) {
        keep_inherited(im, p->facts->subject, will);
        will = NULL;
    }
    policy_free(was);
    policy_free(will);
    ctl_policies_clear(&names);
    return rc;
}

/* The same of a network. */
static void ask_network_guard(struct import *im, const struct pending *p) {
    const char *name = p->facts->subject + strlen("network:");
    struct why wide;
    for (size_t i = 0; !im->ctl->force && i < p->plan.n; i++) {
        const struct store_change *change = &p->plan.changes[i];
        if (change->old.text == NULL && change->new_value.text != NULL &&
            guard_member(im->ctl->config, name, change->field.text, change->field.len, &wide))
            input_problem(&im->problems, p->facts->line, p->facts->subject, NULL, false, wide.text);
    }
}

static void count(struct import *im, const struct change_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->changes[i].new_value.text != NULL)
            im->set++;
        else
            im->removed++;
    }
    im->written++;
}

static void drop_last(struct import *im) {
    struct pending *p = &im->pending[--im->n_pending];
    plan_clear(&p->plan);
    store_hash_clear(&p->hash);
}

/* Takes the hash in every case. */
static int add_pending(struct import *im, struct input_facts *facts, struct store_hash *hash,
                       struct why *why) {
    struct pending *p = &im->pending[im->n_pending++];
    bool network = fact_is_network(facts->subject);
    *p = (struct pending){.facts = facts, .hash = *hash};
    if (hash->answer == STORE_WRONG_TYPE) {
        refuse(im, facts, "the key is not a hash: delete it first (account delete)");
        drop_last(im);
        return 0;
    }
    if (hash->answer == STORE_TOO_LARGE) {
        refuse(im, facts,
               "the key is too large: remove fields, or delete it first (account delete)");
        drop_last(im);
        return 0;
    }
    if (plan_changes(network, hash, facts->wanted, facts->n, im->ctl->replace, &p->plan) != 0)
        no_memory();
    if (network)
        ask_network_guard(im, p);
    else if (ask_guard(im, p, why) != 0)
        return -1;
    if (p->plan.n == 0) {
        im->unchanged++;
        drop_last(im);
    }
    return 0;
}

/* ---- writing ---- */

static void tell_dry(const struct import *im) {
    for (size_t i = 0; !im->ctl->json && i < im->n_pending; i++)
        for (size_t j = 0; j < im->pending[i].plan.n; j++)
            ctl_put_change(im->pending[i].facts->subject, &im->pending[i].plan.changes[j]);
}

/* Returns 0 when they are written; what then is not in the history ends the import after them. */
static int write_pending(struct import *im, struct why *why) {
    struct why reason = {"somebody else has changed it in the meantime"};
    enum store_written written = WRITE_DONE;
    if (im->n_pending > 0)
        written = store_writer_write(im->ctl->writer, im->edits, im->n_pending, &reason);
    im->unrecorded = written == WRITE_UNRECORDED;
    if (im->unrecorded)
        why_set(why, "written, but not all of it is recorded in the history: %s", reason.text);
    else if (written != WRITE_DONE)
        why_set(why, "%s", reason.text);
    return written == WRITE_DONE || im->unrecorded ? 0 : -1;
}

static int flush(struct import *im, struct why *why) {
    int rc = 0;
    for (size_t i = 0; i < im->n_pending; i++) {
        const struct pending *p = &im->pending[i];
        im->edits[i] = (struct store_edit){.subject = p->facts->subject,
                                           .changes = p->plan.changes,
                                           .n = p->plan.n,
                                           .state = p->plan.state};
    }
    if (im->ctl->dry_run)
        tell_dry(im);
    else
        rc = write_pending(im, why);
    while (im->n_pending > 0) {
        const struct store_edit *edit = &im->edits[im->n_pending - 1];
        const struct pending *p = &im->pending[im->n_pending - 1];
        if (rc == 0 && edit->refused)
            refuse(im, p->facts, edit->why);
        else if (rc == 0)
            count(im, &p->plan);
        drop_last(im);
    }
    return im->unrecorded ? -1 : rc;
}

/* The hashes of the batch: of accounts in one round trip. */
static int read_batch(struct import *im, struct input_facts **batch, size_t n,
                      struct store_hash *hashes, struct why *why) {
    const char *subjects[BATCH] = {NULL};
    for (size_t i = 0; i < n; i++)
        subjects[i] = batch[i]->subject;
    if (n == 1)
        return ctl_read_hash(im->ctl, subjects[0], &hashes[0], why);
    int rc = store_get(im->ctl->store, subjects, n, hashes, NO_DEADLINE, why);
    for (size_t i = 0; i < n; i++) {
        if (rc != 0)
            store_hash_clear(&hashes[i]);
        else
            ctl_sort_hash(&hashes[i]);
    }
    return rc;
}

static int take_batch(struct import *im, struct input_facts **batch, size_t n, struct why *why) {
    struct store_hash hashes[BATCH];
    if (n == 0)
        return 0;
    if (read_batch(im, batch, n, hashes, why) != 0)
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (rc == 0 && im->n_pending == im->room)
            rc = flush(im, why);
        if (rc == 0)
            rc = add_pending(im, batch[i], &hashes[i], why);
        else
            store_hash_clear(&hashes[i]);
    }
    return rc;
}

static int take_subjects(struct import *im, struct input *input, struct why *why) {
    struct ctl_progress progress;
    struct input_facts *batch[BATCH];
    size_t n = 0;
    int rc = 0;
    ctl_progress_begin(&progress, im->ctl->dry_run ? "import, dry run" : "import", input->n);
    for (size_t i = 0; rc == 0 && i < input->n; i++) {
        struct input_facts *facts = &input->subjects[i];
        if (facts->refused) {
            im->refused++;
            continue;
        }
        bool alone = fact_is_network(facts->subject);
        if (alone || n == BATCH) {
            rc = take_batch(im, batch, n, why);
            n = 0;
        }
        batch[n++] = facts;
        if (rc == 0 && alone) {
            rc = take_batch(im, batch, n, why);
            n = 0;
        }
        ctl_progress_tell(&progress, i);
    }
    if (rc == 0)
        rc = take_batch(im, batch, n, why);
    if (rc == 0)
        rc = flush(im, why);
    ctl_progress_end(&progress);
    return rc;
}

/* ---- the command ---- */

static const char *subjects(size_t n) {
    return n == 1 ? "subject" : "subjects";
}

static int tell(struct import *im) {
    const struct ctl *ctl = im->ctl;
    if (ctl->json) {
        json_t *told = json_object();
        json_object_set_new(told, "written", json_integer((json_int_t)im->written));
        json_object_set_new(told, "unchanged", json_integer((json_int_t)im->unchanged));
        json_object_set_new(told, "refused", json_integer((json_int_t)im->refused));
        json_object_set_new(told, "lines_in_error", json_integer((json_int_t)im->problems.lines));
        json_object_set_new(told, "fields_set", json_integer((json_int_t)im->set));
        json_object_set_new(told, "fields_removed", json_integer((json_int_t)im->removed));
        if (ctl->prune)
            json_object_set_new(told, "subjects_removed",
                                json_integer((json_int_t)im->prune.removed));
        json_object_set_new(told, "dry_run", json_boolean(ctl->dry_run));
        json_object_set(told, "problems", im->problems.list);
        ctl_print_json(told);
    } else {
        printf("%zu %s %s (%zu %s set, %zu removed), %zu unchanged, %zu refused", im->written,
               subjects(im->written), ctl->dry_run ? "would be written" : "written", im->set,
               im->set == 1 ? "field" : "fields", im->removed, im->unchanged, im->refused);
        if (ctl->prune)
            printf(", %zu %s %s", im->prune.removed, subjects(im->prune.removed),
                   ctl->dry_run ? "would be removed" : "removed");
        if (im->problems.lines > 0)
            printf(", %zu %s in error", im->problems.lines,
                   im->problems.lines == 1 ? "line" : "lines");
        putchar('\n');
        if (ctl->dry_run)
            puts("dry run: nothing was written");
    }
    return im->refused > 0 || im->problems.lines > 0 ? CTL_REFUSED : CTL_DONE;
}

static int import_stream(struct import *im, FILE *stream) {
    struct input input;
    struct why why = {"no memory"};
    if (input_read(stream, &im->problems, &input, &why) != 0)
        return ctl_fail(im->ctl, "%s", why.text);
    int found = im->ctl->prune ? prune_find(im->ctl, &input, &im->prune) : CTL_DONE;
    if (found != CTL_DONE) {
        input_clear(&input);
        return found;
    }
    size_t batch = store_writer_batch(im->ctl->writer);
    im->room = input.n + 1 < batch ? input.n + 1 : batch;
    im->pending = xcalloc(im->room, sizeof *im->pending);
    im->edits = xcalloc(im->room, sizeof *im->edits);
    int rc = take_subjects(im, &input, &why);
    while (im->n_pending > 0)
        drop_last(im);
    if (rc == 0)
        rc = prune_remove(im->ctl, &im->prune, im->refused + im->problems.lines == 0, &why);
    int status = rc == 0 ? tell(im)
                         : ctl_fail(im->ctl, "store \"%s\": %s; %zu subjects were written%s",
                                    im->ctl->config->store, why.text, im->written,
                                    im->unrecorded ? "" : " before");
    free(im->pending);
    free(im->edits);
    inherited_free(im);
    prune_clear(&im->prune);
    input_clear(&input);
    return status;
}

int ctl_import(struct ctl *ctl, int argc, char **argv) {
    bool standard = argc == 0 || strcmp(argv[0], "-") == 0;
    struct import im = {.ctl = ctl,
                        .problems = {.ctl = ctl, .path = standard ? "standard input" : argv[0]}};
    if (ctl->prune && !ctl->replace)
        return ctl_refuse(ctl, "--prune needs --replace: together they restore an export");
    FILE *stream = standard ? stdin : fopen(argv[0], "re");
    if (stream == NULL)
        return ctl_fail(ctl, "%s: %s", argv[0], strerror(errno));
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE) {
        im.problems.list = ctl->json ? json_array() : NULL;
        status = import_stream(&im, stream);
        json_decref(im.problems.list);
    }
    if (!standard)
        fclose(stream);
    return status;
}
