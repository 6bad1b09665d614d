/* Who the client, sender and account of a session are: it owns the numbering of addresses and
   names. A pattern from the command line is only ever copied, never used as a format. */

#include "load_identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Copies the pattern with each {n} replaced. False when it does not fit. */
static bool expand(char *out, size_t size, const char *pattern, uint32_t n) {
    char digits[12];
    size_t digits_length = (size_t)snprintf(digits, sizeof digits, "%lu", (unsigned long)n);
    size_t used = 0;
    while (*pattern != '\0') {
        bool numbered = strncmp(pattern, "{n}", 3) == 0;
        const char *piece = numbered ? digits : pattern;
        size_t length = numbered ? digits_length : 1;
        if (used + length >= size)
            return false;
        memcpy(out + used, piece, length);
        used += length;
        pattern += numbered ? 3 : 1;
    }
    out[used] = '\0';
    return true;
}

bool load_identity_fits(const char *pattern, uint32_t count) {
    char scratch[LOAD_NAME_MAX];
    return expand(scratch, sizeof scratch, pattern, count - 1);
}

/* Adds n to the last 32 bits of the first client's address; a carry out of them is dropped. */
static void make_client(struct load_identity *identity, const struct load_options *options,
                        uint32_t n) {
    unsigned char bytes[16];
    memcpy(bytes, options->client, sizeof bytes);
    unsigned char *tail = bytes + (options->client_family == AF_INET ? 0 : 12);
    uint32_t last;
    memcpy(&last, tail, sizeof last);
    last = htonl(ntohl(last) + n);
    memcpy(tail, &last, sizeof last);
    inet_ntop(options->client_family, bytes, identity->client, sizeof identity->client);
    const char *tag = options->client_family == AF_INET ? "" : "IPv6:";
    snprintf(identity->tagged_client, sizeof identity->tagged_client, "%s%s", tag,
             identity->client);
    snprintf(identity->peer, sizeof identity->peer, "%s [%s]", LOAD_CLIENT_NAME,
             identity->tagged_client);
}

/* The number that stands for {n} in that session. Drawn: the output of splitmix64 for the position
   in its sequence, so that no state goes from session to session. */
static uint32_t number_below_count(const struct load_options *options, uint64_t session) {
    if (!options->random)
        return (uint32_t)(session % options->sender_count);
    uint64_t bits = ((options->seed << 32) + session + 1) * UINT64_C(0x9E3779B97F4A7C15);
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((bits ^ (bits >> 31)) % options->sender_count);
}

void load_identity_make(struct load_identity *identity, const struct load_options *options,
                        uint64_t number) {
    uint32_t n = number_below_count(options, number);
    make_client(identity, options, (uint32_t)(number % options->client_count));
    expand(identity->sender, sizeof identity->sender, options->sender, n);
    snprintf(identity->path, sizeof identity->path, "<%s>", identity->sender);
    identity->login[0] = '\0';
    if (options->login != NULL)
        expand(identity->login, sizeof identity->login, options->login, n);
    snprintf(identity->queue_id, sizeof identity->queue_id, "4B%010llX",
             (unsigned long long)number);
}
