/*
 * `--prune` of import. Owns which subjects go.
 */
#include "prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../print.h"
#include "gatepost/core/self_fact.h"

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_subject(const char *name) {
    return strncmp(name, "account:", 8) == 0 || fact_is_network(name);
}

int prune_find(struct ctl *ctl, const struct input *input, struct prune *out) {
    *out = (struct prune){.removed = 0};
    int status = ctl_names_read(ctl, NULL, &out->gone);
    if (status != CTL_DONE)
        return status;
    const char **kept = xcalloc(input->n + 1, sizeof *kept);
    for (size_t i = 0; i < input->n; i++)
        kept[i] = input->subjects[i].subject;
    qsort(kept, input->n, sizeof *kept, by_text);
    /* an input without any is one of the host's policy: it opens nothing that users have closed */
    bool own = false;
    for (size_t i = 0; i < input->n; i++)
        own |= self_is_subject(kept[i]);
    size_t n = 0;
    for (size_t i = 0; i < out->gone.n; i++) {
        char *name = out->gone.names[i];
        if ((self_is_subject(name) ? own : is_subject(name)) &&
            bsearch(&name, kept, input->n, sizeof *kept, by_text) == NULL)
            out->gone.names[n++] = name;
        else
            free(name);
    }
    free(kept);
    out->gone.n = n;
    if (n <= input->n || ctl->force)
        return CTL_DONE;
    status = ctl_refuse(ctl,
                        "--prune would remove %zu subjects, and the input has only %zu: is it a "
                        "whole export? (use --force to do it anyway)",
                        n, input->n);
    prune_clear(out);
    return status;
}

/* A subject and all that it has. */
static int remove_one(struct ctl *ctl, const char *subject, struct prune *prune, struct why *why) {
    struct store_hash hash;
    struct change_plan plan = {0};
    if (ctl_read_whole(ctl, subject, &hash, why) != 0)
        return -1;
    if (plan_changes(fact_is_network(subject), &hash, NULL, 0, true, &plan) != 0)
        no_memory();
    struct store_edit edit = {
        .subject = subject, .changes = plan.changes, .n = plan.n, .drop = true};
    enum store_written written = WRITE_DONE;
    for (size_t i = 0; ctl->dry_run && !ctl->json && i < plan.n; i++)
        ctl_put_change(subject, &plan.changes[i]);
    if (!ctl->dry_run && hash.answer != STORE_ABSENT) {
        *why = (struct why){"somebody else has changed it in the meantime"};
        written = store_writer_write(ctl->writer, &edit, 1, why);
    }
    if (written == WRITE_DONE && edit.refused)
        written = why_set(why, "%s", edit.why);
    prune->removed += written == WRITE_DONE;
    prune->fields += written == WRITE_DONE ? plan.n : 0;
    plan_clear(&plan);
    store_hash_clear(&hash);
    return written == WRITE_DONE ? 0 : -1;
}

int prune_remove(struct ctl *ctl, struct prune *prune, bool good, struct why *why) {
    struct ctl_progress progress;
    int rc = 0;
    if (ctl->prune && !good)
        ctl_warn("nothing is pruned, because not all of the input was good");
    if (!ctl->prune || !good)
        return 0;
    ctl_progress_begin(&progress, "prune", prune->gone.n);
    for (size_t i = 0; rc == 0 && i < prune->gone.n; i++) {
        struct why reason = {"no memory"};
        rc = remove_one(ctl, prune->gone.names[i], prune, &reason);
        if (rc != 0)
            why_set(why, "%.300s was not removed: %s", prune->gone.names[i], reason.text);
        ctl_progress_tell(&progress, i + 1);
    }
    ctl_progress_end(&progress);
    return rc;
}

void prune_clear(struct prune *prune) {
    ctl_names_clear(&prune->gone);
}
