/*
 * The running filter. Owns the signals, the drain before a stop, the end of what a reload has
 * replaced, and what the service manager hears; the sessions are libmilter's and callbacks.c's.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/log.h"
#include "gatepost/base/metrics.h"
#include "gatepost/base/service_manager.h"
#include "gatepost/session/under_way.h"
#include "http.h"
#include "reload.h"
#include "socket.h"
#include "use_recorder.h"

/*
 * libmilter has a thread that waits for SIGHUP, SIGINT and SIGTERM and stops at once, whatever the
 * program would do about them. Nobody else here calls sigwait(3): so this one takes its place, and
 * that thread sleeps.
 */
int sigwait(const sigset_t *set, int *number) {
    (void)set;
    *number = 0;
    for (;;)
        pause(); /* every signal that has a handler is blocked in it */
}

/* How long libmilter may take to end, in milliseconds; it takes some 30. */
#define STOP_MAX 2000

/*
 * Octets of a thread's stack. libmilter makes and ends threads all the time (one in six sessions
 * with 64 connections), and glibc keeps 40 MiB of stacks for the next ones: five of the usual
 * 8 MiB, 80 of these. The deepest SPF evaluation gets by with a quarter of it.
 */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined __SANITIZE_THREAD__ || __has_feature(thread_sanitizer)
#define THREAD_STACK 0 /* is refused, so it is the system's: its own data would not fit */
#else
#define THREAD_STACK (512 * 1024)
#endif

static const int signals[] = {SIGHUP, SIGUSR1, SIGINT, SIGTERM};
static int signal_pipe[2];

/* What comes through the pipe beside the numbers of signals. */
#define MILTER_ENDED 0
#define RUNTIME_RETIRED 255

static void on_signal(int number) {
    int error = errno;
    unsigned char octet = (unsigned char)number;
    ssize_t rc = write(signal_pipe[1], &octet, 1); /* full: the loop will turn anyway */
    (void)rc;
    errno = error;
}

static void mask_signals(int how) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(how, &set, NULL);
}

void serve_prepare_threads(void) {
    pthread_attr_t attributes;
    mask_signals(SIG_BLOCK);
    if (pthread_attr_init(&attributes) != 0)
        return; /* the stacks are the system's then */
    if (pthread_attr_setstacksize(&attributes, THREAD_STACK) == 0)
        pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

static void take_signals(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER | SA_RESTART};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    mask_signals(SIG_UNBLOCK);
}

static void notify_status(const struct runtime *runtime) {
    char state[200];
    snprintf(state, sizeof state, "WATCHDOG=1\nSTATUS=configuration %u, %ld sessions",
             runtime->generation, metrics_sessions());
    service_manager_tell(state);
}

static int milter_rc = MI_FAILURE;

/* A session has ended, the last of a configuration that is not in use any more. */
static void on_retired(void) {
    on_signal(RUNTIME_RETIRED);
}

/* libmilter's thread. */
static void *run_milter(void *arg) {
    (void)arg;
    milter_rc = smfi_main();
    on_signal(MILTER_ENDED);
    return NULL;
}

static void reload(struct runtime **runtime) {
    char state[80];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_now_us());
    service_manager_tell(state);
    reload_configuration(runtime);
    service_manager_tell("READY=1");
    notify_status(*runtime);
}

/* Waits for what comes through the pipe, at most `ms`; -1 when nothing came. */
static int next_signal(int ms) {
    struct pollfd pfd = {.fd = signal_pipe[0], .events = POLLIN};
    unsigned char octet;
    if (poll(&pfd, 1, ms) <= 0 || read(signal_pipe[0], &octet, 1) != 1)
        return -1;
    return octet;
}

/* No new sessions, and those with a message in progress may finish it. False when libmilter has
 * ended. */
static bool drain(void) {
    int64_t deadline = clock_now_ms() + SERVE_DRAIN;
    char state[80];
    long left;
    service_manager_tell("STOPPING=1");
    filter_socket_close();
    while ((left = under_way_messages()) > 0 && clock_now_ms() < deadline) {
        snprintf(state, sizeof state, "STATUS=stopping, %ld messages under way", left);
        service_manager_tell(state);
        if (next_signal(20) == MILTER_ENDED)
            return false;
    }
    snprintf(state, sizeof state, "%ld", left);
    if (left > 0)
        log_event(LOG_WARNING, "drain-ended", "messages", state, "problem",
                  "messages still in progress were cut; their senders will try again",
                  (char *)NULL);
    return true;
}

static void *run_stop(void *arg) {
    (void)arg;
    smfi_stop();
    return NULL;
}

/*
 * smfi_stop() waits for libmilter to look up from its wait for a connection, which it does every
 * five seconds, or when one comes. A thread of its pool can leave with the pool's lock (8.17.1):
 * all the others then wait for it without end. False when libmilter has not ended.
 */
static bool stop_milter(void) {
    int64_t deadline = clock_now_ms() + STOP_MAX;
    pthread_t stopper;
    if (pthread_create(&stopper, NULL, run_stop, NULL) != 0)
        return false;
    pthread_detach(stopper);
    bool ended = false;
    while (!ended && clock_now_ms() < deadline) {
        filter_socket_wake();
        ended = next_signal(20) == MILTER_ENDED;
    }
    return ended;
}

static int fail_to_start(void) {
    log_event(LOG_ERR, "start-failed", "problem", "no memory", (char *)NULL);
    return -1;
}

/* Until a stop or the end of libmilter; returns what it was. */
static int take_turns(struct runtime **runtime) {
    int interval = service_manager_interval();
    for (;;) {
        notify_status(*runtime);
        int number = next_signal(interval);
        if (number == SIGHUP || number == SIGUSR1)
            reload(runtime);
        else if (number >= 0 && number != RUNTIME_RETIRED)
            return number;
        runtime_free_retired();
    }
}

int serve(struct runtime *runtime, struct doors *doors) {
    pthread_t milter;
    struct http *http = NULL;
    struct why why;
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        doors_close(doors);
        runtime_release(runtime);
        return fail_to_start();
    }
    runtime_retire(on_retired);
    runtime_publish(runtime_acquire(runtime));
    use_recorder_configure(runtime->config);
    if (runtime->config->http_listen[0] != '\0' &&
        http_open(runtime->config->http_listen, runtime_current, doors, &http, &why) != 0)
        log_event(LOG_ERR, "http-not-served", "http_listen", runtime->config->http_listen,
                  "problem", why.text, (char *)NULL); /* mail matters more */
    bool open = doors_serve(doors) == 0;
    bool begun = open && pthread_create(&milter, NULL, run_milter, NULL) == 0;
    bool stopped = false, ended = true;
    if (begun) {
        take_signals();
        service_manager_tell("READY=1");
        stopped = take_turns(&runtime) != MILTER_ENDED;
        http_stopping(http);
        if (stopped && drain())
            ended = stop_milter();
        if (ended)
            pthread_join(milter, NULL);
        else
            pthread_detach(milter);
    }
    use_recorder_close();
    http_close(http);
    doors_close(doors); /* whoever asks meanwhile is answered from the last configuration */
    runtime_publish(NULL);
    runtime_release(runtime);
    runtime_free_retired();
    if (!begun)
        return open ? fail_to_start() : -1;
    /* stopped before it has quite begun, libmilter says that it failed */
    return stopped || milter_rc == MI_SUCCESS ? 0 : -1;
}
