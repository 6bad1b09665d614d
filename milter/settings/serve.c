/*
 * The running program. Owns the signals, the reload, and what the service manager hears.
 */
#include "serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/http_service.h"
#include "gatepost/base/json_text.h"
#include "gatepost/base/log.h"
#include "gatepost/base/named_socket.h"
#include "gatepost/base/service_manager.h"
#include "rate.h"
#include "router.h"

/* Threads that answer, each with its own connections to the store; requests that wait for one. */
#define WORKERS_MAX 16
#define WAITING_MAX 256
#define CONNECTIONS_MAX 2000

struct service {
    struct named_socket socket;
    struct workers *workers;
    struct page *page;
    struct router router;
    struct http_service *http;
};

static int fail(const char *setting, const char *value, const char *problem) {
    log_event(LOG_ERR, "start-failed", "setting", setting, "value", value, "problem", problem,
              (char *)NULL);
    return -1;
}

static unsigned connections(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 256;
    rlim_t share = limit.rlim_cur / 2;
    return share > CONNECTIONS_MAX ? CONNECTIONS_MAX : share < 8 ? 8 : (unsigned)share;
}

static int open_service(struct service *service, const struct config *config) {
    const struct config_settings *settings = &config->settings;
    const struct unix_place place = {.setting = "settings: listen",
                                     .value = settings->listen,
                                     .group_setting = "settings: socket_group",
                                     .group = settings->socket_group,
                                     .group_given = true};
    struct why why;
    if (named_socket_open(&place, settings->socket_mode, &service->socket) != 0)
        return -1;
    if (workers_open(WORKERS_MAX, WAITING_MAX, &service->workers) != 0 ||
        (service->router.rate = rate_new()) == NULL)
        return fail("settings: listen", settings->listen, "no memory");
    if (page_open(&service->page, &why) != 0)
        return fail("settings: listen", settings->listen, why.text);
    service->router.page = service->page;
    const struct http_service_settings http = {.workers = service->workers,
                                               .connections = connections(),
                                               .admit = router_admit,
                                               .answer = router_answer,
                                               .refuse = router_refuse,
                                               .context = &service->router};
    int listener = service->socket.listener;
    service->socket.listener = -1; /* taken over */
    if (http_service_open(listener, &http, &service->http, &why) == 0)
        return 0;
    return fail("settings: listen", settings->listen, why.text);
}

static void close_service(struct service *service) {
    http_service_close(service->http);
    workers_close(service->workers);
    rate_free(service->router.rate);
    page_free(service->page);
    named_socket_close(&service->socket);
}

/* ---- reload ---- */

static bool is_same_socket(const struct config *a, const struct config *b) {
    return strcmp(a->settings.listen, b->settings.listen) == 0 &&
           strcmp(a->settings.socket_group, b->settings.socket_group) == 0 &&
           a->settings.socket_mode == b->settings.socket_mode;
}

/* A configuration that can be served; NULL with the reason. */
static struct office *read_anew(const char *path, struct why *why) {
    struct config *config;
    struct office *office;
    if (config_load(path, &config, why) != 0)
        return NULL;
    if (!config->self_facts) {
        config_free(config);
        why_set(why, "%s: there is no section `settings` any more", path);
        return NULL;
    }
    return office_open(config, &office, why) == 0 ? office : NULL;
}

static void reload(void) {
    struct office *last = office_current();
    struct why why;
    struct office *office = read_anew(last->config->path, &why);
    if (office == NULL) {
        log_event(LOG_ERR, "reload-failed", "problem", why.text, (char *)NULL);
    } else {
        if (!is_same_socket(last->config, office->config))
            log_event(LOG_WARNING, "needs-restart", "setting", "settings: listen", "problem",
                      "a change of the socket needs a restart", (char *)NULL);
        log_open(office->config->log, office->config->log_format, office->config->log_level);
        office_publish(office);
        log_event(LOG_INFO, "reload", "config", last->config->path, (char *)NULL);
    }
    office_release(last);
}

/* ---- signals ---- */

static void block_signals(sigset_t *set) {
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGINT, SIGTERM};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(set, numbers[i]);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* Half of what the service manager waits for; without one, for ever. */
static int wait_signal(const sigset_t *set) {
    int interval = service_manager_interval();
    if (interval < 0)
        return sigwaitinfo(set, NULL);
    const struct timespec patience = {.tv_sec = interval / 1000,
                                      .tv_nsec = interval % 1000 * 1000000L};
    return sigtimedwait(set, NULL, &patience);
}

static void take_turns(const sigset_t *set) {
    for (;;) {
        int number = wait_signal(set);
        service_manager_tell("WATCHDOG=1");
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number != SIGHUP && number != SIGUSR1)
            continue;
        char state[80];
        snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
                 (long long)clock_now_us());
        service_manager_tell(state);
        reload();
        service_manager_tell("READY=1");
    }
}

int serve_settings(struct office *office) {
    struct service service = {.socket = {.listener = -1, .made = -1}};
    sigset_t set;
    block_signals(&set); /* before there are threads, which inherit it */
    json_wipe_freed();
    const struct config *config = office->config;
    if (config->settings.origin[0] == '\0')
        log_event(LOG_WARNING, "settings-origin", "problem",
                  "origin is not set: no browser can change anything", (char *)NULL);
    office_publish(office);
    int rc = open_service(&service, config);
    if (rc == 0 && (rc = log_started()) != 0)
        log_event(LOG_ERR, "start-failed", "problem", "no memory", (char *)NULL);
    if (rc == 0) {
        service_manager_tell("READY=1");
        log_event(LOG_INFO, "start", "program", "gatepost-settings", "version", PACKAGE_VERSION,
                  "socket", config->settings.listen, "store", config->store, (char *)NULL);
        take_turns(&set);
        service_manager_tell("STOPPING=1");
    }
    close_service(&service);
    office_publish(NULL);
    log_event(LOG_INFO, "stop", "program", "gatepost-settings", "status", rc == 0 ? "ok" : "failed",
              (char *)NULL);
    return rc;
}
