/*
 * The log. Owns where lines go and how a line is put together; the escaping is textbuf's, what is
 * said is its callers' business.
 */
#include "gatepost/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "gatepost/metrics.h"
#include "gatepost/textbuf.h"

/* A verdict has some 20 values of at most LOG_VALUE_MAX octets, each up to four times escaped. */
#define LINE_MAX_OCTETS 8000

static struct {
    atomic_int target, format; /* a reload may change them */
    bool started;
} state = {.target = LOG_TO_STDERR};

void log_open(enum log_target target, enum log_format format) {
    if (target == LOG_TO_SYSLOG)
        openlog("gatepost", LOG_PID | LOG_NDELAY, LOG_MAIL);
    state.target = target;
    state.format = format;
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

void log_pairs(int priority, const char *event, const struct log_pair *pairs, size_t n) {
    char memory[LINE_MAX_OCTETS];
    struct textbuf line;
    textbuf_init(&line, memory, sizeof memory - 2); /* for what ends the line */
    put_pair(&line, "event", event);
    for (size_t i = 0; i < n; i++)
        put_pair(&line, pairs[i].key, pairs[i].value);
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
