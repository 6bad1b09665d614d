/*
 * The options of gatepostctl, each a bit of the set that a command takes.
 */
#ifndef GATEPOST_CTL_OPTIONS_H
#define GATEPOST_CTL_OPTIONS_H

#include <getopt.h>
#include <stdint.h>

#include "ctl.h"

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
    OPT_SESSION,
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
    OPT_POLICY,
    OPT_FORMAT,
    OPT_PRUNE,
    OPT_DNS
};

/* The bit of an option, and the sets of some commands; -c everywhere. */
#define BIT(option) (UINT64_C(1) << ((option)-OPT_JSON))
#define SHOWS BIT(OPT_JSON)
#define WRITES (BIT(OPT_JSON) | BIT(OPT_DRY_RUN) | BIT(OPT_FORCE) | BIT(OPT_ACTOR))
#define OF_ENTRY (WRITES | BIT(OPT_UNTIL))
#define OF_HISTORY                                                                                 \
    (SHOWS | BIT(OPT_SINCE) | BIT(OPT_ACTOR) | BIT(OPT_FIELD) | BIT(OPT_LAST) | BIT(OPT_FORMAT))
#define OF_EXPLAIN                                                                                 \
    (SHOWS | BIT(OPT_IP) | BIT(OPT_HELO) | BIT(OPT_FROM) | BIT(OPT_LOGIN) | BIT(OPT_TLS) |         \
     BIT(OPT_LISTENER) | BIT(OPT_LOG) | BIT(OPT_SESSION) | BIT(OPT_DOOR) | BIT(OPT_SERVICE) |      \
     BIT(OPT_APP_PASSWORD))
#define OF_DOORS                                                                                   \
    (SHOWS | BIT(OPT_CANARY) | BIT(OPT_PASSWORD_FILE) | BIT(OPT_PORT) | BIT(OPT_PATH) |            \
     BIT(OPT_ADDRESS) | BIT(OPT_TIMEOUT))

/* More of a command: its arguments may begin with a hyphen, so that no options follow the first; it
 * is an older spelling, not listed. */
#define ANY_WORDS (UINT64_C(1) << 62)
#define OLD (UINT64_C(1) << 63)

/* As getopt_long(3) takes them. */
extern const struct option ctl_long_options[];

/* The name of the option that `given` ("--forse") is a misspelling of, or NULL. */
const char *ctl_option_meant(const char *given);

/* Takes one option with its value in `optarg`. Returns 0, or -1 when that is wrong. */
int ctl_take_option(struct ctl *ctl, int option);

#endif
