/*
 * `lint`: everything in the store that does not mean what somebody thought. Owns the way over all
 * subjects and the form of findings; what is wrong within one subject is lint_facts.c's.
 */
#include "lint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../memory.h"
#define uthash_fatal(message) no_memory()
#include <uthash.h>

#include "../print.h"
#include "gatepost/base/line.h"
#include "gatepost/base/regular_file.h"
#include "gatepost/core/policy_line.h"
#include "gatepost/core/store_url.h"

/* Accounts read in one go. */
#define BATCH 256

/* ---- what accounts inherit: the policies of domains, parents and everybody ---- */

struct heir {
    const char *subject; /* one of the names */
    struct store_hash hash;
    struct policy *policy;
    struct block_index blocks;
    UT_hash_handle hh;
};

struct round {
    struct lint *lint;
    struct ctl_names names;
    struct heir *heirs;
    struct ctl_progress progress;
    size_t done;
    struct lint_selves selves;
};

static struct heir *find_heir(const struct round *round, const char *subject) {
    struct heir *heir = NULL;
    HASH_FIND_STR(round->heirs, subject, heir);
    return heir;
}

static struct lint_heritage heritage_of(const struct round *round, const char *subject) {
    struct lint_heritage heritage = {.n = 0};
    struct ctl_policies names;
    ctl_policies_name(&names, subject);
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct heir *heir = i == names.own || names.subjects[i] == NULL
                                      ? NULL
                                      : find_heir(round, names.subjects[i]);
        if (heir == NULL || heir->policy == NULL) /* it cannot be read */
            continue;
        heritage.from[heritage.n].subject = heir->subject;
        heritage.from[heritage.n].policy = heir->policy;
        heritage.from[heritage.n++].blocks = &heir->blocks;
    }
    ctl_policies_clear(&names);
    return heritage;
}

static void heirs_free(struct round *round) {
    struct heir *heir, *next;
    HASH_ITER(hh, round->heirs, heir, next) {
        HASH_DEL(round->heirs, heir);
        block_index_clear(&heir->blocks);
        policy_free(heir->policy);
        store_hash_clear(&heir->hash);
        free(heir);
    }
}

/* ---- subjects ---- */

static void lint_name(struct lint *lint, const char *subject) {
    struct why why;
    enum fact_kind kind = ctl_check_subject(lint->ctl, subject, &why);
    bool account = strncmp(subject, "account:", 8) == 0;
    bool domainless = account && strchr(subject, '@') == NULL && strcmp(subject, "account:*") != 0;
    if (!account && !fact_is_network(subject) && !self_is_subject(subject))
        lint_found(lint, "unknown-key", subject, NULL,
                   "not a subject: it begins neither with account: nor with network:");
    else if (fact_works(kind) && kind != FACT_GOOD)
        lint_found(lint, "spelling", subject, NULL, "%s", why.text);
    else if (kind != FACT_GOOD)
        lint_found(lint, domainless ? "no-domain" : "never-asked", subject, NULL, "%s", why.text);
    else if (domainless)
        lint_found(lint, "no-domain", subject, NULL,
                   "an account without domain: only a login without domain asks for it; set "
                   "default_domain and add the domain to the name");
}

static bool lists(const struct config_list *list, const char *name) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static void lint_use(struct lint *lint, const char *subject) {
    const struct config *config = lint->ctl->config;
    const char *name = subject + strlen("network:");
    bool used = lists(&config->trusted, name);
    for (size_t i = 0; !used && i < config->n_listeners; i++)
        used = lists(&config->listeners[i].connect_from, name) ||
               lists(&config->listeners[i].real_client_from, name);
    if (!used)
        lint_found(
            lint, "unused-network", subject, NULL,
            "it is used neither in trusted nor in connect_from or real_client_from of a listener");
}

/* Returns false, after reporting it, when the subject has no fields to look at. */
static bool lint_type(struct lint *lint, const char *subject, const struct store_hash *hash) {
    lint->subjects++;
    if (hash->answer == STORE_WRONG_TYPE)
        lint_found(lint, "wrong-type", subject, NULL, "the key must be a hash");
    if (hash->answer == STORE_TOO_LARGE)
        lint_found(
            lint, "too-large", subject, NULL,
            "too large: more than %d fields or %d octets; messages that need it are deferred",
            STORE_FIELDS_MAX, STORE_OCTETS_MAX);
    return hash->answer == STORE_FOUND;
}

static void lint_account(struct round *round, const char *subject, struct store_hash *hash,
                         struct heir *keep) {
    struct lint *lint = round->lint;
    struct block_index own = {0};
    struct lint_heritage heritage = heritage_of(round, subject);
    if (!lint_type(lint, subject, hash))
        return;
    ctl_sort_hash(hash);
    lint_facts(lint, subject, hash);
    struct policy *policy = ctl_decode(subject, hash);
    lint_addresses(lint, subject, policy, &heritage, keep ? &keep->blocks : &own);
    lint_names(lint, subject, policy, &heritage);
    lint_note_domains(lint, subject, policy);
    block_index_clear(&own);
    if (keep != NULL)
        keep->policy = policy;
    else
        policy_free(policy);
}

/* ---- what users have set themselves ---- */

static int compare_name(const void *key, const void *name) {
    return strcmp(key, *(char *const *)name);
}

static bool is_known(const struct round *round, const char *subject) {
    struct lint_heritage heritage = heritage_of(round, subject);
    char *account = xasprintf("account:%s", subject + strlen(SELF_SUBJECT));
    bool known =
        bsearch(account, round->names.names, round->names.n, sizeof(char *), compare_name) != NULL;
    for (size_t i = 0; i < heritage.n; i++)
        known |= strcmp(heritage.from[i].subject, "account:*") != 0;
    free(account);
    return known;
}

static void lint_user(struct round *round, const char *subject, struct store_hash *hash) {
    if (!lint_type(round->lint, subject, hash))
        return;
    round->selves.n++;
    if (!is_known(round, subject) && round->selves.strangers++ == 0)
        round->selves.stranger = subject;
    ctl_sort_hash(hash);
    lint_self(round->lint, subject, hash);
}

static bool is_heir(const char *subject) {
    return ctl_inheritance_rank(subject) < CTL_RANKS;
}

/* Domains, parents and everybody stay in memory: what accounts have is compared with them. */
static int lint_heir(struct round *round, const char *subject, struct why *why) {
    struct heir *heir = xcalloc(1, sizeof *heir);
    heir->subject = subject;
    if (ctl_read_hash(round->lint->ctl, subject, &heir->hash, why) != 0) {
        free(heir);
        return -1;
    }
    HASH_ADD_KEYPTR(hh, round->heirs, heir->subject, strlen(heir->subject), heir);
    lint_name(round->lint, subject);
    lint_account(round, subject, &heir->hash, heir);
    return 0;
}

static int lint_network(struct round *round, const char *subject, struct why *why) {
    struct store_hash hash;
    int rc = ctl_read_hash(round->lint->ctl, subject, &hash, why);
    if (rc != 0)
        return rc;
    lint_name(round->lint, subject);
    lint_use(round->lint, subject);
    if (lint_type(round->lint, subject, &hash)) {
        lint_facts(round->lint, subject, &hash);
        lint_members(round->lint, subject, &hash);
    }
    store_hash_clear(&hash);
    return 0;
}

static int lint_batch(struct round *round, const char **subjects, size_t n, struct why *why) {
    struct store_hash hashes[BATCH];
    if (n == 0)
        return 0;
    int rc = store_get(round->lint->ctl->store, subjects, n, hashes, NO_DEADLINE, why);
    for (size_t i = 0; i < n; i++) {
        if (rc == 0) {
            lint_name(round->lint, subjects[i]);
            if (self_is_subject(subjects[i]))
                lint_user(round, subjects[i], &hashes[i]);
            else
                lint_account(round, subjects[i], &hashes[i], NULL);
        }
        store_hash_clear(&hashes[i]);
    }
    round->done += n;
    ctl_progress_tell(&round->progress, round->done);
    return rc;
}

/* Everybody, parents, domains, then the rest: each is compared with what it inherits. */
static int lint_subjects(struct round *round, struct why *why) {
    const char *batch[BATCH];
    size_t n = 0;
    int rc = 0;
    for (unsigned rank = 0; rank < CTL_RANKS; rank++)
        for (size_t i = 0; rc == 0 && i < round->names.n; i++) {
            const char *subject = round->names.names[i];
            if (ctl_inheritance_rank(subject) == rank) {
                rc = lint_heir(round, subject, why);
                ctl_progress_tell(&round->progress, ++round->done);
            }
        }
    for (size_t i = 0; rc == 0 && i < round->names.n; i++) {
        const char *subject = round->names.names[i];
        if (is_heir(subject))
            continue;
        if (fact_is_network(subject)) {
            rc = lint_network(round, subject, why);
            round->done++;
        } else if (strncmp(subject, "account:", 8) != 0 && !self_is_subject(subject)) {
            lint_name(round->lint, subject);
            round->done++;
        } else {
            batch[n++] = subject;
        }
        if (rc == 0 && n == BATCH) {
            rc = lint_batch(round, batch, n, why);
            n = 0;
        }
    }
    return rc == 0 ? lint_batch(round, batch, n, why) : rc;
}

static void take_complaint(void *context, const char *kind, const char *complaint) {
    lint_found(context, kind, NULL, NULL, "%s", complaint);
}

static int lint_store(struct lint *lint) {
    struct round round = {.lint = lint};
    struct why why = {"no memory"};
    int status = ctl_names_read(lint->ctl, NULL, &round.names);
    if (status != CTL_DONE)
        return status;
    if (round.names.n == 0)
        lint_found(lint, "empty-store", NULL, NULL,
                   "the store has no policy at all: everything is allowed, and no sender is known");
    if (round.names.odd > 0)
        lint_found(lint, "unknown-key", NULL, NULL,
                   "%zu keys have a NUL octet in their names: no look-up asks for them",
                   round.names.odd);
    lint_logins(lint->ctl->config, &round.names);
    ctl_progress_begin(&round.progress, "lint", round.names.n);
    if (lint_subjects(&round, &why) != 0)
        status = ctl_fail_store(lint->ctl, why.text);
    ctl_progress_end(&round.progress);
    lint_selves(lint, &round.selves);
    if (status == CTL_DONE)
        lint_domains(lint);
    heirs_free(&round);
    ctl_names_clear(&round.names);
    if (status == CTL_DONE &&
        store_writer_examine(lint->ctl->writer, take_complaint, lint, &why) != 0)
        ctl_warn("store \"%s\": cannot check whether it may lose policy or reports changes: %s",
                 lint->ctl->config->store, why.text);
    return status;
}

/*
 * The lines of a policy file: with one in error the store does not open, and the filter keeps the
 * policy it has.
 */
static int lint_file(struct lint *lint) {
    struct store_url url;
    struct why why;

    char place[600], *line = NULL;
    size_t size = 0;
    ssize_t len;
    unsigned long number = 0;
    if (store_url_parse(lint->ctl->config->store, &url, &why) != 0 || url.kind != STORE_FILE)
        return CTL_DONE;
    FILE *file = regular_file_open(url.path, NULL, &why);
    if (file == NULL)
        return ctl_fail_store(lint->ctl, why.text);
    while ((len = line_read(file, &line, &size)) >= 0) {
        struct policy_line fact;
        number++;
        if (policy_line_parse(line, (size_t)len, &fact, &why) >= 0)
            continue;
        snprintf(place, sizeof place, "%s:%lu", url.path, number);
        lint_found(lint, "policy-file", place, NULL, "%s", why.text);
    }
    if (len == LINE_TOO_LONG) {
        snprintf(place, sizeof place, "%s:%lu", url.path, number + 1);
        lint_found(lint, "policy-file", place, NULL, "the line is longer than 1 MiB");
    }
    bool complete = feof(file) || len == LINE_TOO_LONG;
    int error = errno;
    free(line);
    fclose(file);
    if (!complete)
        return ctl_fail(lint->ctl, "%s: %s", url.path, strerror(error));
    if (lint->n > 0)
        return CTL_REFUSED;
    struct store *store;
    const struct store_settings settings = {.url = lint->ctl->config->store};
    if (store_open(&settings, &store, &why) == 0) {
        store_free(store);
        return CTL_DONE;
    }
    lint_found(lint, "policy-file", NULL, NULL, "%s", why.text);
    return CTL_REFUSED;
}

static int finish(struct lint *lint, int status) {
    if (lint->list != NULL) {
        json_t *told = json_object();
        json_object_set_new(told, "subjects", json_integer((json_int_t)lint->subjects));
        json_object_set_new(told, "findings", lint->list);
        json_object_set_new(told, "notes", lint->notes);
        if (status == CTL_FAILED)
            json_decref(told); /* the error has been reported */
        else
            ctl_print_json(told);
    } else if (isatty(STDOUT_FILENO) == 1 && status != CTL_FAILED) {
        printf("%zu %s, %zu %s\n", lint->subjects, lint->subjects == 1 ? "subject" : "subjects",
               lint->n, lint->n == 1 ? "finding" : "findings");
    }
    if (status == CTL_FAILED)
        return status;
    return lint->n > 0 ? CTL_REFUSED : CTL_DONE;
}

int ctl_lint(struct ctl *ctl, int argc, char **argv) {
    struct lint lint = {.ctl = ctl};
    int64_t since;
    (void)argc;
    (void)argv;
    int status = ctl_parse_since(ctl, &since);
    if (status != CTL_DONE)
        return status;
    lint.list = ctl->json ? json_array() : NULL;
    lint.notes = ctl->json ? json_array() : NULL;
    status = lint_file(&lint);
    if (status == CTL_DONE)
        status = ctl_open_writer(ctl);
    if (status == CTL_DONE)
        status = lint_store(&lint);
    if (status == CTL_DONE)
        status = lint_doors(&lint);
    if (status == CTL_DONE && ctl->since != NULL)
        status = lint_since(&lint, since);
    return finish(&lint, status);
}
