/*
 * The commands of gatepostctl, as the command line finds them.
 */
#ifndef GATEPOST_CTL_COMMANDS_H
#define GATEPOST_CTL_COMMANDS_H

#include <stdio.h>

#include "options.h"

struct command {
    const char *words[2]; /* the second NULL where the name is one word */
    const char *args;
    int least, most; /* arguments after the name */
    uint64_t options;
    ctl_command *run;           /* NULL: help */
    struct ctl_setting setting; /* of a command that is made from the table of fields */
};

/* Makes the list of all commands; once, before the others. */
void ctl_list_commands(void);

/* The command of these words, NULL for none; *taken of them are its name. */
const struct command *ctl_find_command(int argc, char **argv, int *taken);

/* Does some command begin with this word? */
bool ctl_is_first_word(const char *word);

/*
 * Says on standard error that there is no such command, with the one that is probably meant, or
 * with those that begin with the first word. CTL_FAILED.
 */
int ctl_no_such_command(int argc, char **argv);

/* Says which argument of a command is missing, or that there are too many. CTL_FAILED. */
int ctl_wrong_count(const struct command *command, int argc, char **argv);

/* Prints the summary, or the commands that begin with a word; the exit status for who asked. */
int ctl_usage(FILE *to, const char *first_word);

#endif
