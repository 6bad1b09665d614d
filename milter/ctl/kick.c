/*
 * Open sessions after a switch. Owns which services have any, and the run of doveadm(1).
 */
#include "kick.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/textbuf.h"
#include "print.h"

/* For doveadm, in milliseconds. */
#define PATIENCE 30000

/*
 * When nobody of that name is connected: doveadm's status (DOVEADM_EX_NOTFOUND) in Dovecot 2.3, and
 * what it says in Dovecot 2.4, where the status is 0. It only chooses the words.
 */
#define NOBODY 68
#define NOBODY_SAID "0 connections kicked"

extern char **environ;

/* What doveadm did. */
struct kicked {
    int status;      /* of its exit; 128 and the signal that ended it */
    char said[1000]; /* its last words, of both outputs */
};

static void close_both(int fds[2]) {
    close(fds[0]);
    close(fds[1]);
}

/* Starts doveadm, its outputs into `fd`. 0, or the error. */
static int start(const char *user, int fd, pid_t *pid) {
    char *const argv[] = {"doveadm", "kick", "--", (char *)user, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, fd, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawnp(pid, argv[0], &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Reads what it says until it says no more; false when that takes too long. */
static bool listen_to(int fd, struct kicked *kicked) {
    int64_t deadline = clock_now_ms() + PATIENCE;
    char octets[512];
    size_t len = 0;
    for (;;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - clock_now_ms();
        int ready = left <= 0 ? 0 : poll(&pfd, 1, (int)left);
        if (ready == 0)
            return false;
        ssize_t n = ready < 0 ? -1 : read(fd, octets, sizeof octets);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size_t room = sizeof kicked->said - 1 - len;
        size_t taken = (size_t)n < room ? (size_t)n : room;
        memcpy(kicked->said + len, octets, taken);
        len += taken;
    }
    while (len > 0 && strchr("\r\n ", kicked->said[len - 1]) != NULL)
        len--;
    kicked->said[len] = '\0';
    return true;
}

/* 0 and what it did, or -1 with the reason. */
static int run_doveadm(const char *user, struct kicked *kicked, struct why *why) {
    int fds[2], status = 0;
    pid_t pid;
    *kicked = (struct kicked){0};
    if (pipe2(fds, O_CLOEXEC) != 0)
        return why_set(why, "doveadm: %s", strerror(errno));
    int error = start(user, fds[1], &pid);
    if (error != 0) {
        close_both(fds);
        return why_set(why, "doveadm cannot be started: %s", strerror(error));
    }
    close(fds[1]);
    bool ended = listen_to(fds[0], kicked);
    close(fds[0]);
    if (!ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!ended)
        return why_set(why, "doveadm kick has not ended within %d seconds", PATIENCE / 1000);
    kicked->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

/* Tells what became of it; the switch itself has been made. */
static int tell_kicked(const char *user, const struct kicked *kicked, json_t *told) {
    bool good = kicked->status == 0 || kicked->status == NOBODY;
    if (told != NULL) {
        json_t *kick = json_object();
        json_object_set_new(kick, "exit", json_integer(kicked->status));
        json_object_set_new(kick, "said", json_text(kicked->said));
        json_object_set_new(told, "kick", kick);
    } else if (good) {
        ctl_puts(stdout, user);
        puts(kicked->status == NOBODY || strcmp(kicked->said, NOBODY_SAID) == 0
                 ? ": no session was open (doveadm kick)"
                 : ": open sessions were ended (doveadm kick)");
    }
    if (!good)
        ctl_warn("%s: switched off, but its sessions are still open: doveadm kick: exit status "
                 "%d: %s",
                 user, kicked->status, kicked->said);
    return good ? CTL_DONE : CTL_FAILED;
}

static int kick(const char *user, json_t *told) {
    struct kicked kicked;
    struct why why;
    if (run_doveadm(user, &kicked, &why) == 0)
        return tell_kicked(user, &kicked, told);
    if (told != NULL) {
        json_t *failed = json_object();
        json_object_set_new(failed, "exit", json_null());
        json_object_set_new(failed, "said", json_text(why.text));
        json_object_set_new(told, "kick", failed);
    }
    ctl_warn("%s: switched off, but its sessions are still open: %s", user, why.text);
    return CTL_FAILED;
}

static int after_change(struct ctl *ctl, const char *subject, json_t *told) {
    const char *user = strchr(subject, ':') + 1;
    if (ctl->kick)
        return kick(user, told);
    if (told != NULL)
        json_object_set_new(told, "sessions_stay_open", json_true());
    else
        ctl_warn("%s: sessions that are open stay open, as by IMAP and POP3; --kick ends them",
                 user);
    return CTL_DONE;
}

/* Has it services whose sessions last? HTTP asks again for each request, SMTP for each message. */
static bool has_sessions(const struct decision_rules *rules, const char *name) {
    static const char *const services[] = {"imap", "pop3", "sieve"};
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        bool bound = false;
        for (size_t p = 0; p < rules->n_protocols; p++) {
            if (!protocol_contains(&rules->protocols[p], services[i]))
                continue;
            bound = true;
            if (strcmp(rules->protocols[p].name, name) == 0)
                return true;
        }
        if ((!bound && strcmp(services[i], name) == 0) || strcmp(name, "*") == 0)
            return true;
    }
    return false;
}

int ctl_kick_prepare(struct ctl *ctl, const char *subject, const struct wanted_fact *wanted,
                     size_t n) {
    const char *account = strchr(subject, ':') + 1;
    bool sessions = ctl->kick;
    for (size_t i = 0; i < n; i++)
        sessions |= has_sessions(ctl->fact_rules.decision, strchr(wanted[i].field, ':') + 1);
    if (sessions)
        ctl->after_change = after_change;
    if (ctl->kick && (account[0] == '@' || strpbrk(account, "*?") != NULL))
        return ctl_refuse(ctl,
                          "%s: --kick takes one account: doveadm kick '*@example.com' ends all "
                          "sessions of a domain",
                          account);
    return CTL_DONE;
}
