/*
 * SHA-256. Owns the way to OpenSSL, and the form as text.
 */
#include "gatepost/base/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

int sha256_text(const void *data, size_t len, char out[static SHA256_TEXT_SIZE]) {
    unsigned char digest[32];
    unsigned size = sizeof digest;
    if (EVP_Digest(data, len, digest, &size, EVP_sha256(), NULL) != 1)
        return -1;
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

bool sha256_same(const char a[static SHA256_TEXT_SIZE - 1],
                 const char b[static SHA256_TEXT_SIZE - 1]) {
    return CRYPTO_memcmp(a, b, SHA256_TEXT_SIZE - 1) == 0;
}
