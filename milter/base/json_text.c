/*
 * JSON strings of any octets. Owns what becomes of octets that are no UTF-8, and of characters
 * that a terminal would obey.
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

/* Beyond strings there is nothing but US-ASCII: what is deceptive stands inside one. */
static int put_piece(const char *text, size_t len, void *to) {
    size_t from = 0;
    for (size_t i = 0; i < len;) {
        const unsigned char *s = (const unsigned char *)text + i;
        size_t sequence = utf8_sequence(text + i, len - i);
        if (*s == '\n' || sequence == 0 || !utf8_is_deceptive(text + i, sequence)) {
            i += sequence == 0 ? 1 : sequence;
            continue;
        }
        unsigned character = sequence == 1 ? s[0]
                             : sequence == 2
                                 ? (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu)
                                 : (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
        if (fwrite(text + from, 1, i - from, to) != i - from ||
            fprintf(to, "\\u%04x", character) < 0)
            return -1;
        i += sequence;
        from = i;
    }
    return fwrite(text + from, 1, len - from, to) == len - from ? 0 : -1;
}

int json_put(const json_t *value, FILE *to, size_t flags) {
    return json_dump_callback(value, put_piece, to, flags);
}

json_t *json_text(const char *text) {
    return json_octets(text, text == NULL ? 0 : strlen(text));
}

/* In front of each piece of memory: its size, which free(3) does not tell. */
union head {
    size_t size;
    max_align_t aligned;
};

static void *take(size_t size) {
    union head *head = malloc(sizeof *head + size);
    if (head == NULL)
        return NULL;
    head->size = size;
    return head + 1;
}

static void wipe_and_free(void *memory) {
    if (memory == NULL)
        return;
    union head *head = (union head *)memory - 1;
    explicit_bzero(memory, head->size);
    free(head);
}

char *json_dump_malloc(const json_t *value, size_t flags) {
    size_t len = value == NULL ? 0 : json_dumpb(value, NULL, 0, flags);
    char *text = len == 0 ? NULL : malloc(len + 1);
    if (text == NULL)
        return NULL;
    json_dumpb(value, text, len, flags);
    text[len] = '\0';
    return text;
}

void json_wipe_freed(void) {
    json_set_alloc_funcs(take, wipe_and_free);
}
