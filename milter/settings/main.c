/*
 * gatepost-settings: the command line and the start; everything else is the modules'.
 */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "gatepost/base/log.h"
#include "serve.h"
#include "try.h"

struct arguments {
    const char *config;
    bool test;
};

static int usage(FILE *to, int status) {
    fputs("usage: gatepost-settings [-c FILE] [-t]\n"
          "       gatepost-settings -V\n"
          "  -c FILE  the configuration (" GATEPOST_CONF ")\n"
          "  -t       check the configuration, and what it names, and leave\n"
          "  -V       print the version and leave\n",
          to);
    return status;
}

/* Returns -1 to go on, or the exit status to leave with. */
static int read_arguments(int argc, char **argv, struct arguments *out) {
    static const struct option long_options[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    int option;
    *out = (struct arguments){.config = GATEPOST_CONF};
    while ((option = getopt_long(argc, argv, "c:tVh", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->config = optarg;
            break;
        case 't':
            out->test = true;
            break;
        case 'V':
            puts("gatepost-settings " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            return usage(stdout, EXIT_SUCCESS);
        default:
            return usage(stderr, EX_USAGE);
        }
    }
    return optind == argc ? -1 : usage(stderr, EX_USAGE);
}

static int complain(const char *why) {
    fprintf(stderr, "gatepost-settings: %s\n", why);
    return EX_CONFIG;
}

static int run(struct config *config) {
    struct office *office;
    struct why why;
    log_open(config->log, config->log_format, config->log_level);
    log_serve();
    if (geteuid() == 0)
        log_event(LOG_WARNING, "runs-as-root", "problem",
                  "gatepost-settings needs no rights of root: start it as a user of its own",
                  (char *)NULL);
    int rc = office_open(config, &office, &why);
    if (rc != 0)
        log_event(LOG_ERR, "start-failed", "setting", "settings", "problem", why.text,
                  (char *)NULL);
    else
        rc = serve_settings(office);
    log_close();
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    struct arguments arguments;
    struct config *config;
    struct why why;
    int status = read_arguments(argc, argv, &arguments);
    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN); /* a Redis that hangs up is an error return, not the end */
    if (config_load(arguments.config, &config, &why) != 0) {
        complain(why.text);
        return access(arguments.config, R_OK) == 0 ? EX_CONFIG : EX_NOINPUT;
    }
    if (!config->self_facts) {
        fprintf(stderr, "gatepost-settings: %s: there is no section `settings`\n",
                arguments.config);
        config_free(config);
        return EX_CONFIG;
    }
    if (!arguments.test)
        return run(config);
    unsigned problems = settings_try(config);
    if (problems == 0)
        printf("gatepost-settings: %s: the configuration is good\n", arguments.config);
    config_free(config);
    return problems == 0 ? EXIT_SUCCESS : EX_CONFIG;
}
