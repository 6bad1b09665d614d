/*
 * The token of clients that come by TCP. Owns it and how it is compared.
 */
#include "token.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors.h"

/* Tokens are compared over all of this, so that the time tells nothing. */
#define TOKEN_SIZE 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char current[TOKEN_SIZE]; /* under lock; "" for none, which matches nothing */

int doors_read_token(const struct config *config, struct why *why) {
    const char *path = config->doors_token_file;
    char token[TOKEN_SIZE] = "";
    if (path[0] != '\0') {
        FILE *file = fopen(path, "re");
        if (file == NULL)
            return why_set(why, "doors_token_file: %s: %m", path);
        bool read = fgets(token, sizeof token, file) != NULL;
        bool cut = read && strchr(token, '\n') == NULL && !feof(file);
        fclose(file);
        token[strcspn(token, "\r\n")] = '\0';
        if (cut)
            return why_set(why, "doors_token_file: %s: its first line is too long", path);
        if (token[0] == '\0')
            return why_set(why, "doors_token_file: %s: its first line is empty", path);
    }
    memset(token + strlen(token), 0, sizeof token - strlen(token));
    pthread_mutex_lock(&lock);
    memcpy(current, token, sizeof current);
    pthread_mutex_unlock(&lock);
    return 0;
}

bool token_matches(const char *given) {
    char padded[TOKEN_SIZE] = "";
    size_t len = strlen(given);
    unsigned differences = len == 0 || len >= sizeof padded;
    memcpy(padded, given, len < sizeof padded ? len : sizeof padded - 1);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < sizeof padded; i++)
        differences |= (unsigned char)(padded[i] ^ current[i]);
    pthread_mutex_unlock(&lock);
    return differences == 0;
}
