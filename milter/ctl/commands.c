/*
 * The list of commands. Owns their names, arguments and options, and the summary; what one does
 * stands in a file of its own.
 */
#include "commands.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/write/suggest.h"
#include "print.h"

/* A name of two words comes before its first word alone. A new command is one more line here. */
static const struct command account_commands[] = {
    {{"account", "show"}, "ACCOUNT", 1, 1, SHOWS | BIT(OPT_ALL), ctl_account_show, {0}},
    {{"account", "list"}, "[PATTERN]", 0, 1, SHOWS, ctl_account_list, {0}},
    {{"account", "delete"}, "ACCOUNT", 1, 1, WRITES, ctl_account_delete, {0}},
    {{"self", "forget"}, "ACCOUNT", 1, 1, WRITES, ctl_self_forget, {0}},
};

/* What ctl_list_commands() cannot make from the row of a field; they follow what it makes. */
static const struct command field_commands[] = {
    {{"ip", "add"}, "ACCOUNT CIDR|spf:DOMAIN [NOTE]", 2, 3, OF_ENTRY, ctl_ip_add, {0}},
    {{"ip", "remove"}, "ACCOUNT CIDR|spf:DOMAIN", 2, 2, WRITES, ctl_ip_remove, {0}},
    {{"ip", "list"}, "ACCOUNT", 1, 1, SHOWS, ctl_ip_list, {0}},
    {{"password", "add"},
     "ACCOUNT PROTOCOL...",
     2,
     50,
     SHOWS | BIT(OPT_NOTE) | BIT(OPT_UNTIL) | BIT(OPT_ACTOR),
     ctl_password_add,
     {0}},
    {{"password", "list"}, "ACCOUNT", 1, 1, SHOWS, ctl_password_list, {0}},
    {{"password", "remove"},
     "ACCOUNT [ID]",
     1,
     2,
     SHOWS | BIT(OPT_ALL) | BIT(OPT_ACTOR),
     ctl_password_remove,
     {0}},
    {{"as", "add"}, "ACCOUNT ADDRESS [NOTE]", 2, 3, OF_ENTRY, ctl_as_add, {0}},
    {{"as", "remove"}, "ACCOUNT ADDRESS", 2, 2, WRITES, ctl_as_remove, {0}},
    {{"as", "list"}, "ACCOUNT", 1, 1, SHOWS, ctl_as_list, {0}},
    {{"spf", "set"}, "ACCOUNT RESULT ACTION", 3, 3, WRITES, ctl_spf_set, {0}},
    {{"spf", "unset"}, "ACCOUNT RESULT", 2, 2, WRITES, ctl_spf_unset, {0}},
    {{"spf", "check"}, "IP HELO SENDER", 3, 3, SHOWS | ANY_WORDS, ctl_spf_check, {0}},
    {{"spf", NULL}, "", 3, 3, SHOWS | ANY_WORDS | OLD, ctl_spf_check, {0}},
};

static const struct command other_commands[] = {
    {{"network", "add"}, "NAME CIDR [NOTE]", 2, 3, WRITES, ctl_network_add, {0}},
    {{"network", "remove"}, "NAME CIDR", 2, 2, WRITES, ctl_network_remove, {0}},
    {{"network", "list"}, "[NAME]", 0, 1, SHOWS, ctl_network_list, {0}},
    {{"lint", NULL}, "", 0, 0, SHOWS | BIT(OPT_SINCE) | BIT(OPT_DNS), ctl_lint, {0}},
    {{"export", NULL}, "[PATTERN]", 0, 1, SHOWS, ctl_export, {0}},
    {{"import", NULL}, "[FILE]", 0, 1, WRITES | BIT(OPT_REPLACE) | BIT(OPT_PRUNE), ctl_import, {0}},
    {{"history", NULL}, "[SUBJECT]", 0, 1, OF_HISTORY, ctl_history, {0}},
    {{"use", NULL}, "ACCOUNT", 1, 1, SHOWS | BIT(OPT_FORGET), ctl_use, {0}},
    {{"unused", NULL},
     "[PATTERN]",
     0,
     1,
     SHOWS | BIT(OPT_FOR) | BIT(OPT_COMMANDS),
     ctl_unused,
     {0}},
    {{"suggest", NULL},
     "[PATTERN]",
     0,
     1,
     SHOWS | BIT(OPT_FOR) | BIT(OPT_COMMANDS),
     ctl_suggest,
     {0}},
    {{"replay", NULL},
     "[FILE...]",
     0,
     INT_MAX,
     SHOWS | BIT(OPT_WITH) | BIT(OPT_POLICY),
     ctl_replay,
     {0}},
    {{"explain", NULL}, "", 0, 0, OF_EXPLAIN, ctl_explain, {0}},
    {{"doors", "check"}, "HOST", 1, 1, OF_DOORS, ctl_doors_check, {0}},
    {{"status", NULL}, "", 0, 0, SHOWS | BIT(OPT_WATCH), ctl_status, {0}},
    {{"reload", NULL}, "", 0, 0, SHOWS, ctl_reload, {0}},
    {{"help", NULL}, "[COMMAND]", 0, 2, 0, NULL, {0}},
};

/* Columns of a terminal, at least. */
#define WIDTH 80

#define COUNT(array) (sizeof array / sizeof *array)

/* All commands, in the order of the summary. */
static struct command commands[100];
static size_t n_commands;

static void add_command(const struct command *command) {
    assert(n_commands < COUNT(commands));
    commands[n_commands++] = *command;
}

/* Those of the rows that begin with the word; NULL: all. */
static void add_commands(const struct command *rows, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (word == NULL || strcmp(rows[i].words[0], word) == 0)
            add_command(&rows[i]);
}

/* `source any ACCOUNT`, `protocol off ACCOUNT NAME...`: one for each word, and unset. */
static void add_words(const struct policy_field *field) {
    bool named = field->kind == FIELD_HAS_NAMES;
    struct command c = {.args = named ? "ACCOUNT NAME..." : "ACCOUNT",
                        .least = named ? 2 : 1,
                        .most = named ? INT_MAX : 1,
                        .options = WRITES,
                        .run = named ? ctl_set_names : ctl_set};
    for (size_t i = 0; i <= field->words->count; i++) {
        const char *value = i < field->words->count ? field->words->names[i] : NULL;
        c.words[0] = field->name;
        c.words[1] = value != NULL ? value : "unset";
        c.setting = (struct ctl_setting){field, value};
        c.options =
            WRITES | (named && value != NULL && strcmp(value, "off") == 0 ? BIT(OPT_KICK) : 0);
        add_command(&c);
    }
}

void ctl_list_commands(void) {
    add_commands(account_commands, COUNT(account_commands), NULL);
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        if (field->kind == FIELD_IS_SETTING || field->kind == FIELD_HAS_NAMES)
            add_words(field);
        add_commands(field_commands, COUNT(field_commands), field->name);
    }
    add_commands(other_commands, COUNT(other_commands), NULL);
}

/* What follows a command; on a terminal it goes on in the next line rather than beyond the last
 * column. Scripts, and the completion, find all of a command in one line. */
static void put_part(FILE *to, const char *part, int *column) {
    int len = (int)strlen(part) + 1;
    if (*column + len > WIDTH && isatty(fileno(to)) == 1) {
        fputs("\n     ", to);
        *column = 5;
    }
    fprintf(to, " %s", part);
    *column += len;
}

static void put_command(FILE *to, const struct command *c) {
    char part[100];
    int column = fprintf(to, "  %s%s%s%s%s", c->words[0], c->words[1] ? " " : "",
                         c->words[1] ? c->words[1] : "", c->args[0] ? " " : "", c->args);
    for (const struct option *o = ctl_long_options; o->name != NULL; o++)
        if (o->val >= OPT_UNTIL && (c->options & BIT(o->val)) != 0 &&
            !(o->val == OPT_ACTOR && (c->options & BIT(OPT_FORCE)) != 0)) {
            snprintf(part, sizeof part, "[--%s%s]", o->name, o->has_arg ? " VALUE" : "");
            put_part(to, part, &column);
        }
    fputc('\n', to);
}

int ctl_usage(FILE *to, const char *first_word) {
    fputs("usage: gatepostctl [-c FILE] COMMAND [OPTION]...\n", to);
    for (size_t i = 0; i < n_commands; i++)
        if ((commands[i].options & OLD) == 0 &&
            (first_word == NULL || strcmp(commands[i].words[0], first_word) == 0))
            put_command(to, &commands[i]);
    if (first_word == NULL)
        fputs("commands that print take --json; those that write also --dry-run, --force and\n"
              "--actor NAME\n"
              "  -c FILE  the configuration (" GATEPOST_CONF ")\n"
              "  -V       the version\n"
              "exit status: 0 done, 1 refused or lint has findings, 2 could not be done;\n"
              "of explain 0 accept, 3 mark, 4 defer, 5 reject; of replay 1 verdicts would change\n",
              to);
    return to == stdout ? CTL_DONE : CTL_FAILED;
}

const struct command *ctl_find_command(int argc, char **argv, int *taken) {
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        if (argc < 1 || strcmp(c->words[0], argv[0]) != 0)
            continue;
        *taken = c->words[1] == NULL ? 1 : 2;
        if (c->words[1] == NULL || (argc > 1 && strcmp(c->words[1], argv[1]) == 0))
            return c;
    }
    return NULL;
}

bool ctl_is_first_word(const char *word) {
    for (size_t i = 0; i < n_commands; i++)
        if (strcmp(commands[i].words[0], word) == 0)
            return true;
    return false;
}

/* The second words of the commands that begin with this one, or all first words (NULL). */
static size_t list_words(const char *first, const char *out[COUNT(commands)]) {
    size_t n = 0;
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        if (first == NULL)
            out[n++] = c->words[0];
        else if (strcmp(c->words[0], first) == 0 && c->words[1] != NULL)
            out[n++] = c->words[1];
    }
    return n;
}

int ctl_no_such_command(int argc, char **argv) {
    const char *words[COUNT(commands)] = {NULL}, *first = NULL, *wrong = argv[0], *meant;
    if (ctl_is_first_word(argv[0])) {
        if (argc < 2) { /* which of them? */
            fprintf(stderr, "gatepostctl: %s what?\n", argv[0]);
            return ctl_usage(stderr, argv[0]);
        }
        first = argv[0];
        wrong = argv[1];
    }
    size_t n = list_words(first, words);
    meant = suggest_word(words, n, wrong, strlen(wrong));
    fputs("gatepostctl: ", stderr);
    if (first != NULL)
        fprintf(stderr, "%s ", first);
    ctl_puts(stderr, wrong);
    fputs(": no such command", stderr);
    if (meant != NULL)
        fprintf(stderr, ": did you mean %s%s%s?\n", first == NULL ? "" : first,
                first == NULL ? "" : " ", meant);
    else
        fputs(first == NULL ? "; gatepostctl help lists them all\n" : "\n", stderr);
    return meant == NULL && first != NULL ? ctl_usage(stderr, first) : CTL_FAILED;
}

/* Is it the name of a file here, as what a shell makes of an unquoted "*"? */
static bool is_file(const char *word) {
    return strchr(word, '/') == NULL && access(word, F_OK) == 0;
}

/* Too many: of a note without quotes, of "*" without quotes, or for another reason. */
static void complain_of_many(const struct command *command, int argc, char **argv) {
    int most = command->most, files = 0;
    bool has_note = strstr(command->args, "[NOTE]") != NULL;
    for (int i = 0; i < argc; i++)
        files += is_file(argv[i]);
    if (files > 1) {
        fputs("too many arguments: the shell has put the names of files in the place of *; write "
              "'*'\n",
              stderr);
    } else if (has_note) {
        fputs("too many arguments: a note with spaces needs quotes: \"", stderr);
        for (int i = most - 1; i < argc; i++) {
            fputs(i > most - 1 ? " " : "", stderr);
            ctl_puts(stderr, argv[i]);
        }
        fputs("\"\n", stderr);
    } else {
        fputs("too many arguments: ", stderr);
        ctl_puts(stderr, argv[most]);
        fputs(most == 0 ? ": it takes none\n" : " is one more than it takes\n", stderr);
    }
}

int ctl_wrong_count(const struct command *command, int argc, char **argv) {
    const char *word = command->args;
    fprintf(stderr, "gatepostctl: %s%s%s: ", command->words[0],
            command->words[1] == NULL ? "" : " ",
            command->words[1] == NULL ? "" : command->words[1]);
    for (int i = 0; argc < command->least && i < argc && strchr(word, ' ') != NULL; i++)
        word = strchr(word, ' ') + 1;
    size_t len = strcspn(word, " .");
    if (argc < command->least)
        fprintf(stderr, "%.*s is missing\n", (int)(len == 0 ? INT_MAX : len),
                len == 0 ? "an argument" : word);
    else
        complain_of_many(command, argc, argv);
    if ((command->options & OLD) != 0)
        return ctl_usage(stderr, command->words[0]);
    fputs("usage: gatepostctl [-c FILE] COMMAND [OPTION]...\n", stderr);
    put_command(stderr, command);
    return CTL_FAILED;
}
