/*
 * Unicode in addresses, by libidn2 and libunistring. Owns the choice of the mappings.
 */
#include "gatepost/base/idna.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>

char *idna_domain_to_ascii(const char *domain) {
    char *ascii = NULL;
    if (idn2_to_ascii_8z(domain, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
        return NULL;
    char *copy = strdup(ascii);
    idn2_free(ascii);
    return copy;
}

char *idna_address_to_ascii(const char *address) {
    const char *at = strrchr(address, '@'), *domain = at == NULL ? address : at + 1;
    const char *end = domain;
    while (*end != '\0' && (unsigned char)*end < 0x80)
        end++;
    char *ascii = *end == '\0' ? NULL : idna_domain_to_ascii(domain);
    if (ascii == NULL)
        return NULL;
    size_t local = (size_t)(domain - address), len = strlen(ascii);
    char *whole = malloc(local + len + 1);
    if (whole != NULL) {
        memcpy(whole, address, local);
        memcpy(whole + local, ascii, len + 1);
    }
    free(ascii);
    return whole;
}

char *idna_lower_case(const char *text) {
    size_t len = 0;
    /* language "": no locale's special rules; the terminating NUL is mapped along */
    uint8_t *lower =
        u8_tolower((const uint8_t *)text, strlen(text) + 1, "", UNINORM_NFC, NULL, &len);
    return (char *)lower;
}
