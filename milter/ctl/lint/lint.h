/*
 * Findings of `lint`, and the parts of it that stand in files of their own.
 */
#ifndef GATEPOST_CTL_LINT_LINT_H
#define GATEPOST_CTL_LINT_LINT_H

#include "../policies.h"
#include "block_index.h"
#include "gatepost/base/json_text.h"

struct lint_domain;

struct lint {
    struct ctl *ctl;
    json_t *list;                /* of findings; NULL when they are printed at once */
    json_t *notes;               /* likewise */
    size_t n;                    /* findings */
    struct lint_domain *domains; /* to be looked up at the end */
    size_t subjects;
};

/* One finding. `kind` is one word of ours; subject and field may be NULL. */
void lint_found(struct lint *lint, const char *kind, const char *subject, const char *field,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same with the value: what is wrong, and shown, or what the command that mends it needs. */
void lint_found_value(struct lint *lint, const char *kind, const char *subject, const char *field,
                      const struct store_text *value, const char *message);

/*
 * The command that mends a finding, malloc'd; NULL where there is none. Where it is not known what
 * was meant it has the choice: "protocol on|off|unset". `value`: what is wrong, or NULL.
 */
char *lint_mend(const char *kind, const char *subject, const char *field,
                const struct store_text *value);

/* The same of what is worth knowing, but no mistake: it is told, and does not count. */
void lint_noted(struct lint *lint, const char *kind, const char *subject, const char *field,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The facts of one account or network, each on its own. */
void lint_facts(struct lint *lint, const char *subject, const struct store_hash *hash);

/* What a subject inherits, and from whom, the nearest first. */
struct lint_heritage {
    struct {
        const char *subject;
        const struct policy *policy;
        const struct block_index *blocks;
    } from[SUBJECTS];
    size_t n;
};

/*
 * The addresses of an account: expired, listed twice, inside another one. `blocks` is filled with
 * those that count.
 */
void lint_addresses(struct lint *lint, const char *subject, const struct policy *policy,
                    const struct lint_heritage *heritage, struct block_index *blocks);

/* Its `ip:spf:` and `as:` entries: expired, or without effect. */
void lint_names(struct lint *lint, const char *subject, const struct policy *policy,
                const struct lint_heritage *heritage);

/* Notes the domains whose SPF records matter to an account; subject and policy need not last. */
void lint_note_domains(struct lint *lint, const char *subject, const struct policy *policy);

/* Looks those up, and forgets them: providers that list nobody, passes that say nothing. */
void lint_domains(struct lint *lint);

/* The members of a network: listed twice, inside another one. As above. */
void lint_members(struct lint *lint, const char *subject, const struct store_hash *hash);

/*
 * Warns, on standard error, when a listener for logins takes those whose account nobody has
 * registered, and there is more than one domain that they could be of. It is no finding.
 */
void lint_logins(const struct config *config, const struct ctl_names *names);

/*
 * Protocols that nobody comes in by, where use is recorded; nothing where it is recorded too short
 * a time, and a warning where the record cannot be read. CTL_DONE, or another status after saying
 * why.
 */
int lint_doors(struct lint *lint);

/* What users have set themselves, over all accounts. */
struct lint_selves {
    size_t n, strangers;  /* accounts; of these whom the host's policy does not know */
    const char *stranger; /* the first of them; one of the names */
};

/* The self facts of one account: what cannot be read, what has ended. */
void lint_self(struct lint *lint, const char *subject, const struct store_hash *hash);

/* Whether they are asked for, and of whom nothing else is known. */
void lint_selves(struct lint *lint, const struct lint_selves *selves);

/* What was changed by others than gatepostctl since then (milliseconds). The exit status. */
int lint_since(struct lint *lint, int64_t since);

#endif
