/*
 * The policy store: hashes of facts by subject, read from Redis or from a file.
 *
 * One face for every kind of store. It reads; it neither decodes nor caches. "Absent", "wrong
 * type" and "failed" are different answers. All functions may be called from any thread.
 */
#ifndef GATEPOST_STORE_STORE_H
#define GATEPOST_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatepost/core/why.h"

struct store_settings {
    const char *url, *user, *password_file, *key_prefix;
    const char *tls_ca, *tls_cert, *tls_key; /* PEM files; "": none */
    int64_t timeout; /* milliseconds for one store_get(), connecting included */
    /* The number of fields is asked for before a hash is read, so that the server need not put
       together one that is too large: for tools, which have time for a second round trip. */
    bool sizes_first;
    bool self_facts; /* subjects `self:ACCOUNT` are asked for as well: changes of them are told */
};

struct store;

/*
 * Opens a store. A Redis that cannot be reached is no error, it may come later; a policy file that
 * cannot be read, or a password file, is. Returns 0 and a store owned by the caller, or -1 with
 * the reason.
 */
int store_open(const struct store_settings *settings, struct store **out, struct why *why);
void store_free(struct store *store);

struct store_field {
    const char *name, *value;
    size_t name_len, value_len;
};

enum store_answer {
    STORE_UNANSWERED = -1,
    STORE_ABSENT,
    STORE_FOUND,
    STORE_WRONG_TYPE,
    STORE_TOO_LARGE, /* not read: more than store_get() takes of one subject */
};

/* What store_get() takes of one subject: fields, and octets of their names and values. */
#define STORE_FIELDS_MAX 10000
#define STORE_OCTETS_MAX 1000000
bool store_is_too_large(size_t fields, size_t octets);

/* The hash of one subject. The fields belong to `owner`. Only one that is found has fields. */
struct store_hash {
    enum store_answer answer;
    struct store_field *fields;
    size_t n;
    void *owner;
    void (*owner_free)(void *owner);
};

/*
 * Reads `n` subjects ("account:alice@example.com", without the key prefix, see core/store_key.h) in
 * one round trip;
 * hashes[i] is that of subjects[i] and to be cleared by the caller in every case. Returns 0 when
 * every one is answered; or -1 with the reason in `why` when some are STORE_UNANSWERED: the store
 * is unreachable, too slow or refuses, or `deadline` has passed (clock_now_ms(); NO_DEADLINE for
 * the time-out of the settings alone, which holds in any case). While a watched store is known to
 * be down this returns at once, with the reason for which it is. A subject that is too large is
 * answered so; the others are answered as without it.
 */
#define NO_DEADLINE INT64_MAX
int store_get(struct store *store, const char *const *subjects, size_t n, struct store_hash *hashes,
              int64_t deadline, struct why *why);
void store_hash_clear(struct store_hash *hash);

/*
 * What a caller makes of hashes, to be shared by reference and never changed. `make` is lent a hash
 * that is answered, of that subject, and returns one reference, or NULL when there is no memory.
 * Any thread.
 */
struct store_maker {
    void *(*make)(const char *subject, const struct store_hash *hash);
    void (*acquire)(void *made);
    void (*release)(void *made);
};

/*
 * As store_get() of at most STORE_MADE_MAX subjects, but made[i] is what the maker makes of the
 * hash, with one reference of the caller's, or NULL where that was not answered or there was no
 * memory. A store that has its hashes at hand makes it once and keeps it for as long as they do not
 * change; so a store is always asked with the same maker, which outlives it.
 */
#define STORE_MADE_MAX 16
int store_get_made(struct store *store, const char *const *subjects, size_t n,
                   const struct store_maker *maker, void **made, int64_t deadline, struct why *why);

/* Takes one field; it lasts until the function returns. Not 0 ends the walk as failed. */
typedef int store_take_field(void *context, const struct store_field *field);

/*
 * Walks over a hash of any size in pieces, so that a large one neither holds up the store nor has
 * to fit into memory twice; a field may be passed on more than once. Takes longer than the time-out
 * if need be, but waits for no piece longer. Returns an enum store_answer, or -1 with the reason in
 * `why`. Not for the hot path.
 */
int store_walk(struct store *store, const char *subject, store_take_field *take, void *context,
               struct why *why);

/*
 * Does the store answer, as far as is known without asking it? Of a cluster: every master. Costs
 * next to nothing. A store that nobody watches is up.
 */
bool store_is_up(struct store *store);

/* Does a look-up cost a round trip, so that its answers are worth keeping? */
bool store_is_remote(const struct store *store);

/* What a watch reports. Before the first report no change is passed on. */
enum store_event {
    STORE_CHANGED, /* the subject has changed, soon after it did; NULL: any may have */
    STORE_WATCHED, /* from now on every change is reported; what changed before is not known */
    STORE_LOST,    /* changes may go untold, until STORE_WATCHED */
    STORE_BLIND,   /* this store does not report changes; repeated every STORE_BLIND_INTERVAL ms,
                      while it answers; STORE_LOST when it does not */
};
#define STORE_BLIND_INTERVAL 10000

/*
 * Is called on threads of the store's, or on one that is inside store_get(); by one at a time and
 * in order. Must not block and not call the store.
 */
typedef void store_told(void *context, enum store_event event, const char *subject);

/*
 * Begins to watch for changes, until store_unwatch(). One watcher a store. Returns 0, or -1 with
 * the reason. A store that cannot report changes is logged. The watch supervises the store as well:
 * it logs when it goes down and when it is back, and when it has no policy at all.
 */
int store_watch(struct store *store, store_told *told, void *context, struct why *why);

/* Ends the watch, if there is one: once this returns, `told` is not called any more. */
void store_unwatch(struct store *store);

#endif
