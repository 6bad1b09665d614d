/*
 * The options of gatepostctl. Owns how each is called and where its value goes.
 */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "gatepost/write/suggest.h"
#include "memory.h"

const struct option ctl_long_options[] = {
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
    {"session", required_argument, NULL, OPT_SESSION},
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
    {"format", required_argument, NULL, OPT_FORMAT},
    {"prune", no_argument, NULL, OPT_PRUNE},
    {"dns", no_argument, NULL, OPT_DNS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

const char *ctl_option_meant(const char *given) {
    const char *names[sizeof ctl_long_options / sizeof *ctl_long_options];
    size_t n = 0, len = strlen(given);
    if (strncmp(given, "--", 2) != 0)
        return NULL;
    for (const struct option *o = ctl_long_options; o->name != NULL; o++) {
        if (strcmp(o->name, given + 2) == 0) /* it is something else that is wrong */
            return NULL;
        names[n++] = o->name;
    }
    return suggest_word(names, n, given + 2, len - 2);
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

int ctl_take_option(struct ctl *ctl, int option) {
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
    case OPT_PRUNE:
        ctl->prune = true;
        break;
    case OPT_DNS:
        ctl->dns = true;
        break;
    case OPT_FORMAT:
        ctl->format = optarg;
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
    case OPT_SESSION:
        ctl->question.session = optarg;
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
