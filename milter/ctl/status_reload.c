/*
 * `status` and `reload`: talking to the filter that runs. Owns how it is found: by its HTTP
 * address, and by who listens on its socket.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/dial.h"
#include "gatepost/base/host_port.h"
#include "memory.h"
#include "print.h"
#include "status/show.h"

/* For each answer of the filter, in milliseconds. */
#define PATIENCE 5000

/* More than any filter has to say. */
#define ANSWER_MAX (4u << 20)

/* Connects to ADDRESS:PORT or [ADDRESS]:PORT; -1 with errno. */
static int connect_http(const char *where) {
    struct host_port to;
    struct sockaddr_storage address;
    if (host_port_parse(where, &to) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    socklen_t len = host_port_sockaddr(&to, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, len) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Everything that comes until the other side closes; malloc'd, NULL with the reason. */
static char *read_all(int fd, struct why *why) {
    int64_t deadline = clock_now_ms() + PATIENCE;
    char *text = NULL;
    size_t len = 0, room = 0;
    for (;;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - clock_now_ms();
        if (room - len < 4096) {
            char *grown = len > ANSWER_MAX ? NULL : realloc(text, room + 16384);
            if (grown == NULL)
                break;
            text = grown;
            room += 16384;
        }
        ssize_t n =
            left > 0 && poll(&pfd, 1, (int)left) > 0 ? read(fd, text + len, room - len - 1) : -1;
        if (n < 0)
            break;
        text[len += (size_t)n] = '\0';
        if (n == 0)
            return text;
    }
    why_set(why, "it does not answer");
    free(text);
    return NULL;
}

/* What connect() has failed with; nobody at the door is no fault of the door. */
static void say_unconnected(int error, struct why *why) {
    bool nobody = error == ECONNREFUSED || error == ENOENT;
    why_set(why, "%s%s", strerror(error), nobody ? ": is the filter running?" : "");
}

/* The filter's answer to a GET, malloc'd; NULL with the reason. */
static char *fetch(const struct config *config, const char *path, struct why *why) {
    char request[100], *text = NULL;
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
    int fd = connect_http(config->http_listen);
    if (fd < 0)
        say_unconnected(errno, why);
    else if (write(fd, request, (size_t)len) != len)
        why_set(why, "it does not listen");
    else
        text = read_all(fd, why);
    if (fd >= 0)
        close(fd);
    return text;
}

/* The filter's /status; NULL with the reason. */
static json_t *fetch_status(const struct config *config, struct why *why) {
    char *text = fetch(config, "/status", why);
    if (text == NULL)
        return NULL;
    const char *body = strstr(text, "\r\n\r\n");
    json_t *status = body == NULL || strncmp(text + strcspn(text, " "), " 200 ", 5) != 0
                         ? NULL
                         : json_loads(body, 0, NULL);
    if (!json_is_object(json_object_get(status, "store"))) {
        why_set(why, "unexpected answer: %.60s", text);
        json_decref(status);
        status = NULL;
    }
    free(text);
    return status;
}

/* What /readyz says, malloc'd; NULL when all is well, or when it says nothing. */
static char *fetch_problem(const struct config *config) {
    struct why why;
    char *text = fetch(config, "/readyz", &why), *problem = NULL;
    const char *body = text == NULL ? NULL : strstr(text, "\r\n\r\n");
    size_t len = body == NULL ? 0 : strcspn(body + 4, "\r\n");
    if (len > 0 && (len != strlen("ready") || strncmp(body + 4, "ready", len) != 0))
        problem = xstrndup(body + 4, len);
    free(text);
    return problem;
}

/* Is it as it should be: does the store answer? */
static int put_status(const struct ctl *ctl, json_t *status) {
    bool up = json_is_true(json_object_get(json_object_get(status, "store"), "up"));
    if (ctl->json) {
        int rc = ctl_print_json(status);
        return rc != CTL_DONE || up ? rc : CTL_REFUSED;
    }
    char *problem = fetch_problem(ctl->config);
    status_show(status, problem);
    up = up && problem == NULL;
    free(problem);
    json_decref(status);
    return up ? CTL_DONE : CTL_REFUSED;
}

/* A line in the place of a status that is not there; who watches waits for the next one. */
static void put_absence(const struct ctl *ctl, const char *why) {
    if (ctl->json) {
        ctl_print_json(json_pack("{s:s}", "error", why));
        return;
    }
    ctl_paint(stdout, CTL_BAD);
    fputs("no answer", stdout);
    ctl_paint(stdout, CTL_PLAIN);
    fputs(": ", stdout);
    ctl_puts(stdout, why);
    putchar('\n');
}

int ctl_status(struct ctl *ctl, int argc, char **argv) {
    struct why why;
    (void)argc;
    (void)argv;
    if (ctl->config->http_listen[0] == '\0')
        return ctl_fail(ctl, "status needs http_listen, which is not set");
    for (bool first = true;; first = false) {
        json_t *status = fetch_status(ctl->config, &why);
        if (status == NULL && first)
            return ctl_fail(ctl, "%s: %s", ctl->config->http_listen, why.text);
        if (ctl->watch && !ctl->json && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout);
        int rc = CTL_FAILED;
        if (status == NULL)
            put_absence(ctl, why.text);
        else
            rc = put_status(ctl, status);
        if (!ctl->watch)
            return rc;
        if (fflush(stdout) != 0)
            return CTL_FAILED;
        sleep(1);
    }
}

/* The process that listens on the filter's socket; -1 with the reason. */
static pid_t find_filter(const struct config *config, struct why *why) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (dial_path(config->socket) == NULL)
        return why_set(why,
                       "cannot find the filter: %s is not a unix socket, and http_listen is not "
                       "set; send the filter SIGUSR1 instead",
                       config->socket);
    struct why reason = {"cannot find out which process listens"};
    int fd = dial_filter(config->socket);
    if (fd < 0)
        say_unconnected(errno, &reason);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0)
        why_set(why, "%s: %.300s", dial_path(config->socket), reason.text);
    if (fd >= 0)
        close(fd);
    return peer.pid > 0 ? peer.pid : -1;
}

static json_int_t generation(const json_t *status) {
    return json_integer_value(
        json_object_get(json_object_get(status, "configuration"), "generation"));
}

/* The last line of the log that reports a failed reload, with its time; NULL when there is none.
 */
static const json_t *last_failure(const json_t *status) {
    const json_t *errors = json_object_get(status, "last_errors");
    for (size_t i = json_array_size(errors); i-- > 0;) {
        const json_t *error = json_array_get(errors, i);
        const char *line = json_string_value(json_object_get(error, "line"));
        if (line != NULL && strstr(line, "reload-failed") != NULL)
            return error;
    }
    return NULL;
}

/* Is it the process of a filter? Its own word for that may be anybody's. */
static bool is_filter(pid_t pid) {
    char path[40], name[20] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *comm = fopen(path, "r");
    bool found = comm != NULL && fgets(name, sizeof name, comm) != NULL;
    if (comm != NULL)
        fclose(comm);
    return found && strcmp(name, "gatepost\n") == 0;
}

/*
 * Whom to signal. Who listens on the unix socket is known from the kernel; only where there is none
 * the answer by HTTP is believed. -1 with the reason.
 */
static pid_t find_process(const struct config *config, const json_t *status, struct why *why) {
    json_int_t told = json_integer_value(json_object_get(status, "pid"));
    if (status == NULL || dial_path(config->socket) != NULL) {
        pid_t pid = find_filter(config, why);
        if (pid > 0 && status != NULL && told != pid)
            return why_set(why, "process %d listens on the socket, but another one on %s", (int)pid,
                           config->http_listen);
        return pid;
    }
    if (told > 1 && told <= INT_MAX && is_filter((pid_t)told))
        return (pid_t)told;
    return why_set(why, "%s: the process that answers is not a gatepost on this host",
                   config->http_listen);
}

/* The filter reads the file that it was started with, whichever gatepostctl was given. */
static void warn_of_another_file(const struct ctl *ctl, const json_t *status) {
    const char *told =
        json_string_value(json_object_get(json_object_get(status, "configuration"), "file"));
    char *theirs = told == NULL ? NULL : realpath(told, NULL);
    char *ours = realpath(ctl->config->path, NULL);
    if (theirs != NULL && ours != NULL && strcmp(theirs, ours) != 0)
        ctl_warn("warning: the filter uses another configuration file: %s", theirs);
    free(theirs);
    free(ours);
}

/* Waits for the end of a reload. CTL_DONE, or CTL_REFUSED after saying why. */
static int await_reload(const struct ctl *ctl, const json_t *before, pid_t pid) {
    int64_t deadline = clock_now_ms() + PATIENCE;
    const json_t *old_failure = last_failure(before);
    struct why why;
    while (clock_now_ms() < deadline) {
        poll(NULL, 0, 50);
        json_t *after = fetch_status(ctl->config, &why);
        const json_t *failure = last_failure(after);
        int rc = after == NULL ? -1 : generation(after) > generation(before) ? CTL_DONE : -1;
        if (rc != CTL_DONE && failure != NULL && !json_equal(failure, old_failure))
            rc = ctl_refuse(ctl, "process %d keeps its old configuration: %s", (int)pid,
                            json_string_value(json_object_get(failure, "line")));
        json_decref(after);
        if (rc >= 0)
            return rc;
    }
    return ctl_refuse(ctl, "process %d keeps its old configuration: see its log", (int)pid);
}

int ctl_reload(struct ctl *ctl, int argc, char **argv) {
    struct why why = {""};
    (void)argc;
    (void)argv;
    json_t *before = ctl->config->http_listen[0] == '\0' ? NULL : fetch_status(ctl->config, &why);
    int status = CTL_DONE;
    pid_t pid = find_process(ctl->config, before, &why);
    if (pid <= 0)
        status = ctl_fail(ctl, "%s", why.text);
    else if (kill(pid, SIGUSR1) != 0)
        status = ctl_fail(ctl, "process %d: %s", (int)pid, strerror(errno));
    if (status == CTL_DONE && before != NULL) {
        warn_of_another_file(ctl, before);
        status = await_reload(ctl, before, pid);
    }
    if (status == CTL_DONE && ctl->json)
        ctl_print_json(json_pack("{s:i,s:b}", "pid", (int)pid, "confirmed", before != NULL));
    else if (status == CTL_DONE)
        printf("process %d %s\n", (int)pid,
               before != NULL ? "has the new configuration"
                              : "is told; without an answer by http_listen only its log says how "
                                "it went");
    json_decref(before);
    return status;
}
