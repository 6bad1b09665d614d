/*
 * One line of the tokens' file, for tokens.c. Pure.
 */
#ifndef GATEPOST_SETTINGS_TOKEN_LINE_H
#define GATEPOST_SETTINGS_TOKEN_LINE_H

#include <stdbool.h>

#include "gatepost/core/why.h"

/* Octets of a token. */
#define TOKEN_LONGEST 512

/*
 * Takes one line, without its end, which it changes. Returns 1 and what it says; 0 when it says
 * nothing; -1 with the reason, which never has the token.
 */
int token_line(char *line, const char **token, const char **holder, bool *write, struct why *why);

#endif
