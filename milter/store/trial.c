/*
 * A policy as it would be. Owns the subjects that stand in front of those of the store below; who
 * replaces them, and by what, is not its business.
 */
#include "gatepost/store/trial.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "implement.h"

/* Fields in one piece of memory; an answer that was given shares it with its subject. */
struct replaced {
    char *subject;
    struct store_field *fields;
    size_t n, octets;
    char *memory;
};

/* Most subjects that a log names are strangers: those of the last look-up, each with its NUL. */
struct absent {
    char names[4000];
    size_t len;
};

struct store_trial {
    struct store store;
    struct store *base;
    bool base_is_lent;
    struct replaced *replaced; /* few */
    size_t n;
    pthread_mutex_t lock;
    struct absent absent; /* under lock */
};

static void clear(struct replaced *r) {
    free(r->subject);
    free(r->fields);
    free(r->memory);
    *r = (struct replaced){0};
}

static const struct replaced *find(const struct store_trial *trial, const char *subject) {
    for (size_t i = 0; i < trial->n; i++)
        if (strcmp(trial->replaced[i].subject, subject) == 0)
            return &trial->replaced[i];
    return NULL;
}

/* Copies fields with NULs behind name and value; -1 when there is no memory. */
static int copy_fields(struct replaced *r, const struct store_field *fields, size_t n) {
    for (size_t i = 0; i < n; i++)
        r->octets += fields[i].name_len + fields[i].value_len;
    r->fields = calloc(n + 1, sizeof *r->fields);
    char *to = r->memory = malloc(r->octets + 2 * n + 1);
    if (r->fields == NULL || r->memory == NULL)
        return -1;
    for (; r->n < n; r->n++) {
        const struct store_field *f = &fields[r->n];
        r->fields[r->n] = (struct store_field){to, to + f->name_len + 1, f->name_len, f->value_len};
        memcpy(to, f->name, f->name_len);
        to[f->name_len] = '\0';
        to += f->name_len + 1;
        memcpy(to, f->value, f->value_len);
        to[f->value_len] = '\0';
        to += f->value_len + 1;
    }
    return 0;
}

int store_trial_put(struct store *store, const char *subject, const struct store_field *fields,
                    size_t n) {
    struct store_trial *trial = (struct store_trial *)store;
    struct replaced fresh = {.subject = strdup(subject)};
    struct replaced *at = (struct replaced *)find(trial, subject);
    if (fresh.subject == NULL || copy_fields(&fresh, fields, n) != 0) {
        clear(&fresh);
        return -1;
    }
    if (at == NULL) {
        struct replaced *grown = realloc(trial->replaced, (trial->n + 1) * sizeof *grown);
        if (grown == NULL) {
            clear(&fresh);
            return -1;
        }
        trial->replaced = grown;
        at = &grown[trial->n++];
        *at = (struct replaced){0};
    }
    clear(at);
    *at = fresh;
    return 0;
}

static int answer(const struct replaced *r, struct store_hash *hash, struct why *why) {
    store_hash_clear(hash);
    hash->answer = r->n == 0                             ? STORE_ABSENT
                   : store_is_too_large(r->n, r->octets) ? STORE_TOO_LARGE
                                                         : STORE_FOUND;
    if (hash->answer != STORE_FOUND)
        return 0;
    hash->fields = calloc(r->n, sizeof *hash->fields);
    if (hash->fields == NULL) {
        hash->answer = STORE_UNANSWERED;
        return why_set(why, "no memory");
    }
    memcpy(hash->fields, r->fields, r->n * sizeof *hash->fields);
    hash->n = r->n;
    return 0;
}

static bool is_absent(const struct absent *absent, const char *subject) {
    for (size_t at = 0; at < absent->len; at += strlen(absent->names + at) + 1)
        if (strcmp(absent->names + at, subject) == 0)
            return true;
    return false;
}

static void note_absent(struct absent *absent, const char *subject) {
    size_t size = strlen(subject) + 1;
    if (size > sizeof absent->names - absent->len)
        return;
    memcpy(absent->names + absent->len, subject, size);
    absent->len += size;
}

static int get_below(struct store_trial *trial, const char *const *subjects, size_t n,
                     struct store_hash *hashes, int64_t deadline, struct why *why) {
    size_t known = 0;
    pthread_mutex_lock(&trial->lock);
    while (known < n && is_absent(&trial->absent, subjects[known]))
        hashes[known++].answer = STORE_ABSENT;
    pthread_mutex_unlock(&trial->lock);
    if (known == n)
        return 0;
    int rc = store_get(trial->base, subjects, n, hashes, deadline, why);
    pthread_mutex_lock(&trial->lock);
    trial->absent.len = 0;
    for (size_t i = 0; i < n; i++)
        if (hashes[i].answer == STORE_ABSENT)
            note_absent(&trial->absent, subjects[i]);
    pthread_mutex_unlock(&trial->lock);
    return rc;
}

static int trial_get(struct store *store, const char *const *subjects, size_t n,
                     struct store_hash *hashes, int64_t deadline, struct why *why) {
    struct store_trial *trial = (struct store_trial *)store;
    if (get_below(trial, subjects, n, hashes, deadline, why) != 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const struct replaced *r = find(trial, subjects[i]);
        if (r != NULL && answer(r, &hashes[i], why) != 0)
            return -1;
    }
    return 0;
}

static int trial_walk(struct store *store, const char *subject, store_take_field *take,
                      void *context, struct why *why) {
    struct store_trial *trial = (struct store_trial *)store;
    const struct replaced *r = find(trial, subject);
    if (r == NULL)
        return store_walk(trial->base, subject, take, context, why);
    for (size_t i = 0; i < r->n; i++)
        if (take(context, &r->fields[i]) != 0)
            return why_set(why, "no memory");
    return r->n == 0 ? STORE_ABSENT : STORE_FOUND;
}

static int trial_watch(struct store *store, store_told *told, void *context, struct why *why) {
    (void)store;
    (void)why;
    told(context, STORE_WATCHED, NULL);
    return 0;
}

static void trial_unwatch(struct store *store) {
    (void)store;
}

static void trial_free(struct store *store) {
    struct store_trial *trial = (struct store_trial *)store;
    for (size_t i = 0; i < trial->n; i++)
        clear(&trial->replaced[i]);
    free(trial->replaced);
    if (!trial->base_is_lent)
        store_free(trial->base);
    pthread_mutex_destroy(&trial->lock);
    free(trial);
}

static int open_upon(struct store *base, bool lent, struct store **out) {
    static const struct store_ops ops = {.get = trial_get,
                                         .walk = trial_walk,
                                         .watch = trial_watch,
                                         .unwatch = trial_unwatch,
                                         .free = trial_free};
    struct store_trial *trial = calloc(1, sizeof *trial);
    if (trial == NULL)
        return -1;
    trial->store = (struct store){.ops = &ops, .remote = true};
    trial->base = base;
    trial->base_is_lent = lent;
    pthread_mutex_init(&trial->lock, NULL);
    *out = &trial->store;
    return 0;
}

int store_trial_open(struct store *base, struct store **out) {
    int rc = open_upon(base, false, out);
    if (rc != 0)
        store_free(base);
    return rc;
}

int store_trial_open_on(struct store *trial, struct store **out) {
    return open_upon(trial, true, out);
}
