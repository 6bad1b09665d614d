/*
 * Characters in names. Owns the ranges of Unicode 15 of what is not seen; knows no addresses.
 */
#include "characters.h"

#include <string.h>

#include "gatepost/core/textbuf.h"

struct range {
    unsigned first, last;
};

static bool is_in(unsigned character, const struct range *ranges, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

unsigned character_at(const char *at, size_t *len) {
    const unsigned char *u = (const unsigned char *)at;
    size_t sequence = utf8_sequence(at, strnlen(at, 4));
    *len = sequence == 0 ? 1 : sequence;
    if (sequence == 0)
        return u[0] == 0 ? 0 : CHARACTER_NONE;
    if (sequence == 1)
        return u[0];
    unsigned character = u[0] & (0x7fU >> sequence);
    for (size_t i = 1; i < sequence; i++)
        character = character << 6 | (u[i] & 0x3fU);
    return character;
}

bool character_is_space(unsigned character) {
    static const struct range spaces[] = {{'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},
                                          {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                                          {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
    return is_in(character, spaces, sizeof spaces / sizeof *spaces);
}

bool character_is_joiner(unsigned character) {
    return character == 0x200c || character == 0x200d;
}

/* From Arabic to Mongolian, and the Arabic, Indic and Brahmic scripts beyond U+FFFF. */
static bool is_joined(unsigned character) {
    static const struct range scripts[] = {
        {0x620, 0x10ff}, {0x1780, 0x1aff}, {0xa840, 0xabff}, {0x10a00, 0x11fff}};
    return is_in(character, scripts, sizeof scripts / sizeof *scripts) &&
           !character_is_unseen(character);
}

bool character_joins(unsigned before, unsigned after) {
    return is_joined(before) && is_joined(after);
}

bool character_is_unseen(unsigned character) {
    static const struct range unseen[] = {
        {0, 0x1f},          {0x7f, 0x9f},       {0xad, 0xad},     {0x34f, 0x34f},
        {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5}, {0x180b, 0x180f},
        {0x200b, 0x200b},   {0x200e, 0x200f},   {0x202a, 0x202e}, {0x2060, 0x206f},
        {0x2800, 0x2800},   {0x3164, 0x3164},   {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},
        {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3},
        {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    return (character & 0xfffeU) == 0xfffe || character > 0x10ffff ||
           is_in(character, unseen, sizeof unseen / sizeof *unseen);
}
