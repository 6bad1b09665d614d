/*
 * SipHash-1-3 (Aumasson and Bernstein). Owns the key of the process.
 */
#include "gatepost/base/keyed_hash.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "gatepost/base/clock.h"

static uint64_t process_key[2];

static void draw_key(void) {
    if (getrandom(process_key, sizeof process_key, 0) == sizeof process_key)
        return;
    process_key[0] = (uint64_t)clock_now_us(); /* a kernel without getrandom(): better than none */
    process_key[1] = (uint64_t)(uintptr_t)&process_key;
}

static uint64_t rotate(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static void mix(uint64_t v[static 4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* Eight octets, the first the lowest; written so that compilers make one load of it. */
static uint64_t whole_word_at(const unsigned char *at) {
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}

/* Fewer than eight, likewise. */
static uint64_t word_at(const unsigned char *at, size_t len) {
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static void take(uint64_t v[static 4], uint64_t word) {
    v[3] ^= word;
    mix(v);
    v[0] ^= word;
}

uint64_t keyed_hash_with(const uint64_t key[static 2], const void *data, size_t len) {
    const unsigned char *at = data;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8)
        take(v, whole_word_at(at));
    take(v, word_at(at, left) | (uint64_t)len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t keyed_hash(const void *data, size_t len) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw_key);
    return keyed_hash_with(process_key, data, len);
}
