/*
 * A hash that nobody outside can foresee: SipHash-1-3 with a key that the process draws when it is
 * first asked. For tables whose keys strangers choose. Any thread.
 */
#ifndef GATEPOST_BASE_KEYED_HASH_H
#define GATEPOST_BASE_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The same for the same octets as long as the process lives, and no longer. */
uint64_t keyed_hash(const void *data, size_t len);

/* The same with a given key, for tests. */
uint64_t keyed_hash_with(const uint64_t key[static 2], const void *data, size_t len);

#endif
