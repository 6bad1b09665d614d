/*
 * The keys of subjects in Redis.
 *
 * Those of the host stand below key_prefix: `gatepost:account:alice@example.com`. What a user has
 * set himself stands beside it, where rights, scans and change messages of the policy do not reach:
 * the last ':' of the prefix becomes "-self:", `gatepost-self:alice@example.com`. Pure.
 */
#ifndef GATEPOST_CORE_STORE_KEY_H
#define GATEPOST_CORE_STORE_KEY_H

#include <stddef.h>

#include "gatepost/core/self_fact.h"

/* The key of a subject, as snprintf() writes and returns. */
int store_key_put(char *out, size_t size, const char *key_prefix, const char *subject);

/* The same, malloc'd; NULL when there is no memory. */
char *store_key_make(const char *key_prefix, const char *subject);

/* What the keys of self facts begin with, malloc'd; NULL when there is no memory. */
char *store_key_self_prefix(const char *key_prefix);

#endif
