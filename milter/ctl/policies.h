/*
 * Subjects as the command line names them, and what the store has for them.
 */
#ifndef GATEPOST_CTL_POLICIES_H
#define GATEPOST_CTL_POLICIES_H

#include "ctl.h"
#include "gatepost/core/policy.h"
#include "gatepost/core/why.h"
#include "gatepost/write/fact_name.h"

/*
 * The subject of an account, a domain ("@example.com") or everybody ("*"), brought into the form
 * that the filter looks up; or of a network. Returns CTL_DONE and a malloc'd text, or another
 * status after saying what is wrong.
 */
int ctl_name_account(const struct ctl *ctl, const char *name, char **subject);
int ctl_name_network(const struct ctl *ctl, const char *name, char **subject);

/*
 * The hash of one subject, to be cleared by store_hash_clear(); a network is read in pieces.
 * Fields stand in the order of their names. Returns 0, or -1 with the reason.
 */
int ctl_read_hash(const struct ctl *ctl, const char *subject, struct store_hash *hash,
                  struct why *why);

/* As ctl_read_hash(), but of any size: in pieces. */
int ctl_read_whole(const struct ctl *ctl, const char *subject, struct store_hash *hash,
                   struct why *why);

/* Puts the fields of a hash into the order of their names. */
void ctl_sort_hash(struct store_hash *hash);

/* A field of a hash in that order; NULL when there is none. */
const struct store_field *ctl_find_field(const struct store_hash *hash, const char *name,
                                         size_t len);

/* Decodes what is there; NULL when nothing is there. */
struct policy *ctl_decode(const char *subject, const struct store_hash *hash);

/* A subject and what it inherits from, each read and decoded. */
struct ctl_policies {
    struct policy_set set;
    char *subjects[ALL_SUBJECTS]; /* NULL where the subject has none, like the domain of "*" */
    struct store_hash hashes[ALL_SUBJECTS];
    struct policy *policies[ALL_SUBJECTS];
    enum policy_subject own; /* which of them is the subject itself */
};

/* Names them, nothing read yet. */
void ctl_policies_name(struct ctl_policies *out, const char *subject);

/*
 * The place of a subject among those that others inherit from: below CTL_RANKS, and above that of
 * all that it inherits from itself. CTL_RANKS where nobody inherits from it.
 */
#define CTL_RANKS (PARENT_LABELS_MAX + 2)
unsigned ctl_inheritance_rank(const char *subject);

/* Names, reads and decodes. Returns 0, or -1 with the reason and nothing to clear. */
int ctl_policies_load(const struct ctl *ctl, const char *subject, struct ctl_policies *out,
                      struct why *why);

/* The same. Returns CTL_DONE, or another status after saying why. */
int ctl_policies_read(const struct ctl *ctl, const char *subject, struct ctl_policies *out);

/* The same of an account as the command line names it; opens the store. */
int ctl_policies_of(struct ctl *ctl, const char *name, struct ctl_policies *out);
void ctl_policies_clear(struct ctl_policies *policies);

/* The names of all subjects that match the pattern (fnmatch(3); NULL for all), sorted. */
struct ctl_names {
    char **names;
    size_t n, room;
    size_t odd; /* names with a NUL octet: they cannot be shown here */
    const char *pattern;
};

/* CTL_DONE and names to be cleared by the caller, or another status after saying why. */
int ctl_names_read(struct ctl *ctl, const char *pattern, struct ctl_names *out);
void ctl_names_clear(struct ctl_names *names);

#endif
