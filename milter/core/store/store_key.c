/*
 * The keys of subjects. Owns which of them stand beside the policy.
 */
#include "gatepost/core/store_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/store_url.h"

int store_key_put(char *out, size_t size, const char *key_prefix, const char *subject) {
    if (!self_is_subject(subject))
        return snprintf(out, size, "%s%s", key_prefix, subject);
    const char *colon = strrchr(key_prefix, ':');
    int head = (int)(colon == NULL ? strlen(key_prefix) : (size_t)(colon - key_prefix));
    return snprintf(out, size, "%.*s-%s%s%s", head, key_prefix, SELF_SUBJECT,
                    colon == NULL ? "" : colon + 1, subject + strlen(SELF_SUBJECT));
}

char *store_key_make(const char *key_prefix, const char *subject) {
    size_t size = (size_t)store_key_put(NULL, 0, key_prefix, subject) + 1;
    char *key = malloc(size);
    if (key != NULL)
        store_key_put(key, size, key_prefix, subject);
    return key;
}

char *store_key_self_prefix(const char *key_prefix) {
    return store_key_make(key_prefix, SELF_SUBJECT);
}
