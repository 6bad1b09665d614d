/*
 * JSON strings of any octets. Owns what becomes of octets that are no UTF-8.
 */
#include "gatepost/base/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/core/textbuf.h"

json_t *json_octets(const char *text, size_t len) {
    if (text == NULL)
        return json_null();
    json_t *plain = json_stringn(text, len);
    if (plain != NULL)
        return plain;
    char *valid = malloc(len * 2 + 1);
    size_t n = 0;
    if (valid == NULL)
        return NULL;
    for (size_t i = 0; i < len;) {
        size_t sequence = text[i] == '\0' ? 1 : utf8_sequence(text + i, len - i);
        if (sequence == 0) {
            unsigned char c = (unsigned char)text[i++];
            valid[n++] = (char)(0xc0 | c >> 6);
            valid[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            memcpy(valid + n, text + i, sequence);
            n += sequence;
            i += sequence;
        }
    }
    plain = json_stringn(valid, n);
    free(valid);
    return plain;
}

json_t *json_text(const char *text) {
    return json_octets(text, text == NULL ? 0 : strlen(text));
}
