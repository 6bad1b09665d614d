/*
 * A line of the tokens' file. Owns its syntax.
 */
#include "token_line.h"

#include <string.h>

static char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " \t");
    size_t len = strcspn(word, " \t");
    *rest = word + len;
    if (**rest != '\0')
        *(*rest)++ = '\0';
    return word;
}

/* As accounts have it: a panel with another spelling would be let in, and find no account. */
static bool is_domain(const char *name) {
    size_t len = strlen(name);
    return len > 0 && strcspn(name, "@*/,:") == len && strchr(name, '.') != NULL &&
           name[0] != '.' && name[len - 1] != '.' && strstr(name, "..") == NULL;
}

int token_line(char *line, const char **token, const char **holder, bool *write, struct why *why) {
    char *rest = line;
    *token = next_word(&rest);
    if ((*token)[0] == '\0' || (*token)[0] == '#')
        return 0;
    *holder = next_word(&rest);
    const char *scope = next_word(&rest);
    const char *more = next_word(&rest);
    bool proxy = strcmp(*holder, "proxy") == 0;
    *write = proxy || strcmp(scope, "write") == 0;
    for (const char *p = *token; *p != '\0'; p++)
        if ((unsigned char)*p < 0x21 || (unsigned char)*p > 0x7e)
            return why_set(why, "a token must be printable US-ASCII");
    if (strlen(*token) > TOKEN_LONGEST)
        return why_set(why, "the token is longer than %d octets", TOKEN_LONGEST);
    if ((*holder)[0] == '\0' || more[0] != '\0' || (proxy && scope[0] != '\0') ||
        (!proxy && !*write && strcmp(scope, "read") != 0))
        return why_set(why, "it must be TOKEN proxy, TOKEN DOMAIN read or TOKEN DOMAIN write");
    if (!proxy && !is_domain(*holder))
        return why_set(why, "\"%.100s\" is no domain", *holder);
    return 1;
}
