/*
 * gatepostctl: the operator's tool. Owns the command line and the exit status. The commands stand
 * in commands.c, their options in options.c.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "gatepost/base/idna.h"
#include "gatepost/base/log.h"
#include "memory.h"
#include "new_file.h"
#include "print.h"

/* What stands on the command line. */
struct line {
    const char *path;
    uint64_t given;                /* BIT of each option */
    const struct command *command; /* NULL: none has this name */
    int taken;                     /* words that are its name */
    char **words;
    int n;
};

static int complain_of_option(const char *option, const char *what) {
    const char *meant = ctl_option_meant(option);
    fputs("gatepostctl: ", stderr);
    ctl_puts(stderr, option);
    fprintf(stderr, ": %s", what);
    if (meant != NULL)
        fprintf(stderr, ": did you mean --%s?", meant);
    fputc('\n', stderr);
    return CTL_FAILED;
}

/* One more word; false when all that follows are words too. */
static bool take_word(struct line *line, char *word) {
    line->words[line->n++] = word;
    line->command = ctl_find_command(line->n, line->words, &line->taken);
    return line->command == NULL || (line->command->options & ANY_WORDS) == 0 ||
           line->n == line->taken;
}

/*
 * Takes the line apart; its words come to stand at the start of argv. Returns -1, or an exit
 * status when that is all there is to do.
 */
static int take_line(struct ctl *ctl, struct line *line, int argc, char **argv) {
    int option;
    bool more = true;
    line->words = argv; /* each word has left its place already */
    /* "-": words are told in their order */
    while (more && (option = getopt_long(argc, argv, "-:c:Vh", ctl_long_options, NULL)) != -1) {
        const char *given = argv[optind - 1];
        if (option == 1) {
            more = take_word(line, optarg);
        } else if (option == 'V') {
            puts("gatepostctl " PACKAGE_VERSION);
            return CTL_DONE;
        } else if (option == 'h') {
            return ctl_usage(
                stdout, line->n > 0 && ctl_is_first_word(line->words[0]) ? line->words[0] : NULL);
        } else if (option == '?' || option == ':') {
            return complain_of_option(given,
                                      option == ':' ? "a value is missing" : "no such option");
        } else if (option == 'c') {
            line->path = optarg;
        } else {
            line->given |= BIT(option);
            if (ctl_take_option(ctl, option) != 0)
                return complain_of_option(given, "not a number");
        }
    }
    while (optind < argc)
        take_word(line, argv[optind++]);
    return -1;
}

static int check_options(const struct command *command, uint64_t given) {
    for (const struct option *o = ctl_long_options; o->name != NULL; o++) {
        if (o->val < OPT_JSON || (given & BIT(o->val) & ~command->options) == 0)
            continue;
        fprintf(stderr, "gatepostctl: --%s does not belong to this command\n", o->name);
        ctl_usage(stderr, command->words[0]);
        return -1;
    }
    return 0;
}

static int check_count(const struct command *command, int argc, char **argv) {
    if (argc >= command->least && argc <= command->most)
        return 0;
    ctl_wrong_count(command, argc, argv);
    return -1;
}

/* A ctl.run_words. */
static int run_words(struct ctl *ctl, int argc, char **argv) {
    struct line line = {0};
    optind = 0; /* getopt() begins anew */
    int status = take_line(ctl, &line, argc, argv);
    if (status >= 0)
        return CTL_FAILED;
    const struct command *command = line.command;
    const char *problem = NULL;
    if (command == NULL && line.n > 0)
        return ctl_no_such_command(line.n, line.words);
    if (command == NULL)
        problem = "there is no command";
    else if ((command->options & BIT(OPT_DRY_RUN)) == 0 || command->run == ctl_import ||
             line.path != NULL)
        problem = "not a command that changes one subject";
    else if ((line.given & BIT(OPT_KICK)) != 0)
        problem = "--kick belongs to a change that is made";
    if (problem != NULL) {
        fprintf(stderr, "gatepostctl: %s\n", problem);
        return CTL_FAILED;
    }
    if (check_options(command, line.given) != 0 ||
        check_count(command, line.n - line.taken, line.words + line.taken) != 0)
        return CTL_FAILED;
    ctl->setting = command->setting;
    ctl->json = false;
    return command->run(ctl, line.n - line.taken, line.words + line.taken);
}

/* Has who reads a pipe closed it, as head(1) does? That is no fault to complain of. */
static bool has_enough_been_read(void) {
    struct pollfd pfd = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLERR | POLLHUP)) != 0;
}

static int run(struct ctl *ctl, const struct command *command, const char *path, int argc,
               char **argv) {
    struct why why;
    if (check_count(command, argc, argv) != 0)
        return CTL_FAILED;
    if (config_load(path, &ctl->config, &why) != 0)
        return command->run == ctl_reload
                   ? ctl_refuse(ctl, "%s (not loaded: the filter keeps its configuration)",
                                why.text)
                   : ctl_fail(ctl, "%s", why.text);
    log_open(LOG_TO_STDERR, LOG_LOGFMT, LOG_ERR);
    ctl->now = (int64_t)time(NULL);
    ctl->address_rules = (struct address_rules){.default_domain = ctl->config->default_domain,
                                                .delimiters = ctl->config->address_delimiter,
                                                .domain_to_ascii = idna_domain_to_ascii,
                                                .lower_case = idna_lower_case};
    ctl->fact_rules = (struct fact_rules){&ctl->config->rules, &ctl->address_rules};
    ctl->setting = command->setting;
    ctl->run_words = run_words;
    struct new_file file = {0};
    bool writes = (command->options & BIT(OPT_DRY_RUN)) != 0 && !ctl->dry_run;
    int status = writes ? new_file_begin(ctl, &file) : CTL_DONE;
    if (status == CTL_DONE)
        status = command->run(ctl, argc, argv);
    free(ctl->with);
    store_writer_free(ctl->writer);
    store_free(ctl->store);
    status = new_file_end(ctl, &file, status);
    config_free(ctl->config);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (!has_enough_been_read())
            perror("gatepostctl: standard output");
        status = CTL_FAILED;
    }
    return status;
}

static int help(int argc, char **argv) {
    if (argc > 0 && !ctl_is_first_word(argv[0]))
        return ctl_no_such_command(argc, argv);
    return ctl_usage(stdout, argc > 0 ? argv[0] : NULL);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a store that hangs up is an error return */
    memory_begin();
    ctl_list_commands();
    struct line line = {.path = GATEPOST_CONF};
    struct ctl ctl = {0};
    char actor[512];
    int status = take_line(&ctl, &line, argc, argv);
    if (status >= 0)
        return status;
    const struct command *command = line.command;
    if (command == NULL)
        return line.n > 0 ? ctl_no_such_command(line.n, line.words) : ctl_usage(stderr, NULL);
    if (command->run == NULL)
        return help(line.n - line.taken, line.words + line.taken);
    if (check_options(command, line.given) != 0)
        return CTL_FAILED;
    if (ctl.actor == NULL && command->run != ctl_history) {
        ctl_name_actor(actor, sizeof actor);
        ctl.actor = actor;
    }
    return run(&ctl, command, line.path, line.n - line.taken, line.words + line.taken);
}
