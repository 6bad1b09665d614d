/*
 * gatepost: the command line and the start; everything else is the modules'.
 */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "callbacks.h"
#include "doors/doors.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "gatepost/base/waiting.h"
#include "reload.h"
#include "serve.h"
#include "socket.h"
#include "try.h"

struct arguments {
    const char *config;
    bool test, print;
};

static int usage(FILE *to, int status) {
    fputs("usage: gatepost [-c FILE] [-t | -n]\n"
          "       gatepost -V\n"
          "  -c FILE  the configuration (" GATEPOST_CONF ")\n"
          "  -t       check the configuration, and what it names, and leave\n"
          "  -n       print the settings that differ from the defaults and leave\n"
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
    while ((option = getopt_long(argc, argv, "c:tnVh", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->config = optarg;
            break;
        case 't':
            out->test = true;
            break;
        case 'n':
            out->print = true;
            break;
        case 'V':
            puts("gatepost " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            return usage(stdout, EXIT_SUCCESS);
        default:
            return usage(stderr, EX_USAGE);
        }
    }
    return optind == argc ? -1 : usage(stderr, EX_USAGE);
}

/* A store that does not answer now is no reason not to start; the operator shall know. */
static void probe_store(const struct runtime *runtime) {
    static const char *const subjects[] = {"account:*"};
    struct store_hash hash;
    struct why why;
    if (store_get(runtime->store->store, subjects, 1, &hash, NO_DEADLINE, &why) != 0)
        log_event(LOG_WARNING, "store-error", "store", runtime->config->store, "problem", why.text,
                  (char *)NULL);
    store_hash_clear(&hash);
}

/* Opens what only the user who starts it may open, and then becomes another one for good. */
static int open_sockets(const struct config *config, struct doors **doors) {
    struct privileges privileges;
    struct why why;
    int rc = privileges_find(config, &privileges, &why);
    if (rc == 0 && (doors_listen(config, &privileges, doors) != 0 ||
                    filter_socket_open(config, &privileges) != 0))
        return -1;
    if (rc == 0)
        rc = privileges_drop(config, &privileges, &why);
    if (rc != 0)
        log_event(LOG_ERR, "start-failed", "setting", "user", "value", config->user, "problem",
                  why.text, (char *)NULL);
    return rc;
}

static int read_token(const struct config *config) {
    struct why why;
    if (doors_read_token(config, &why) == 0)
        return 0;
    log_event(LOG_ERR, "start-failed", "setting", "doors_token_file", "value",
              config->doors_token_file, "problem", why.text, (char *)NULL);
    return -1;
}

static int run(struct config *config) {
    struct runtime *runtime;
    struct doors *doors = NULL;
    struct why why;

    char store_name[300];
    snprintf(store_name, sizeof store_name, "%s", config->store); /* runtime_open() may free it */
    serve_prepare_threads();
    if (callbacks_register() != 0 || open_sockets(config, &doors) != 0 || read_token(config) != 0) {
        doors_close(doors);
        config_free(config);
        return EXIT_FAILURE;
    }
    waiting_set_relief(filter_socket_wake); /* a connection makes the pool start a thread */
    if (runtime_open(config, NULL, &runtime, &why) != 0) {
        log_event(LOG_ERR, "start-failed", "setting", "store", "value", store_name, "problem",
                  why.text, (char *)NULL);
        doors_close(doors);
        return EXIT_FAILURE;
    }
    probe_store(runtime);
    reload_warn(runtime->config);
    log_event(LOG_INFO, "start", "version", PACKAGE_VERSION, "socket", config->socket, "store",
              config->store, (char *)NULL);
    if (log_started() != 0) {
        log_event(LOG_ERR, "start-failed", "problem", "no memory", (char *)NULL);
        doors_close(doors);
        runtime_release(runtime);
        return EXIT_FAILURE;
    }
    int rc = serve(runtime, doors);
    log_event(LOG_INFO, "stop", "status", rc == 0 ? "ok" : "failed", (char *)NULL);
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
        fprintf(stderr, "gatepost: %s\n", why.text);
        /* a file that is not there yet, at boot, may come; one in error stays so */
        return access(arguments.config, R_OK) == 0 ? EX_CONFIG : EX_NOINPUT;
    }
    if (arguments.print)
        config_print_changed(config, stdout);
    if (arguments.test && config_secret_is_exposed(config, &why))
        fprintf(stderr, "gatepost: warning: %s\n", why.text);
    unsigned problems = arguments.test ? config_try(config) : 0;
    if (arguments.test && problems == 0)
        printf("gatepost: %s: the configuration is good\n", arguments.config);
    if (arguments.print || arguments.test) {
        config_free(config);
        return problems == 0 ? EXIT_SUCCESS : EX_CONFIG;
    }
    log_open(config->log, config->log_format, config->log_level);
    log_serve();
    metrics_start();
    status = run(config);
    log_close();
    return status;
}
