/*
 * The text of gatepost.conf before libconfuse sees it. Owns how the file is read, and what makes up
 * for two faults of libconfuse; knows nothing of options.
 */
#include "config_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind the quoted text that begins at `at`. */
static char *skip_quoted(char *at) {
    char *end = at + 1;
    for (; *end != '\0' && *end != *at; end++)
        if (*end == '\\' && end[1] != '\0')
            end++;
    return *end == '\0' ? end : end + 1;
}

/*
 * Behind the comment that begins at `at`; `at` itself when none does, as inside a word that is not
 * quoted (file:/a//b); NULL when it does not end.
 */
static char *skip_comment(char *at, bool in_word) {
    if (at[0] == '#' || (at[0] == '/' && at[1] == '/' && !in_word))
        return at + strcspn(at, "\n");
    if (at[0] != '/' || at[1] != '*' || in_word)
        return at;
    char *end = strstr(at + 2, "*/");
    return end == NULL ? NULL : end + 2;
}

int config_text_prepare(char *text) {
    int opened[8] = {0}, line = 1;
    size_t depth = 0;
    bool in_word = false;
    while (*text != '\0') {
        char *end = skip_comment(text, in_word);
        bool comment = end != text;
        if (end == NULL)
            return line;
        if (!comment && (*text == '"' || *text == '\''))
            end = skip_quoted(text);
        else if (!comment)
            end = text + 1;
        if (*text == '{' && depth < sizeof opened / sizeof *opened)
            opened[depth++] = line;
        else if (*text == '}' && depth > 0)
            depth--;
        in_word = !comment && strchr(" \t\n\"'{}()=,", *text) == NULL;
        for (; text < end; text++) {
            line += *text == '\n';
            if (comment && *text != '\n')
                *text = ' ';
        }
    }
    return depth > 0 ? opened[depth - 1] : 0;
}

char *config_text_read(const char *path, struct why *why) {
    char *text = NULL;
    size_t size = 0;
    errno = 0;
    FILE *file = fopen(path, "re");
    /* up to a NUL, which no text file has: all of it is one piece */
    ssize_t len = file == NULL ? -1 : getdelim(&text, &size, '\0', file);
    if (len < 0 && file != NULL && !ferror(file)) { /* an empty file */
        free(text);
        text = strdup("");
    } else if (len < 0 || text[len - 1] == '\0') {
        why_set(why, "%s: %s", path, len < 0 ? strerror(errno) : "it contains a NUL byte");
        free(text);
        text = NULL;
    }
    if (file != NULL)
        fclose(file);
    return text;
}
