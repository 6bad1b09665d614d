/*
 * gatepost: start and stop of the filter. Owns the command line, the socket's owner and mode, and
 * the dropping of privileges; everything else is the modules'.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "gatepost/callbacks.h"
#include "gatepost/log.h"

struct arguments {
    const char *config;
    bool test, print;
};

static int usage(FILE *to, int status) {
    fputs("usage: gatepost [-c FILE] [-t | -n]\n"
          "       gatepost -V\n"
          "  -c FILE  the configuration (" GATEPOST_CONF ")\n"
          "  -t       check the configuration and leave\n"
          "  -n       print the settings that differ from the defaults and leave\n"
          "  -V       print the version and leave\n",
          to);
    return status;
}

/* Returns -1 to go on, or the exit status to leave with. */
static int read_arguments(int argc, char **argv, struct arguments *out) {
    int option;
    *out = (struct arguments){.config = GATEPOST_CONF};
    while ((option = getopt(argc, argv, "c:tnVh")) != -1) {
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

/* The path of a unix socket, or NULL when the socket is none. */
static const char *socket_path(const struct config *config) {
    const char *colon = strchr(config->socket, ':');
    return strncmp(config->socket, "inet", 4) == 0 ? NULL : colon + 1;
}

static int fail(const char *what, const char *name, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", what, "value", name, "problem", problem,
              (char *)NULL);
    return -1;
}

static void ignore_default(const char *what, const char *name) {
    log_event(LOG_WARNING, "default-ignored", "setting", what, "value", name, "problem",
              "it does not exist on this host", (char *)NULL);
}

/* Does somebody answer on the socket already? */
static bool socket_in_use(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof address.sun_path)
        return false;
    strcpy(address.sun_path, path);
    bool answered = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answered;
}

/* Opens the socket with the mode and group that the configuration gives. */
static int open_socket(const struct config *config) {
    const char *path = socket_path(config);
    gid_t group = (gid_t)-1;
    if (path != NULL && config->socket_group[0] != '\0') {
        struct group *found = getgrnam(config->socket_group);
        if (found == NULL && config->socket_group_given)
            return fail("socket_group", config->socket_group, "there is no such group");
        if (found == NULL)
            ignore_default("socket_group", config->socket_group);
        else
            group = found->gr_gid;
    }
    if (path != NULL && socket_in_use(path))
        return fail("socket", config->socket, "another process listens on it");
    mode_t mask = umask(0177); /* nobody connects before the mode is set */
    int rc =
        smfi_setconn((char *)config->socket) == MI_SUCCESS ? smfi_opensocket(true) : MI_FAILURE;
    umask(mask);
    if (rc != MI_SUCCESS)
        return fail("socket", config->socket, "it cannot be opened");
    if (path == NULL)
        return 0;
    if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) != 0) {
        if (config->socket_group_given)
            return fail("socket_group", config->socket_group, strerror(errno));
        log_event(LOG_WARNING, "default-ignored", "setting", "socket_group", "value",
                  config->socket_group, "problem", strerror(errno), (char *)NULL);
    }
    if (chmod(path, config->socket_mode) != 0)
        return fail("socket_mode", path, strerror(errno));
    return 0;
}

/* Becomes the configured user, for good. */
static int drop_privileges(const struct config *config) {
    if (config->user[0] == '\0')
        return 0;
    struct passwd *user = getpwnam(config->user);
    if (user == NULL && config->user_given)
        return fail("user", config->user, "there is no such user");
    if (user == NULL) {
        ignore_default("user", config->user);
        return 0;
    }
    if (geteuid() == user->pw_uid)
        return 0;
    if (geteuid() != 0) {
        if (config->user_given)
            return fail("user", config->user, "only root can become another user");
        return 0;
    }
    const char *path = socket_path(config);
    if (path != NULL && chown(path, user->pw_uid, (gid_t)-1) != 0)
        return fail("user", config->user, strerror(errno));
    if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        return fail("user", config->user, strerror(errno));
    return 0;
}

/* A store that does not answer now is no reason not to start; the operator shall know. */
static void probe_store(const struct runtime *runtime) {
    static const char *const subjects[] = {"account:*"};
    struct store_hash hash;
    char why[256];
    if (store_get(runtime->store, subjects, 1, &hash, why, sizeof why) != 0)
        log_event(LOG_WARNING, "store-error", "store", runtime->config->store, "problem", why,
                  (char *)NULL);
    store_hash_clear(&hash);
}

/*
 * Signals that stop the filter are waited for by a thread of libmilter's; in every other thread
 * they must be blocked, and threads inherit that from here.
 */
static void block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int run(struct config *config) {
    struct runtime *runtime;
    char why[512], store_name[300];
    snprintf(store_name, sizeof store_name, "%s", config->store); /* runtime_open() may free it */
    block_signals();
    if (callbacks_register() != 0 || open_socket(config) != 0 || drop_privileges(config) != 0) {
        config_free(config);
        return EXIT_FAILURE;
    }
    if (runtime_open(config, &runtime, why, sizeof why) != 0) {
        fail("store", store_name, why);
        return EXIT_FAILURE;
    }
    probe_store(runtime);
    log_event(LOG_INFO, "start", "version", PACKAGE_VERSION, "socket", config->socket, "store",
              config->store, (char *)NULL);
    log_started();
    callbacks_use(runtime);
    int rc = smfi_main();
    log_event(LOG_INFO, "stop", "status", rc == MI_SUCCESS ? "ok" : "failed", (char *)NULL);
    callbacks_use(NULL);
    return rc == MI_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    struct arguments arguments;
    struct config *config;
    char why[1024];
    int status = read_arguments(argc, argv, &arguments);
    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN); /* a Redis that hangs up is an error return, not the end */
    if (config_load(arguments.config, &config, why, sizeof why) != 0) {
        fprintf(stderr, "gatepost: %s\n", why);
        return EX_CONFIG;
    }
    if (arguments.print)
        config_print_changed(config, stdout);
    if (arguments.test)
        printf("gatepost: %s: the configuration is good\n", arguments.config);
    if (arguments.print || arguments.test) {
        config_free(config);
        return EXIT_SUCCESS;
    }
    log_open(config->log, config->log_format);
    status = run(config);
    log_close();
    return status;
}
