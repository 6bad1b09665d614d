/*
 * Unicode in addresses, by libidn2 and libunistring. Owns the choice of the mappings.
 */
#include "gatepost/base/idna.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>

int idna_domain_to_ascii(const char *domain, char **out) {
    char *ascii = NULL;
    *out = NULL;
    int rc = idn2_to_ascii_8z(domain, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
    if (rc != IDN2_OK)
        return rc == IDN2_MALLOC ? -1 : 0;
    *out = strdup(ascii);
    idn2_free(ascii);
    return *out == NULL ? -1 : 1;
}

int idna_address_to_ascii(const char *address, char **out) {
    const char *at = strrchr(address, '@'), *domain = at == NULL ? address : at + 1;
    const char *end = domain;
    char *ascii;
    *out = NULL;
    while (*end != '\0' && (unsigned char)*end < 0x80)
        end++;
    int rc = *end == '\0' ? 0 : idna_domain_to_ascii(domain, &ascii);
    if (rc <= 0)
        return rc;
    size_t local = (size_t)(domain - address), len = strlen(ascii);
    *out = malloc(local + len + 1);
    if (*out != NULL) {
        memcpy(*out, address, local);
        memcpy(*out + local, ascii, len + 1);
    }
    free(ascii);
    return *out == NULL ? -1 : 1;
}

int idna_lower_case(const char *text, char **out) {
    size_t len = 0;
    /* language "": no locale's special rules; the terminating NUL is mapped along */
    errno = 0;
    *out = (char *)u8_tolower((const uint8_t *)text, strlen(text) + 1, "", UNINORM_NFC, NULL, &len);
    if (*out == NULL)
        return errno == ENOMEM ? -1 : 0;
    return 1;
}
