/*
 * SHA-256, by OpenSSL. Any thread.
 */
#ifndef GATEPOST_BASE_SHA256_H
#define GATEPOST_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>

/* In hexadecimal, with its NUL. */
#define SHA256_TEXT_SIZE 65

/* Returns 0, or -1 when there is no memory. */
int sha256_text(const void *data, size_t len, char out[static SHA256_TEXT_SIZE]);

/* Are two of them the same? Takes as long whatever they are. */
bool sha256_same(const char a[static SHA256_TEXT_SIZE - 1],
                 const char b[static SHA256_TEXT_SIZE - 1]);

#endif
