/*
 * The record of use: by which services an account has come in, from which blocks, and when.
 *
 * It stands beside the policy, in keys of its own, which the rights and the change notifications of
 * the policy do not reach: `gatepost-use:ACCOUNT`, a hash from `SERVICE BLOCK` to `LAST FIRST`
 * (RFC 3339, UTC); and `gatepost-use:*` with `since`, when recording began, and `LAST FIRST` of
 * each service that was ever recorded. For a key_prefix other than "gatepost:" the last ':' becomes
 * "-use:".
 *
 * One thread for each struct use_store. Only a Redis has a record.
 */
#ifndef GATEPOST_WRITE_USE_H
#define GATEPOST_WRITE_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "gatepost/core/netblock.h"
#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

/* Fields of one account; the one that was used longest ago makes room. */
#define USE_FIELDS_MAX 64

/* Room for a block as text, with its NUL. */
#define USE_BLOCK_SIZE (IP_TEXT_SIZE + 5)

struct use_store;

/*
 * Takes settings as for store_open(), with the key_prefix of the policy; nothing is connected yet.
 * Returns 0 and a record owned by the caller, or -1 with the reason.
 */
int use_store_open(const struct store_settings *settings, struct use_store **out, struct why *why);
void use_store_free(struct use_store *store);

/* The prefix of the record's keys beside that of the policy; malloc'd, NULL for want of memory. */
char *use_prefix(const char *key_prefix);

/* The block that an address is recorded by: /24, /48; "unknown" for IP_NONE. Returns `out`. */
const char *use_block(const struct ip_address *client, char out[static USE_BLOCK_SIZE]);

/* One use of an account. */
struct use {
    const char *account, *service, *block;
    int64_t now; /* seconds since the epoch */
};

/* What was known of it. */
struct use_before {
    bool new_source; /* the account has a record, but none from this block */
};

/*
 * Records a use, which then is kept for `kept` seconds; that of the account as a whole is as young
 * as its youngest. Returns 0, or -1 with the reason.
 */
int use_note(struct use_store *store, const struct use *use, int64_t kept,
             struct use_before *before, struct why *why);

/* One line of a record; texts last until the function returns. */
struct use_line {
    const char *service, *block; /* block "": of `gatepost-use:*`, a service that was recorded */
    int64_t last, first;         /* seconds since the epoch */
};

typedef void use_take(void *context, const struct use_line *line);

/*
 * Hands over the lines of an account's record; of "*" also `since`, as a line without service.
 * What cannot be read is left out. Returns 1, 0 when there is no record, -1 with the reason.
 */
int use_read(struct use_store *store, const char *account, use_take *take, void *context,
             struct why *why);

/* Removes an account's record. Returns 1, 0 when there was none, -1 with the reason. */
int use_forget(struct use_store *store, const char *account, struct why *why);

#endif
