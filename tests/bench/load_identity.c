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

void load_identity_make(struct load_identity *identity, const struct load_options *options,
                        uint64_t number) {
    uint32_t n = (uint32_t)(number % options->sender_count);
    make_client(identity, options, (uint32_t)(number % options->client_count));
    expand(identity->sender, sizeof identity->sender, options->sender, n);
    snprintf(identity->path, sizeof identity->path, "<%s>", identity->sender);
    identity->login[0] = '\0';
    if (options->login != NULL)
        expand(identity->login, sizeof identity->login, options->login, n);
    snprintf(identity->queue_id, sizeof identity->queue_id, "4B%010llX",
             (unsigned long long)number);
}
