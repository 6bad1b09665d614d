/*
 * gatepostctl: the operator's tool. Owns the command line - options, the list of commands - and
 * the exit status; what a command does stands in a file of its own.
 */
#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "gatepost/base/idna.h"
#include "gatepost/base/log.h"
#include "memory.h"
#include "print.h"

enum {
    OPT_JSON = 256,
    OPT_DRY_RUN,
    OPT_FORCE,
    OPT_UNTIL,
    OPT_SINCE,
    OPT_ACTOR,
    OPT_FIELD,
    OPT_LAST,
    OPT_REPLACE,
    OPT_IP,
    OPT_HELO,
    OPT_FROM,
    OPT_LOGIN,
    OPT_TLS,
    OPT_LISTENER,
    OPT_LOG,
    OPT_WATCH,
    OPT_DOOR,
    OPT_SERVICE,
    OPT_FORGET,
    OPT_FOR,
    OPT_COMMANDS,
    OPT_NOTE,
    OPT_ALL,
    OPT_APP_PASSWORD,
    OPT_KICK,
    OPT_CANARY,
    OPT_PASSWORD_FILE,
    OPT_PORT,
    OPT_PATH,
    OPT_ADDRESS,
    OPT_TIMEOUT,
    OPT_WITH,
    OPT_POLICY
};

/* Which options a command takes; -c everywhere. */
#define BIT(option) (UINT64_C(1) << ((option)-OPT_JSON))
#define SHOWS BIT(OPT_JSON)
#define WRITES (BIT(OPT_JSON) | BIT(OPT_DRY_RUN) | BIT(OPT_FORCE) | BIT(OPT_ACTOR))
#define OF_ENTRY (WRITES | BIT(OPT_UNTIL))
#define OF_HISTORY (SHOWS | BIT(OPT_SINCE) | BIT(OPT_ACTOR) | BIT(OPT_FIELD) | BIT(OPT_LAST))
#define OF_EXPLAIN                                                                                 \
    (SHOWS | BIT(OPT_IP) | BIT(OPT_HELO) | BIT(OPT_FROM) | BIT(OPT_LOGIN) | BIT(OPT_TLS) |         \
     BIT(OPT_LISTENER) | BIT(OPT_LOG) | BIT(OPT_DOOR) | BIT(OPT_SERVICE) | BIT(OPT_APP_PASSWORD))
#define OF_DOORS                                                                                   \
    (SHOWS | BIT(OPT_CANARY) | BIT(OPT_PASSWORD_FILE) | BIT(OPT_PORT) | BIT(OPT_PATH) |            \
     BIT(OPT_ADDRESS) | BIT(OPT_TIMEOUT))

/* More of a command: its arguments may begin with a hyphen, so that no options follow the first; it
 * is an older spelling, not listed. */
#define ANY_WORDS (UINT64_C(1) << 62)
#define OLD (UINT64_C(1) << 63)

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPT_JSON},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"force", no_argument, NULL, OPT_FORCE},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"since", required_argument, NULL, OPT_SINCE},
    {"actor", required_argument, NULL, OPT_ACTOR},
    {"field", required_argument, NULL, OPT_FIELD},
    {"last", required_argument, NULL, OPT_LAST},
    {"replace", no_argument, NULL, OPT_REPLACE},
    {"ip", required_argument, NULL, OPT_IP},
    {"helo", required_argument, NULL, OPT_HELO},
    {"from", required_argument, NULL, OPT_FROM},
    {"login", required_argument, NULL, OPT_LOGIN},
    {"tls", no_argument, NULL, OPT_TLS},
    {"listener", required_argument, NULL, OPT_LISTENER},
    {"log", required_argument, NULL, OPT_LOG},
    {"watch", no_argument, NULL, OPT_WATCH},
    {"door", required_argument, NULL, OPT_DOOR},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"forget", no_argument, NULL, OPT_FORGET},
    {"for", required_argument, NULL, OPT_FOR},
    {"commands", no_argument, NULL, OPT_COMMANDS},
    {"note", required_argument, NULL, OPT_NOTE},
    {"all", no_argument, NULL, OPT_ALL},
    {"app-password", no_argument, NULL, OPT_APP_PASSWORD},
    {"kick", no_argument, NULL, OPT_KICK},
    {"canary", required_argument, NULL, OPT_CANARY},
    {"password-file", required_argument, NULL, OPT_PASSWORD_FILE},
    {"port", required_argument, NULL, OPT_PORT},
    {"path", required_argument, NULL, OPT_PATH},
    {"address", required_argument, NULL, OPT_ADDRESS},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"with", required_argument, NULL, OPT_WITH},
    {"policy", required_argument, NULL, OPT_POLICY},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

struct command {
    const char *words[2]; /* the second NULL where the name is one word */
    const char *args;
    int least, most; /* arguments after the name */
    uint64_t options;
    ctl_command *run;
    struct ctl_setting setting; /* of a command that is made from the table of fields */
};

/* A name of two words comes before its first word alone. A new command is one more line here. */
static const struct command account_commands[] = {
    {{"account", "show"}, "ACCOUNT", 1, 1, SHOWS, ctl_account_show, {0}},
    {{"account", "list"}, "[PATTERN]", 0, 1, SHOWS, ctl_account_list, {0}},
    {{"account", "delete"}, "ACCOUNT", 1, 1, WRITES, ctl_account_delete, {0}},
};

/* What list_commands() cannot make from the row of a field; they follow what it makes. */
static const struct command field_commands[] = {
    {{"ip", "add"}, "ACCOUNT CIDR|spf:DOMAIN [NOTE]", 2, 3, OF_ENTRY, ctl_ip_add, {0}},
    {{"ip", "remove"}, "ACCOUNT CIDR|spf:DOMAIN", 2, 2, WRITES, ctl_ip_remove, {0}},
    {{"ip", "list"}, "ACCOUNT", 1, 1, SHOWS, ctl_ip_list, {0}},
    {{"password", "add"},
     "ACCOUNT PROTOCOL...",
     2,
     50,
     SHOWS | BIT(OPT_NOTE) | BIT(OPT_UNTIL),
     ctl_password_add,
     {0}},
    {{"password", "list"}, "ACCOUNT", 1, 1, SHOWS, ctl_password_list, {0}},
    {{"password", "remove"}, "ACCOUNT [ID]", 1, 2, SHOWS | BIT(OPT_ALL), ctl_password_remove, {0}},
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
    {{"lint", NULL}, "", 0, 0, SHOWS | BIT(OPT_SINCE), ctl_lint, {0}},
    {{"export", NULL}, "[PATTERN]", 0, 1, SHOWS, ctl_export, {0}},
    {{"import", NULL}, "[FILE]", 0, 1, WRITES | BIT(OPT_REPLACE), ctl_import, {0}},
    {{"history", NULL}, "[SUBJECT]", 0, 1, OF_HISTORY, ctl_history, {0}},
    {{"use", NULL}, "ACCOUNT", 1, 1, SHOWS | BIT(OPT_FORGET), ctl_use, {0}},
    {{"unused", NULL},
     "[PATTERN]",
     0,
     1,
     SHOWS | BIT(OPT_FOR) | BIT(OPT_COMMANDS),
     ctl_unused,
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
};

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

static void list_commands(void) {
    add_commands(account_commands, COUNT(account_commands), NULL);
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        if (field->kind == FIELD_IS_SETTING || field->kind == FIELD_HAS_NAMES)
            add_words(field);
        add_commands(field_commands, COUNT(field_commands), field->name);
    }
    add_commands(other_commands, COUNT(other_commands), NULL);
}

static void put_command(FILE *to, const struct command *c) {
    fprintf(to, "  %s%s%s%s%s", c->words[0], c->words[1] ? " " : "", c->words[1] ? c->words[1] : "",
            c->args[0] ? " " : "", c->args);
    for (const struct option *o = long_options; o->name != NULL; o++)
        if (o->val >= OPT_UNTIL && (c->options & BIT(o->val)) != 0 &&
            !(o->val == OPT_ACTOR && (c->options & BIT(OPT_FORCE)) != 0))
            fprintf(to, " [--%s%s]", o->name, o->has_arg ? " VALUE" : "");
    fputc('\n', to);
}

static int usage(FILE *to, const char *first_word) {
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

/* The command of these words; *taken of them are its name. */
static const struct command *find_command(int argc, char **argv, int *taken) {
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

static bool is_first_word(const char *word) {
    for (size_t i = 0; i < n_commands; i++)
        if (strcmp(commands[i].words[0], word) == 0)
            return true;
    return false;
}

static int take_doors_option(struct ctl_doors *doors, int option) {
    if (option == OPT_CANARY)
        doors->canary = optarg;
    else if (option == OPT_PASSWORD_FILE)
        doors->password_file = optarg;
    else if (option == OPT_ADDRESS)
        doors->address = optarg;
    else if (option == OPT_TIMEOUT)
        doors->timeout = optarg;
    else if (option == OPT_PORT && doors->n_ports < CTL_DOORS_MAX)
        doors->ports[doors->n_ports++] = optarg;
    else if (option == OPT_PATH && doors->n_paths < CTL_DOORS_MAX)
        doors->paths[doors->n_paths++] = optarg;
    else
        return -1;
    return 0;
}

/* One option; -1 when its value is wrong. */
static int take_option(struct ctl *ctl, int option) {
    char *end;
    switch (option) {
    case OPT_JSON:
        ctl->json = true;
        memory_tell_json();
        break;
    case OPT_DRY_RUN:
        ctl->dry_run = true;
        break;
    case OPT_FORCE:
        ctl->force = true;
        break;
    case OPT_REPLACE:
        ctl->replace = true;
        break;
    case OPT_UNTIL:
        ctl->until = optarg;
        break;
    case OPT_SINCE:
        ctl->since = optarg;
        break;
    case OPT_IP:
        ctl->question.ip = optarg;
        break;
    case OPT_HELO:
        ctl->question.helo = optarg;
        break;
    case OPT_FROM:
        ctl->question.from = optarg;
        break;
    case OPT_LOGIN:
        ctl->question.login = optarg;
        break;
    case OPT_TLS:
        ctl->question.tls = true;
        break;
    case OPT_LISTENER:
        ctl->question.listener = optarg;
        break;
    case OPT_NOTE:
        ctl->note = optarg;
        break;
    case OPT_ALL:
        ctl->all = true;
        break;
    case OPT_APP_PASSWORD:
        ctl->question.app_password = true;
        break;
    case OPT_FORGET:
        ctl->forget = true;
        break;
    case OPT_FOR:
        ctl->length = optarg;
        break;
    case OPT_COMMANDS:
        ctl->commands = true;
        break;
    case OPT_WITH:
        ctl->with = xgrow(ctl->with, ctl->n_with, &ctl->with_room, sizeof *ctl->with);
        ctl->with[ctl->n_with++] = optarg;
        break;
    case OPT_POLICY:
        ctl->policy = optarg;
        break;
    case OPT_DOOR:
        ctl->question.door = optarg;
        break;
    case OPT_SERVICE:
        ctl->question.service = optarg;
        break;
    case OPT_LOG:
        ctl->question.log = optarg;
        break;
    case OPT_WATCH:
        ctl->watch = true;
        break;
    case OPT_KICK:
        ctl->kick = true;
        break;
    case OPT_CANARY:
    case OPT_PASSWORD_FILE:
    case OPT_PORT:
    case OPT_PATH:
    case OPT_ADDRESS:
    case OPT_TIMEOUT:
        return take_doors_option(&ctl->doors, option);
    case OPT_ACTOR:
        ctl->actor = optarg;
        break;
    case OPT_FIELD:
        ctl->field = optarg;
        break;
    default: /* OPT_LAST */
        ctl->last = strtoul(optarg, &end, 10);
        return *end == '\0' && ctl->last > 0 ? 0 : -1;
    }
    return 0;
}

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
    fputs("gatepostctl: ", stderr);
    ctl_puts(stderr, option);
    fprintf(stderr, ": %s\n", what);
    return usage(stderr, NULL);
}

/* One more word; false when all that follows are words too. */
static bool take_word(struct line *line, char *word) {
    line->words[line->n++] = word;
    line->command = find_command(line->n, line->words, &line->taken);
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
    while (more && (option = getopt_long(argc, argv, "-:c:Vh", long_options, NULL)) != -1) {
        const char *given = argv[optind - 1];
        if (option == 1) {
            more = take_word(line, optarg);
        } else if (option == 'V') {
            puts("gatepostctl " PACKAGE_VERSION);
            return CTL_DONE;
        } else if (option == 'h') {
            return usage(stdout, NULL);
        } else if (option == '?' || option == ':') {
            return complain_of_option(given,
                                      option == ':' ? "a value is missing" : "no such option");
        } else if (option == 'c') {
            line->path = optarg;
        } else {
            line->given |= BIT(option);
            if (take_option(ctl, option) != 0)
                return complain_of_option(given, "not a number");
        }
    }
    while (optind < argc)
        take_word(line, argv[optind++]);
    return -1;
}

static int check_options(const struct command *command, uint64_t given) {
    for (const struct option *o = long_options; o->name != NULL; o++) {
        if (o->val < OPT_JSON || (given & BIT(o->val) & ~command->options) == 0)
            continue;
        fprintf(stderr, "gatepostctl: --%s does not belong to this command\n", o->name);
        usage(stderr, command->words[0]);
        return -1;
    }
    return 0;
}

static int check_count(const struct command *command, int argc) {
    if (argc >= command->least && argc <= command->most)
        return 0;
    fprintf(stderr, "gatepostctl: too %s arguments\n", argc < command->least ? "few" : "many");
    usage(stderr, command->words[0]);
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
    if (command == NULL)
        problem = "no such command";
    else if ((command->options & BIT(OPT_DRY_RUN)) == 0 || command->run == ctl_import ||
             line.path != NULL)
        problem = "not a command that changes one subject";
    else if ((line.given & BIT(OPT_KICK)) != 0)
        problem = "--kick belongs to a change that is made";
    if (problem != NULL) {
        fprintf(stderr, "gatepostctl: %s\n", problem);
        return CTL_FAILED;
    }
    if (check_options(command, line.given) != 0 || check_count(command, line.n - line.taken) != 0)
        return CTL_FAILED;
    ctl->setting = command->setting;
    ctl->json = false;
    return command->run(ctl, line.n - line.taken, line.words + line.taken);
}

static int run(struct ctl *ctl, const struct command *command, const char *path, int argc,
               char **argv) {
    struct why why;
    if (check_count(command, argc) != 0)
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
    int status = command->run(ctl, argc, argv);
    free(ctl->with);
    store_writer_free(ctl->writer);
    store_free(ctl->store);
    config_free(ctl->config);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("gatepostctl: standard output");
        status = CTL_FAILED;
    }
    return status;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a store that hangs up is an error return */
    memory_begin();
    list_commands();
    struct line line = {.path = GATEPOST_CONF};
    struct ctl ctl = {0};
    char actor[512];
    int status = take_line(&ctl, &line, argc, argv);
    if (status >= 0)
        return status;
    const struct command *command = line.command;
    if (command == NULL) {
        if (line.n > 0)
            fprintf(stderr, "gatepostctl: no such command\n");
        return usage(stderr, line.n > 0 && is_first_word(line.words[0]) ? line.words[0] : NULL);
    }
    if (check_options(command, line.given) != 0)
        return CTL_FAILED;
    if (ctl.actor == NULL && command->run != ctl_history) {
        ctl_name_actor(actor, sizeof actor);
        ctl.actor = actor;
    }
    return run(&ctl, command, line.path, line.n - line.taken, line.words + line.taken);
}
