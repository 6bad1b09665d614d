/*
 * Lines of bounded length. Owns the growth of their buffer.
 */
#include "gatepost/base/line.h"

#include <stdlib.h>

static int make_room(char **line, size_t *room) {
    size_t wanted = *room < 512 ? 512 : *room * 2;
    char *grown = realloc(*line, wanted);
    if (grown == NULL)
        return -1;
    *line = grown;
    *room = wanted;
    return 0;
}

ssize_t line_read(FILE *from, char **line, size_t *room) {
    size_t len = 0;
    int c;
    do {
        if (len == LINE_LONGEST)
            return LINE_TOO_LONG;
        if (len + 1 >= *room && make_room(line, room) != 0)
            return -1;
        c = getc_unlocked(from); /* of one thread */
        if (c != EOF)
            (*line)[len++] = (char)c;
    } while (c != EOF && c != '\n');
    (*line)[len] = '\0';
    return len == 0 || ferror(from) ? -1 : (ssize_t)len;
}
