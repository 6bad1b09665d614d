/*
 * The record of use, as the commands about it read it.
 */
#ifndef GATEPOST_CTL_USE_USE_H
#define GATEPOST_CTL_USE_USE_H

#include "../ctl.h"
#include "gatepost/base/json_text.h"
#include "gatepost/write/use.h"

struct ctl_use_line {
    char *service, *block; /* owned */
    int64_t last, first;   /* seconds since the epoch */
};

/* The record of one account; begins as {0}. */
struct ctl_use {
    struct ctl_use_line *lines; /* owned; the youngest first */
    size_t n, room;
    int64_t since; /* of "*": when recording began; 0: it never did */
};

/* The settings of the store that has the record; texts are the configuration's. */
struct store_settings ctl_use_settings(const struct ctl *ctl);

/* CTL_DONE and a record to be closed, or another status after saying why. */
int ctl_use_open(const struct ctl *ctl, struct use_store **out);

/* CTL_DONE and the record of an account, empty when there is none; to be cleared. */
int ctl_use_read(const struct ctl *ctl, struct use_store *store, const char *account,
                 struct ctl_use *out);
/* The same, but says nothing. Returns 0, or -1 with the reason. */
int ctl_use_try(struct use_store *store, const char *account, struct ctl_use *out, struct why *why);
void ctl_use_clear(struct ctl_use *use);

/* When recording began, 0 for never. Returns 0, or -1 with the reason. */
int ctl_use_since(struct use_store *store, int64_t *since, struct why *why);

/* When the service was used last, at any block; 0: never, as far as the record goes. */
int64_t ctl_use_last(const struct ctl_use *use, const char *service);

/*
 * When each service of the protocol was used last: a new {SERVICE: TIME} of those that were, and
 * the youngest of these times, 0 for none.
 */
json_t *ctl_use_of_protocol(const struct decision_rules *rules, const struct ctl_use *use,
                            const char *protocol, int64_t *last);

/* Removes an account's record, if there is one. CTL_DONE, or another status after saying why. */
int ctl_use_delete(struct ctl *ctl, const char *account);

#endif
