/*
 * Changes that are only tried. Owns how the words of a command stand in one text; the command
 * itself is run as it always is, by a gatepostctl whose store is the trial.
 */
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "../print.h"
#include "side.h"

struct words_taken {
    char **words; /* the first is the program's name */
    int n;
    size_t room;
    char *memory;
};

/* Takes the word at `*from` as sh(1) does, without any expansion; false when a quote is open. */
static bool take_word(const char **from, char **to) {
    char quote = '\0';
    for (; **from != '\0'; (*from)++) {
        char c = **from;
        if (quote == '\0' && (c == ' ' || c == '\t' || c == '\n'))
            break;
        if (quote == '\0' && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == quote) {
            quote = '\0';
        } else {
            if (c == '\\' && quote != '\'' && (*from)[1] != '\0')
                c = *++*from;
            *(*to)++ = c;
        }
    }
    *(*to)++ = '\0';
    return quote == '\0';
}

static bool split(const char *text, struct words_taken *out) {
    static char program[] = "gatepostctl";
    *out = (struct words_taken){.memory = xmalloc(2 * strlen(text) + 2)};
    char *to = out->memory;
    out->words = xgrow(NULL, 0, &out->room, sizeof *out->words);
    out->words[out->n++] = program;
    for (;;) {
        text += strspn(text, " \t\n");
        if (*text == '\0')
            break;
        char *word = to;
        if (!take_word(&text, &to))
            return false;
        if (out->n == 1 && strcmp(word, program) == 0)
            continue; /* as `unused --commands` prints it */
        out->words = xgrow(out->words, (size_t)out->n + 1, &out->room, sizeof *out->words);
        out->words[out->n++] = word;
    }
    out->words[out->n] = NULL;
    return true;
}

int side_change(struct ctl *ctl, struct side *side, const char *command) {
    struct words_taken taken;
    struct ctl trying = *ctl;
    trying.store = trying.trial = side->store;
    trying.json = false;
    trying.dry_run = true;
    trying.with = NULL; /* what is given here is the command's own, and refused there */
    trying.n_with = trying.with_room = 0;
    int status = CTL_FAILED;
    if (!split(command, &taken))
        ctl_warn("a quote is not closed");
    else
        status = ctl->run_words(&trying, taken.n, taken.words);
    free(trying.with);
    free(taken.words);
    free(taken.memory);
    return status == CTL_DONE ? CTL_DONE
                              : ctl_fail(ctl, "--with '%.300s' cannot be tried", command);
}
