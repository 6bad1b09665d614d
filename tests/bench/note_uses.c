/*
 * Writes a record of use by a clock of its caller's: what the filter would have recorded of these
 * logins, had they been made at these times, by the function that the filter records with.
 *
 * Usage: note_uses STORE_URL KEPT_SECONDS. Standard input has one login a line, the oldest first:
 *
 *     SECONDS ACCOUNT SERVICE ADDRESS
 *
 * SECONDS since the epoch; ADDRESS as the filter has it of the client. Prints how many there were.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/write/use.h"

static int note(struct use_store *store, const char *line, int64_t kept, struct why *why) {
    char account[256], service[32], text[64], block[USE_BLOCK_SIZE];
    long long now;
    struct ip_address client;
    struct use_before before;
    if (sscanf(line, "%lld %255s %31s %63s", &now, account, service, text) != 4 ||
        ip_parse(text, strlen(text), &client) != 0)
        return why_set(why, "not a login: %.200s", line);
    const struct use use = {account, service, use_block(&client, block), now};
    return use_note(store, &use, kept, &before, why);
}

int main(int argc, char **argv) {
    struct store_settings settings = {.user = "",
                                      .password_file = "",
                                      .key_prefix = "gatepost:",
                                      .tls_ca = "",
                                      .tls_cert = "",
                                      .tls_key = "",
                                      .timeout = 5000};
    struct use_store *store;
    struct why why;
    char line[512];
    unsigned long n = 0;
    if (argc != 3) {
        fputs("usage: note_uses STORE_URL KEPT_SECONDS\n", stderr);
        return 2;
    }
    settings.url = argv[1];
    int rc = use_store_open(&settings, &store, &why);
    if (rc == 0) {
        for (; rc == 0 && fgets(line, sizeof line, stdin) != NULL; n++)
            rc = note(store, line, strtoll(argv[2], NULL, 10), &why);
        use_store_free(store);
    }
    if (rc != 0) {
        fprintf(stderr, "note_uses: line %lu: %s\n", n, why.text);
        return 1;
    }
    printf("%lu\n", n);
    return 0;
}
