/*
 * The log. Owns where lines go and how a line is put together; the escaping is textbuf's, what is
 * said is its callers' business.
 */
#include "gatepost/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/clock.h"
#include "gatepost/metrics.h"
#include "gatepost/textbuf.h"

/* A verdict has some 20 values of at most LOG_VALUE_MAX octets, each up to four times escaped. */
#define LINE_MAX_OCTETS 8000

static struct {
    atomic_int target, format, level; /* a reload may change them */
    bool started;
} state = {.target = LOG_TO_STDERR, .level = LOG_INFO};

/* Of what is said again and again, so many lines a second. */
#define REPEATED_MAX 5
#define REPEATED_SLOTS 128

static struct {
    pthread_mutex_t lock;
    struct repeated {
        uint64_t hash;
        int64_t since; /* milliseconds; the second under way */
        unsigned written, left_out;
    } repeated[REPEATED_SLOTS];
    struct trouble {
        time_t when;
        char line[500];
    } recent[LOG_RECENT]; /* a ring */
    size_t n;
} troubles = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_open(enum log_target target, enum log_format format, int level) {
    if (target == LOG_TO_SYSLOG)
        openlog("gatepost", LOG_PID | LOG_NDELAY, LOG_MAIL);
    state.target = target;
    state.format = format;
    state.level = level;
}

void log_started(void) {
    state.started = true;
}

void log_close(void) {
    if (state.target == LOG_TO_SYSLOG)
        closelog();
}

static void put_pair(struct textbuf *line, const char *key, const char *value) {
    if (state.format == LOG_JSON) {
        textbuf_puts(line, line->len == 0 ? "{\"" : ",\"");
        textbuf_puts(line, key);
        textbuf_puts(line, "\":");
        textbuf_put_json(line, value);
    } else {
        textbuf_puts(line, line->len == 0 ? "" : " ");
        textbuf_puts(line, key);
        textbuf_puts(line, "=");
        textbuf_put_logfmt(line, value);
    }
}

static void write_line(int priority, struct textbuf *line) {
    if (state.format == LOG_JSON)
        textbuf_puts(line, "}");
    if (state.target == LOG_TO_SYSLOG) {
        syslog(priority, "%s", line->data);
        if (state.started)
            return;
    }
    textbuf_puts(line, "\n");
    /* one write(2) a line, so that lines of several threads do not mix */
    size_t written = 0;
    while (written < line->len) {
        ssize_t n = write(STDERR_FILENO, line->data + written, line->len - written);
        if (n < 0 && errno != EINTR)
            return;
        written += n > 0 ? (size_t)n : 0;
    }
}

/* The same event with the same values, whichever session it is of. */
static uint64_t fingerprint(const char *event, const struct log_pair *pairs, size_t n) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *c = event; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].value == NULL || strcmp(pairs[i].key, "session") == 0)
            continue;
        for (const char *c = pairs[i].value; *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    }
    return hash;
}

/* May it be written? If so, *left_out is how many of the same were not. */
static bool admit(uint64_t hash, unsigned *left_out) {
    struct repeated *r = &troubles.repeated[hash % REPEATED_SLOTS];
    int64_t now = clock_now_ms();
    pthread_mutex_lock(&troubles.lock);
    if (r->hash != hash)
        *r = (struct repeated){.hash = hash, .since = now};
    if (now - r->since >= 1000) {
        r->since = now;
        r->written = 0;
    }
    bool admitted = r->written < REPEATED_MAX;
    *left_out = admitted ? r->left_out : 0;
    if (admitted) {
        r->written++;
        r->left_out = 0;
    } else {
        r->left_out++;
    }
    pthread_mutex_unlock(&troubles.lock);
    return admitted;
}

static void remember(const char *line) {
    pthread_mutex_lock(&troubles.lock);
    struct trouble *t = &troubles.recent[troubles.n++ % LOG_RECENT];
    t->when = time(NULL);
    snprintf(t->line, sizeof t->line, "%s", line);
    pthread_mutex_unlock(&troubles.lock);
}

void log_recent(log_take *take, void *context) {
    pthread_mutex_lock(&troubles.lock);
    size_t n = troubles.n < LOG_RECENT ? troubles.n : LOG_RECENT;
    for (size_t i = troubles.n - n; i < troubles.n; i++)
        take(context, troubles.recent[i % LOG_RECENT].when, troubles.recent[i % LOG_RECENT].line);
    pthread_mutex_unlock(&troubles.lock);
}

void log_pairs(int priority, const char *event, const struct log_pair *pairs, size_t n) {
    char memory[LINE_MAX_OCTETS], repeated[16];
    struct textbuf line;
    unsigned left_out = 0;
    if (priority > state.level ||
        (priority <= LOG_WARNING && !admit(fingerprint(event, pairs, n), &left_out)))
        return;
    textbuf_init(&line, memory, sizeof memory - 2); /* for what ends the line */
    put_pair(&line, "event", event);
    for (size_t i = 0; i < n; i++)
        put_pair(&line, pairs[i].key, pairs[i].value);
    if (left_out > 0) {
        snprintf(repeated, sizeof repeated, "%u", left_out);
        put_pair(&line, "repeated", repeated);
    }
    if (priority <= LOG_ERR)
        remember(line.data);
    line.size = sizeof memory;
    write_line(priority, &line);
}

void log_event(int priority, const char *event, ...) {
    struct log_pair pairs[32];
    size_t n = 0;
    va_list args;
    va_start(args, event);
    const char *key;
    while (n < sizeof pairs / sizeof *pairs && (key = va_arg(args, const char *)) != NULL)
        pairs[n++] = (struct log_pair){key, va_arg(args, const char *)};
    va_end(args);
    log_pairs(priority, event, pairs, n);
}

void log_malformed(const char *key, const char *field, const char *why) {
    metrics_malformed();
    log_event(LOG_ERR, "policy-malformed", "key", key, "field", field, "problem", why,
              (char *)NULL);
}
