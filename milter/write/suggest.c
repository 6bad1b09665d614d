/*
 * Proposals for what was misspelt. Owns the ways in which people misspell; whether a proposal is
 * good is asked of the parsers themselves.
 */
#include "gatepost/write/suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/netblock.h"
#include "gatepost/core/timestamp.h"

#define WORD_MAX_LEN 40

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Letters to change, insert, drop or swap with the next (optimal string alignment). */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    unsigned rows[3][WORD_MAX_LEN + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b_len];
}

static bool begins(const char *word, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (word[i] == '\0' || lower(word[i]) != lower(text[i]))
            return false;
    return true;
}

/* How unlikely it is that `word` was meant; 0 to LIKELY, more when it was not. */
#define LIKELY 7
static unsigned unlikeliness(const char *word, size_t word_len, const char *text, size_t len) {
    unsigned far = distance(text, len, word, word_len);
    unsigned limit = (unsigned)(word_len < len ? word_len : len) / 3 + 1;
    bool abbreviated = begins(word, text, len);
    if (abbreviated && len >= 3 && word[len] == '-') /* "imap4" of "imap4-smtp" */
        return 1;
    if (far <= limit && far <= 3)
        return far * 2 - (abbreviated && far > 0 ? 1 : 0);
    return abbreviated && len >= 3 ? LIKELY : LIKELY + 1;
}

const char *suggest_word(const char *const *words, size_t n, const char *text, size_t len) {
    const char *best = NULL;
    unsigned best_score = LIKELY + 1;
    if (len == 0 || len > WORD_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t word_len = strlen(words[i]);
        unsigned score =
            word_len > WORD_MAX_LEN ? LIKELY + 1 : unlikeliness(words[i], word_len, text, len);
        if (score < best_score) {
            best_score = score;
            best = words[i];
        }
    }
    return best;
}

static bool take_block(const char *text, char *out, size_t out_size) {
    struct netblock block;
    struct why why;

    char good[NETBLOCK_TEXT_SIZE];
    if (netblock_parse(text, strlen(text), &block, &why) != 0)
        return false;
    snprintf(out, out_size, "%s", netblock_format(&block, good));
    return true;
}

/* 255.255.255.0 as 24; -1 when it is no netmask */
static int netmask_bits(const char *text) {
    struct ip_address ip;
    int bits = 0;
    if (ip_parse(text, strlen(text), &ip) != 0 || ip.family != IP_V4)
        return -1;
    while (bits < 32 && (ip.bytes[bits / 8] & (0x80 >> (bits % 8))) != 0)
        bits++;
    return ip_mask(&ip, (unsigned)bits) ? -1 : bits;
}

/* 192.0.2, 192.0.2.* and 010.000.002.001: one to four decimal numbers, the rest the block. */
static bool take_numbers(const char *text, char *out, size_t out_size) {
    unsigned octets[4] = {0}, n = 0;
    bool star = false;
    for (const char *p = text; *p != '\0'; n++) {
        char *end;
        if (n == 4 || (star && *p != '*') || !((*p >= '0' && *p <= '9') || *p == '*'))
            return false;
        if (*p == '*') {
            star = true;
            p++;
        } else {
            unsigned long value = strtoul(p, &end, 10);
            if (value > 255 || end - p > 4)
                return false;
            octets[n] = (unsigned)value;
            p = end;
        }
        if (*p == '.')
            p++;
        else if (*p != '\0')
            return false;
    }
    unsigned given = 0;
    for (const char *p = text; *p != '\0' && *p != '*'; p += strcspn(p, "."), p += *p == '.')
        given++;
    if (given < 2)
        return false;
    char plain[40];
    snprintf(plain, sizeof plain, "%u.%u.%u.%u/%u", octets[0], octets[1], octets[2], octets[3],
             given * 8);
    return take_block(plain, out, out_size);
}

/* Without what stands around an address: white space, quotes, brackets. */
static void strip(const char *text, size_t len, char *out, size_t out_size) {
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < out_size; i++)
        if (text[i] != '\0' && strchr(" \t\"'[]<>;,", text[i]) == NULL)
            out[n++] = text[i];
    out[n] = '\0';
}

int suggest_netblock(const char *text, size_t len, char *out, size_t out_size) {
    char plain[80], joined[120];
    if (len >= sizeof plain)
        return -1;
    strip(text, len, plain, sizeof plain);
    if (take_block(plain, out, out_size))
        return 0;
    char *slash = strchr(plain, '/');
    if (slash == NULL) {
        if (take_numbers(plain, out, out_size))
            return 0;
        char *port = strrchr(plain, ':');
        if (port == NULL || strchr(plain, ':') != port)
            return -1;
        *port = '\0'; /* 192.0.2.1:25 */
        return take_block(plain, out, out_size) ? 0 : -1;
    }
    *slash++ = '\0';
    int bits = netmask_bits(slash);
    if (bits < 0 && slash[0] != '\0' && strspn(slash, "0123456789") == strlen(slash) &&
        strlen(slash) <= 4)
        bits = (int)strtoul(slash, NULL, 10);
    if (bits < 0)
        return -1;
    for (int dots = 0; dots < 4; dots++) { /* 10/8 and 192.168/16 lack octets */
        snprintf(joined, sizeof joined, "%s/%d", plain, bits);
        if (take_block(joined, out, out_size))
            return 0;
        if (strlen(plain) + 3 > sizeof plain)
            return -1;
        strcat(plain, ".0");
    }
    return -1;
}

int suggest_account(const char *name, char *out, size_t out_size) {
    const char *at = name, *domain;
    while (strncmp(at, "account:", 8) == 0)
        at += 8;
    bool meant = at != name;
    if (strncmp(at, "*@", 2) == 0 && at[2] != '\0')
        at++;
    domain = at + (at[0] == '@');
    bool whole = strchr(domain, '@') == NULL;
    bool all = whole && strncmp(domain, "*.", 2) == 0, parent = all || (whole && domain[0] == '.');
    if (!meant && at == name && !all && (!parent || domain != name))
        return -1;
    if (parent)
        snprintf(out, out_size, "@%s", domain + all);
    else
        snprintf(out, out_size, "%s", at);
    return 0;
}

/* The number at *text, of `width` digits, and the octet of `separators` after it. */
static int number(const char **text, int width, const char *separators) {
    int value = 0, digits = 0;
    for (; digits < width && **text >= '0' && **text <= '9'; digits++)
        value = value * 10 + (*(*text)++ - '0');
    if (digits == 0)
        return -1;
    if (**text != '\0' && strchr(separators, **text) != NULL)
        (*text)++;
    return value;
}

/* +02:00, -0530, Z or nothing: the seconds that it is ahead of UTC; -1 for anything else */
static int offset_of(const char *text, int64_t *ahead) {
    *ahead = 0;
    while (*text == ' ')
        text++;
    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0 ||
        strcmp(text, "UTC") == 0)
        return 0;
    char sign = *text++;
    if (sign != '+' && sign != '-')
        return -1;
    int hours = number(&text, 2, ":"), minutes = *text == '\0' ? 0 : number(&text, 2, "");
    if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 || *text != '\0')
        return -1;
    *ahead = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
    return 0;
}

int suggest_time(const char *text, size_t len, char *out, size_t out_size) {
    char copy[50], shown[TIMESTAMP_SIZE];
    if (len >= sizeof copy)
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    const char *p = copy;
    int year = number(&p, 4, "-/."), month = number(&p, 2, "-/."), day = number(&p, 2, "Tt _");
    int clock[3] = {0, 0, 0};
    for (int i = 0; i < 3 && *p >= '0' && *p <= '9'; i++)
        clock[i] = number(&p, 2, i < 2 ? ":" : "");
    if (*p == '.') /* fractions of a second */
        p += 1 + strspn(p + 1, "0123456789");
    int64_t ahead, seconds;
    if (year < 1000 || month < 1 || day < 1 || day > 31 || offset_of(p, &ahead) != 0)
        return -1;
    do { /* the last day of a short month */
        snprintf(shown, sizeof shown, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000u,
                 (unsigned)month % 100u, (unsigned)day % 100u, (unsigned)clock[0] % 100u,
                 (unsigned)clock[1] % 100u, (unsigned)clock[2] % 100u);
        if (timestamp_parse(shown, strlen(shown), &seconds) == 0) {
            snprintf(out, out_size, "%s", timestamp_format(seconds - ahead, shown));
            return 0;
        }
    } while (--day >= 28);
    return -1;
}
