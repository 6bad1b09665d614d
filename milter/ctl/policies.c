/*
 * Subjects: from the command line to what the store has for them. Owns their names and the order
 * of inheritance as gatepostctl reads it; decoding is policy.c's.
 */
#include "policies.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatepost/cache/policy_decode.h"
#include "gatepost/write/suggest.h"
#include "memory.h"
#include "print.h"

enum fact_kind ctl_check_subject(const struct ctl *ctl, const char *subject, struct why *why) {
    enum fact_kind kind = fact_check_subject(&ctl->fact_rules, subject, why);
    if (kind == FACT_UNCHECKED)
        no_memory();
    return kind;
}

enum fact_kind ctl_check(const struct ctl *ctl, const char *subject, const struct store_text *field,
                         const struct store_text *value, struct why *why) {
    enum fact_kind kind = fact_check(&ctl->fact_rules, subject, field->text, field->len,
                                     value->text, value->len, why);
    if (kind == FACT_UNCHECKED)
        no_memory();
    return kind;
}

static int check_name(const struct ctl *ctl, const char *name, char *subject) {
    struct why why;
    if (ctl_check_subject(ctl, subject, &why) == FACT_GOOD)
        return CTL_DONE;
    free(subject);
    return ctl_refuse(ctl, "%.300s: %s", name, why.text);
}

int ctl_name_account(const struct ctl *ctl, const char *name, char **subject) {
    struct address account = {0};
    char meant[300];
    if (strncmp(name, "account:", 8) == 0) /* as everything is shown */
        name += 8;
    size_t len = strlen(name);
    if (len == 0)
        return ctl_refuse(ctl, "the account's address is empty");
    if (name[len - 1] == '@')
        return ctl_refuse(ctl, "%.300s: the domain after '@' is missing", name);
    if (suggest_account(name, meant, sizeof meant) == 0)
        return ctl_refuse(ctl, "%.300s: nobody has that name: write account:%s", name, meant);
    if (strcmp(name, "*") == 0)
        account.text = xstrdup("*");
    else if (address_from_login(name, &ctl->address_rules, &account) != 0)
        no_memory();
    *subject = xasprintf("account:%s", account.text);
    address_clear(&account);
    int status = check_name(ctl, name, *subject);
    if (status != CTL_DONE) /* which frees it */
        *subject = NULL;
    return status;
}

int ctl_name_network(const struct ctl *ctl, const char *name, char **subject) {
    if (strncmp(name, "network:", 8) == 0)
        name += 8;
    if (name[0] == '\0')
        return ctl_refuse(ctl, "the network's name is empty");
    *subject = xasprintf("network:%s", name);
    return check_name(ctl, name, *subject);
}

/* ---- hashes ---- */

static int by_name(const void *a, const void *b) {
    const struct store_field *x = a, *y = b;
    size_t shorter = x->name_len < y->name_len ? x->name_len : y->name_len;
    int order = memcmp(x->name, y->name, shorter);
    return order != 0 ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

void ctl_sort_hash(struct store_hash *hash) {
    if (hash->n > 1)
        qsort(hash->fields, hash->n, sizeof *hash->fields, by_name);
}

const struct store_field *ctl_find_field(const struct store_hash *hash, const char *name,
                                         size_t len) {
    const struct store_field key = {.name = name, .name_len = len};
    return hash->n == 0 ? NULL : bsearch(&key, hash->fields, hash->n, sizeof key, by_name);
}

/* A network under way: copies, since what a walk passes on does not last. */
struct gathering {
    struct store_hash *hash;
    size_t room;
    struct copies *copies; /* the hash's */
};

struct copies {
    char **texts;
    size_t n, room;
};

static void copies_free(void *owner) {
    struct copies *copies = owner;
    for (size_t i = 0; i < copies->n; i++)
        free(copies->texts[i]);
    free(copies->texts);
    free(copies);
}

static int gather(void *context, const struct store_field *field) {
    struct gathering *g = context;
    struct store_hash *hash = g->hash;
    struct copies *copies = g->copies;
    hash->fields = xgrow(hash->fields, hash->n, &g->room, sizeof *hash->fields);
    copies->texts = xgrow(copies->texts, copies->n, &copies->room, sizeof(char *));
    char *text = xmalloc(field->name_len + field->value_len + 2);
    copies->texts[copies->n++] = text;
    struct store_field *copy = &hash->fields[hash->n++];
    *copy = *field;
    copy->name = memcpy(text, field->name, field->name_len);
    text[field->name_len] = '\0';
    copy->value = memcpy(text + field->name_len + 1, field->value, field->value_len);
    text[field->name_len + 1 + field->value_len] = '\0';
    return 0;
}

/* A walk may pass a field on more than once. */
static void drop_repeated(struct store_hash *hash) {
    size_t kept = 0;
    for (size_t i = 0; i < hash->n; i++)
        if (kept == 0 || by_name(&hash->fields[kept - 1], &hash->fields[i]) != 0)
            hash->fields[kept++] = hash->fields[i];
    hash->n = kept;
}

int ctl_read_whole(const struct ctl *ctl, const char *subject, struct store_hash *hash,
                   struct why *why) {
    *hash = (struct store_hash){.answer = STORE_UNANSWERED};
    struct gathering g = {.hash = hash, .copies = xcalloc(1, sizeof *g.copies)};
    hash->owner = g.copies;
    hash->owner_free = copies_free;
    int answer = store_walk(ctl->store, subject, gather, &g, why);
    if (answer < 0) {
        store_hash_clear(hash);
        return -1;
    }
    hash->answer = (enum store_answer)answer;
    ctl_sort_hash(hash);
    drop_repeated(hash);
    return 0;
}

int ctl_read_hash(const struct ctl *ctl, const char *subject, struct store_hash *hash,
                  struct why *why) {
    if (fact_is_network(subject))
        return ctl_read_whole(ctl, subject, hash, why);
    if (store_get(ctl->store, &subject, 1, hash, NO_DEADLINE, why) != 0) {
        store_hash_clear(hash);
        return -1;
    }
    ctl_sort_hash(hash);
    return 0;
}

/* ---- policies ---- */

struct policy *ctl_decode(const char *subject, const struct store_hash *hash) {
    struct policy *policy = hash->answer > STORE_ABSENT ? policy_decode(subject, hash) : NULL;
    if (policy == NULL && hash->answer > STORE_ABSENT)
        no_memory();
    return policy;
}

/* Which of the subjects of an account one is, of which `name` is the name. */
static enum policy_subject subject_of(const char *subject, const char *name) {
    return self_is_subject(subject)      ? SUBJECT_SELF
           : strcmp(name, "*") == 0      ? SUBJECT_DEFAULT
           : strncmp(name, "@.", 2) == 0 ? SUBJECT_PARENT
           : name[0] == '@'              ? SUBJECT_DOMAIN
                                         : SUBJECT_ACCOUNT;
}

void ctl_policies_name(struct ctl_policies *out, const char *subject) {
    const char *name = strchr(subject, ':') + 1, *domain = strrchr(subject, '@');
    const char *parents[PARENTS_MAX];
    *out = (struct ctl_policies){0};
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        out->hashes[i].answer = STORE_UNANSWERED;
    out->own = subject_of(subject, name);
    out->subjects[out->own] = xstrdup(subject);
    bool is_user = out->own == SUBJECT_ACCOUNT || out->own == SUBJECT_SELF;
    if (out->own == SUBJECT_ACCOUNT)
        out->subjects[SUBJECT_SELF] = xasprintf(SELF_SUBJECT "%s", name);
    if (out->own == SUBJECT_SELF)
        out->subjects[SUBJECT_ACCOUNT] = xasprintf("account:%s", name);
    if (is_user && domain != NULL)
        out->subjects[SUBJECT_DOMAIN] = xasprintf("account:%s", domain);
    bool is_parent = out->own == SUBJECT_PARENT;
    size_t at = SUBJECT_PARENT + is_parent;
    size_t n = domain == NULL ? 0 : parents_of(domain + 1 + is_parent, parents);
    for (size_t i = 0; i < n && at < SUBJECT_DEFAULT; i++)
        out->subjects[at++] = xasprintf("account:@%s", parents[i]);
    if (out->own != SUBJECT_DEFAULT)
        out->subjects[SUBJECT_DEFAULT] = xstrdup("account:*");
    for (size_t i = 0; i < ALL_SUBJECTS; i++)
        out->set.subjects[i] = out->subjects[i];
}

unsigned ctl_inheritance_rank(const char *subject) {
    if (strcmp(subject, "account:*") == 0)
        return 0;
    if (strncmp(subject, "account:@", 9) != 0)
        return CTL_RANKS;
    if (subject[9] != '.')
        return CTL_RANKS - 1;
    unsigned labels = 0;
    for (const char *p = subject + 9; *p != '\0' && labels < PARENT_LABELS_MAX; p++)
        labels += *p == '.';
    return labels;
}

int ctl_policies_of(struct ctl *ctl, const char *name, struct ctl_policies *out) {
    char *subject;
    int status = ctl_name_account(ctl, name, &subject);
    if (status != CTL_DONE)
        return status;
    status = ctl_open_store(ctl);
    if (status == CTL_DONE)
        status = ctl_policies_read(ctl, subject, out);
    free(subject);
    return status;
}

void ctl_policies_clear(struct ctl_policies *policies) {
    for (size_t i = 0; i < ALL_SUBJECTS; i++) {
        policy_free(policies->policies[i]);
        store_hash_clear(&policies->hashes[i]);
        free(policies->subjects[i]);
    }
    *policies = (struct ctl_policies){0};
}

/* What users have set themselves holds where there is a settings section. */
static bool is_asked(const struct ctl *ctl, const struct ctl_policies *policies, size_t i) {
    return i != SUBJECT_SELF || i == policies->own || ctl->config->self_facts;
}

int ctl_policies_load(const struct ctl *ctl, const char *subject, struct ctl_policies *out,
                      struct why *why) {
    int rc = 0;
    ctl_policies_name(out, subject);
    out->set.now = ctl->now;
    for (size_t i = 0; rc == 0 && i < ALL_SUBJECTS; i++) {
        if (out->subjects[i] == NULL || !is_asked(ctl, out, i))
            continue;
        rc = ctl_read_hash(ctl, out->subjects[i], &out->hashes[i], why);
        if (rc != 0 || out->hashes[i].answer == STORE_ABSENT)
            continue;
        out->policies[i] = ctl_decode(out->subjects[i], &out->hashes[i]);
        out->set.policies[i] = out->policies[i];
    }
    if (rc != 0)
        ctl_policies_clear(out);
    return rc;
}

int ctl_policies_read(const struct ctl *ctl, const char *subject, struct ctl_policies *out) {
    struct why why = {"no memory"};
    return ctl_policies_load(ctl, subject, out, &why) == 0 ? CTL_DONE
                                                           : ctl_fail_store(ctl, why.text);
}

/* ---- names ---- */

static int take_name(void *context, const char *name, size_t len) {
    struct ctl_names *names = context;
    if (memchr(name, '\0', len) != NULL) {
        names->odd++;
        return 0;
    }
    names->names = xgrow(names->names, names->n, &names->room, sizeof *names->names);
    char *copy = xstrndup(name, len);
    if (names->pattern != NULL && fnmatch(names->pattern, copy, 0) != 0)
        free(copy);
    else
        names->names[names->n++] = copy;
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int ctl_names_read(struct ctl *ctl, const char *pattern, struct ctl_names *out) {
    struct why why;
    size_t kept = 0;
    *out = (struct ctl_names){.pattern = pattern};
    if (store_writer_scan(ctl->writer, take_name, out, &why) != 0) {
        ctl_names_clear(out);
        return ctl_fail_store(ctl, why.text);
    }
    if (out->n > 1)
        qsort(out->names, out->n, sizeof *out->names, compare_names);
    for (size_t i = 0; i < out->n; i++) {
        if (kept > 0 && strcmp(out->names[kept - 1], out->names[i]) == 0)
            free(out->names[i]);
        else
            out->names[kept++] = out->names[i];
    }
    out->n = kept;
    return CTL_DONE;
}

void ctl_names_clear(struct ctl_names *names) {
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct ctl_names){0};
}
