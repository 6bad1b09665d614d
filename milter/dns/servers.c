/*
 * The list of name servers. Owns where they come from and which one is asked first; what is sent
 * to them is not its business.
 */
#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatepost/base/clock.h"

/* How often the file is looked at, in milliseconds. */
#define LOOK_EVERY 500
/* A change within the same tick of the file system's clock cannot be seen: in seconds. */
#define TICK_MAX 2
/* Octets of the file that are read. */
#define FILE_MAX 65536

/* How long a silent server comes after the others, and how long the one question that tries it
 * again may take before the next one does, in milliseconds. */
#define SILENCE_KEPT 10000
#define TRIAL_TIME 1000

struct known {
    struct dns_address address;
    int64_t silent_until; /* 0: it answers */
};

struct dns_servers {
    const char *path;          /* NULL: the servers are configured */
    _Atomic int64_t next_look; /* INT64_MAX while one thread looks at the file */
    struct stat seen;          /* of the file; that thread's alone */
    bool look_again;           /* likewise: what was read may not be the last word */
    pthread_mutex_t lock;
    struct known list[DNS_SERVERS_MAX]; /* under lock, as n */
    size_t n;
};

static bool same_address(const struct dns_address *a, const struct dns_address *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

static struct known *find_locked(struct dns_servers *servers, const struct dns_address *address) {
    for (size_t i = 0; i < servers->n; i++)
        if (same_address(&servers->list[i].address, address))
            return &servers->list[i];
    return NULL;
}

/* What is known of a server that stays is kept. Returns whether the list is another one. */
static bool replace(struct dns_servers *servers, const struct dns_address *addresses, size_t n) {
    struct known list[DNS_SERVERS_MAX] = {0};
    pthread_mutex_lock(&servers->lock);
    bool changed = n != servers->n;
    for (size_t i = 0; i < n; i++) {
        const struct known *old = find_locked(servers, &addresses[i]);
        changed = changed || !same_address(&servers->list[i].address, &addresses[i]);
        list[i] = (struct known){addresses[i], old == NULL ? 0 : old->silent_until};
    }
    memcpy(servers->list, list, n * sizeof *list);
    servers->n = n;
    pthread_mutex_unlock(&servers->lock);
    return changed;
}

/* ---- resolv.conf ---- */

/* The text of the file, empty when it cannot be read, and its state; NULL without memory. */
static char *read_file(const char *path, struct stat *state) {
    char *text = malloc(FILE_MAX);
    size_t len = 0;
    ssize_t got = 1;
    memset(state, 0, sizeof *state);
    if (text == NULL)
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, state) == 0)
        while (len < FILE_MAX - 1 && got > 0) {
            got = read(fd, text + len, FILE_MAX - 1 - len);
            len += got > 0 ? (size_t)got : 0;
        }
    if (fd >= 0)
        close(fd);
    text[len] = '\0';
    return text;
}

static bool same_state(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads the file if it is another one than it was; returns whether the list is another one. */
static bool look(struct dns_servers *servers) {
    struct resolv_conf conf;
    struct stat state;
    if (stat(servers->path, &state) != 0)
        memset(&state, 0, sizeof state);
    if (!servers->look_again && same_state(&state, &servers->seen))
        return false;
    char *text = read_file(servers->path, &servers->seen);
    if (text == NULL) {
        servers->look_again = true;
        return false;
    }
    resolv_conf_parse(text, &conf);
    free(text);
    servers->look_again = conf.incomplete || time(NULL) - servers->seen.st_ctim.tv_sec <= TICK_MAX;
    return conf.n > 0 && replace(servers, conf.servers, conf.n);
}

bool dns_servers_follow(struct dns_servers *servers, int64_t now) {
    if (servers->path == NULL)
        return false;
    int64_t next = atomic_load_explicit(&servers->next_look, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong(&servers->next_look, &next, INT64_MAX))
        return false;
    bool changed = look(servers);
    atomic_store(&servers->next_look, now + LOOK_EVERY);
    return changed;
}

/* ---- the list ---- */

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" */
static int parse_server(const char *text, struct dns_address *out) {
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    long port = colon == NULL ? 0 : strtol(colon + 1, NULL, 10);
    return port > 0 && port <= UINT16_MAX ? dns_address_parse(text, len, (uint16_t)port, out) : -1;
}

static int configure(struct dns_servers *servers, const char *const *texts, size_t n,
                     struct why *why) {
    if (n > DNS_SERVERS_MAX)
        return why_set(why, "more than %d name servers", DNS_SERVERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (parse_server(texts[i], &servers->list[i].address) != 0)
            return why_set(why, "name server %.60s: no address with a port", texts[i]);
    servers->n = n;
    return 0;
}

int dns_servers_open(const char *const *texts, size_t n, const char *resolv_conf,
                     struct dns_servers **out, struct why *why) {
    static const char here[] = "127.0.0.1:53";
    struct dns_servers *servers = calloc(1, sizeof *servers);
    if (servers == NULL)
        return why_set(why, "no memory");
    pthread_mutex_init(&servers->lock, NULL);
    if (configure(servers, texts, n, why) != 0) {
        dns_servers_free(servers);
        return -1;
    }
    if (n == 0) {
        servers->path = resolv_conf;
        servers->look_again = true;
        parse_server(here, &servers->list[0].address);
        servers->n = 1;
        dns_servers_follow(servers, clock_now_ms());
    }
    *out = servers;
    return 0;
}

void dns_servers_free(struct dns_servers *servers) {
    if (servers == NULL)
        return;
    pthread_mutex_destroy(&servers->lock);
    free(servers);
}

size_t dns_servers_take(struct dns_servers *servers, int64_t now,
                        struct dns_server out[DNS_SERVERS_MAX]) {
    struct dns_server later[DNS_SERVERS_MAX];
    size_t n = 0, n_later = 0;
    pthread_mutex_lock(&servers->lock);
    for (size_t i = 0; i < servers->n; i++) {
        struct known *known = &servers->list[i];
        if (known->silent_until > now) {
            later[n_later++] = (struct dns_server){.address = known->address, .silent = true};
            continue;
        }
        bool tried = known->silent_until != 0;
        if (tried) /* by this question alone */
            known->silent_until = now + TRIAL_TIME;
        out[n++] = (struct dns_server){known->address, .silent = tried, .tried = tried};
    }
    pthread_mutex_unlock(&servers->lock);
    for (size_t i = 0; i < n_later; i++)
        out[n + i] = later[i];
    return n + n_later;
}

static void note(struct dns_servers *servers, const struct dns_server *server,
                 int64_t silent_until) {
    pthread_mutex_lock(&servers->lock);
    struct known *known = find_locked(servers, &server->address);
    if (known != NULL)
        known->silent_until = silent_until;
    pthread_mutex_unlock(&servers->lock);
}

void dns_servers_answered(struct dns_servers *servers, const struct dns_server *server) {
    if (server->silent) /* else there is nothing to change */
        note(servers, server, 0);
}

void dns_servers_silent(struct dns_servers *servers, const struct dns_server *server, int64_t now) {
    note(servers, server, now + SILENCE_KEPT);
}
