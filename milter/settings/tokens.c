/*
 * The tokens. Owns their file and how they are compared. Of a token only its SHA-256
 * is kept.
 */
#include "tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gatepost/base/idna.h"
#include "gatepost/base/line.h"
#include "gatepost/base/log.h"
#include "gatepost/base/regular_file.h"
#include "gatepost/base/sha256.h"
#include "token_line.h"

/* Shorter ones can be guessed, which the log says. */
#define TOKEN_SHORT 16
#define TOKENS_MAX 1000

struct token {
    char hash[SHA256_TEXT_SIZE];
    char *domain; /* NULL: the proxy's */
    bool write;
};

struct tokens {
    struct token *all;
    size_t n;
};

/* As accounts have it, without a dot at the end; NULL when there is no memory. */
static char *canonical(const char *domain) {
    char *ascii;
    int rc = idna_domain_to_ascii(domain, &ascii);
    if (rc < 0 || (rc == 0 && (ascii = strdup(domain)) == NULL))
        return NULL;
    for (char *p = ascii; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    size_t len = strlen(ascii);
    if (len > 0 && ascii[len - 1] == '.')
        ascii[len - 1] = '\0';
    return ascii;
}

static int add(struct tokens *tokens, const char *text, const char *holder, bool write,
               struct why *why) {
    struct token *all = realloc(tokens->all, (tokens->n + 1) * sizeof *all);
    struct token *token;
    if (all == NULL)
        return why_set(why, "no memory");
    tokens->all = all;
    token = &all[tokens->n];
    *token = (struct token){.write = write};
    bool proxy = strcmp(holder, "proxy") == 0;
    if (sha256_text(text, strlen(text), token->hash) != 0 ||
        (!proxy && (token->domain = canonical(holder)) == NULL))
        return why_set(why, "no memory");
    tokens->n++;
    for (size_t i = 0; i + 1 < tokens->n; i++)
        if (sha256_same(all[i].hash, token->hash))
            return why_set(why, "the token is there a second time");
    return tokens->n <= TOKENS_MAX ? 0 : why_set(why, "there are more than %d tokens", TOKENS_MAX);
}

static int take_line(struct tokens *tokens, char *line, bool *weak, struct why *why) {
    const char *token, *holder;
    bool write;
    int rc = token_line(line, &token, &holder, &write, why);
    if (rc <= 0)
        return rc;
    *weak |= strlen(token) < TOKEN_SHORT;
    return add(tokens, token, holder, write, why);
}

static int read_lines(struct tokens *tokens, FILE *file, const char *path, struct why *why) {
    char *line = NULL;
    size_t room = 0;
    struct why reason;
    int rc = 0, number = 0;
    bool weak = false;
    ssize_t len;
    while (rc == 0 && (len = line_read(file, &line, &room)) != -1) {
        number++;
        if (len == LINE_TOO_LONG || memchr(line, '\0', (size_t)len) != NULL) {
            rc = why_set(&reason, "it is no line of text");
        } else {
            line[strcspn(line, "\r\n")] = '\0';
            rc = take_line(tokens, line, &weak, &reason);
        }
    }
    if (rc != 0)
        why_set(why, "%s:%d: %s", path, number, reason.text);
    else if (ferror(file) || !feof(file))
        rc = why_set(why, "%s: %s", path, strerror(errno));
    else if (tokens->n == 0)
        rc = why_set(why, "%s: there is no token in it", path);
    else if (weak)
        log_event(LOG_WARNING, "token-short", "file", path, "problem",
                  "a token of fewer than 16 octets can be guessed: openssl rand -hex 32",
                  (char *)NULL);
    if (line != NULL)
        explicit_bzero(line, room);
    free(line);
    return rc;
}

int tokens_read(const struct config *config, struct tokens **out, struct why *why) {
    const char *path = config->settings.token_file;
    struct stat state;
    FILE *file = regular_file_open(path, &state, why);
    if (file == NULL)
        return -1;
    struct tokens *tokens = calloc(1, sizeof *tokens);
    int rc;
    if (tokens == NULL)
        rc = why_set(why, "no memory");
    else if ((state.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0)
        rc = why_set(why, "%s: others have access to it (mode %04o): chmod 0640 or 0600", path,
                     (unsigned)(state.st_mode & 07777));
    else
        rc = read_lines(tokens, file, path, why);
    fclose(file);
    if (rc != 0)
        tokens_free(tokens);
    else
        *out = tokens;
    return rc;
}

void tokens_free(struct tokens *tokens) {
    for (size_t i = 0; tokens != NULL && i < tokens->n; i++)
        free(tokens->all[i].domain);
    if (tokens != NULL)
        free(tokens->all);
    free(tokens);
}

bool tokens_find(const struct tokens *tokens, const char *given, struct token_grant *out) {
    char hash[SHA256_TEXT_SIZE];
    const struct token *found = NULL;
    if (strlen(given) > TOKEN_LONGEST || sha256_text(given, strlen(given), hash) != 0)
        return false;
    for (size_t i = 0; i < tokens->n; i++)
        if (sha256_same(tokens->all[i].hash, hash))
            found = &tokens->all[i];
    if (found != NULL)
        *out = (struct token_grant){.domain = found->domain, .write = found->write};
    return found != NULL;
}
