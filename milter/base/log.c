/*
 * The log. Owns how a line is put together and what is not said again; how it gets to its reader
 * is log_writer.c's, the escaping textbuf's, what is said its callers' business.
 */
#include "gatepost/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/metrics.h"
#include "gatepost/core/textbuf.h"
#include "log_writer.h"

/*
 * A verdict has some 20 values of at most LOG_VALUE_MAX octets, each up to six times escaped. The
 * long ones get a part of the line, so that there is always room for our own words.
 */
#define LONG_VALUES_OCTETS 6000
#define SHORT_VALUE 40

static struct {
    atomic_int target, format, level; /* a reload may change them */
    atomic_bool started;
    bool to_stderr; /* lines for syslog, until the start is over */
} state = {.target = LOG_TO_STDERR, .level = LOG_INFO};

/* At most this many identical lines are logged per second. */
#define REPEATED_MAX 5
#define REPEATED_SLOTS 128
#define REPEATED_PROBES 8

/* After this many milliseconds without the same line, another line says how many were left out. */
#define LEFT_OUT_TOLD 2000

static struct {
    pthread_mutex_t lock;
    struct repeated {
        uint64_t hash;
        const char *event;
        int priority;
        int64_t since; /* milliseconds; the current second */
        unsigned written, left_out;
    } repeated[REPEATED_SLOTS];
    atomic_int_fast64_t look; /* when to look for what was left out; 0: nothing was */
    struct trouble {
        time_t when;
        char line[1000];
    } recent[LOG_RECENT]; /* a ring */
    size_t n;
} troubles = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Whether standard error leads into the journal, which takes the lines for syslog as well. */
static bool stderr_is_journal(void) {
    struct stat status;
    char name[64];
    const char *journal = getenv("JOURNAL_STREAM");
    if (journal == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    snprintf(name, sizeof name, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(journal, name) == 0;
}

void log_open(enum log_target target, enum log_format format, int level) {
    log_writer_target(target);
    state.to_stderr = target != LOG_TO_STDERR && !stderr_is_journal();
    state.target = target;
    state.format = format;
    state.level = level;
}

int log_started(void) {
    state.started = true;
    return log_writer_start();
}

static void put_value(struct textbuf *line, const char *key, const char *value) {
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

/* A value that finds no room is "...": half a pair could not be read. */
static void put_pair(struct textbuf *line, const char *key, const char *value) {
    size_t begin = line->len, size = line->size;
    bool is_long = value != NULL && strlen(value) > SHORT_VALUE;
    if (is_long && begin < LONG_VALUES_OCTETS)
        line->size = LONG_VALUES_OCTETS;
    put_value(line, key, is_long && begin >= LONG_VALUES_OCTETS ? "..." : value);
    line->size = size;
    if (!line->cut)
        return;
    line->len = begin;
    line->cut = false;
    put_value(line, key, "...");
}

/* "GATEPOST_SPF_HELO=": the name of a field of the journal for a key. */
static void put_field_name(struct textbuf *fields, const char *key) {
    textbuf_puts(fields, "GATEPOST_");
    for (const char *c = key; *c != '\0'; c++) {
        char letter = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A')
                      : (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ? *c
                                                                             : '_';
        textbuf_put(fields, &letter, 1);
    }
    textbuf_puts(fields, "=");
}

/* A value as it is; what is absent or empty has no field, and neither has what finds no room. */
static void put_field(struct textbuf *fields, const char *key, const char *value) {
    size_t begin = fields->len, len = value == NULL ? 0 : strlen(value);
    if (len > LOG_VALUE_MAX) {
        len = LOG_VALUE_MAX;
        while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
            len--; /* a whole character less, rather than a half one more */
    }
    if (len == 0)
        return;
    put_field_name(fields, key);
    textbuf_put(fields, value, len);
    textbuf_put(fields, "", 1);
    if (!fields->cut)
        return;
    fields->len = begin;
    fields->cut = false;
}

static void compose_fields(struct textbuf *fields, char *memory, const char *event,
                           const struct log_pair *pairs, size_t n) {
    textbuf_init(fields, memory, LOG_FIELDS_MAX);
    put_field(fields, "event", event);
    for (size_t i = 0; i < n; i++)
        put_field(fields, pairs[i].key, pairs[i].value);
}

static void write_line(int priority, const struct textbuf *text, const struct textbuf *fields) {
    const struct log_line line = {.when = time(NULL),
                                  .priority = priority,
                                  .text = text->data,
                                  .len = text->len,
                                  .fields = fields == NULL ? NULL : fields->data,
                                  .fields_len = fields == NULL ? 0 : fields->len};
    log_writer_put(&line);
    if (!state.started && state.to_stderr)
        log_writer_copy_to_stderr(&line);
}

/*
 * The same event with the same values, whichever session it is of; a problem is the same for five
 * seconds as for six.
 */
static uint64_t fingerprint(const char *event, const struct log_pair *pairs, size_t n) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *c = event; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].value == NULL || strcmp(pairs[i].key, "session") == 0)
            continue;
        bool numbers = strcmp(pairs[i].key, "problem") != 0;
        for (const char *c = pairs[i].value; *c != '\0'; c++)
            if (numbers || *c < '0' || *c > '9')
                hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    }
    return hash;
}

/* The place of a line, by its own or one that can be spared; the lock is held. */
static struct repeated *find_slot(uint64_t hash) {
    struct repeated *spare = NULL;
    for (size_t i = 0; i < REPEATED_PROBES; i++) {
        struct repeated *r = &troubles.repeated[(hash + i) % REPEATED_SLOTS];
        if (r->hash == hash)
            return r;
        if (spare == NULL || (r->left_out == 0) > (spare->left_out == 0) ||
            ((r->left_out == 0) == (spare->left_out == 0) && r->since < spare->since))
            spare = r;
    }
    return spare;
}

/*
 * May it be written? If so, *left_out is how many of the same were not. *gone is another whose
 * place it took, to be reported.
 */
static bool admit(int priority, const char *event, uint64_t hash, unsigned *left_out,
                  struct repeated *gone) {
    int64_t now = clock_now_ms();
    pthread_mutex_lock(&troubles.lock);
    struct repeated *r = find_slot(hash);
    if (r->hash != hash) {
        *gone = *r;
        *r = (struct repeated){.hash = hash, .event = event, .priority = priority, .since = now};
    }
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
        if (atomic_load(&troubles.look) == 0)
            atomic_store(&troubles.look, now + LEFT_OUT_TOLD);
    }
    pthread_mutex_unlock(&troubles.lock);
    return admitted;
}

static void remember(const struct textbuf *line) {
    pthread_mutex_lock(&troubles.lock);
    struct trouble *t = &troubles.recent[troubles.n++ % LOG_RECENT];
    size_t len = line->len;
    if (len >= sizeof t->line) {
        len = sizeof t->line - 1;
        while (len > 0 && ((unsigned char)line->data[len] & 0xc0) == 0x80)
            len--; /* a whole character less, rather than a half one more */
    }
    t->when = time(NULL);
    memcpy(t->line, line->data, len);
    t->line[len] = '\0';
    pthread_mutex_unlock(&troubles.lock);
}

void log_recent(log_take *take, void *context) {
    pthread_mutex_lock(&troubles.lock);
    size_t n = troubles.n < LOG_RECENT ? troubles.n : LOG_RECENT;
    for (size_t i = troubles.n - n; i < troubles.n; i++)
        take(context, troubles.recent[i % LOG_RECENT].when, troubles.recent[i % LOG_RECENT].line);
    pthread_mutex_unlock(&troubles.lock);
}

/* The text of a line, in `memory` of LOG_LINE_MAX octets, without its newline. */
static void compose(struct textbuf *line, char *memory, const char *event,
                    const struct log_pair *pairs, size_t n, unsigned left_out) {
    char repeated[16];
    textbuf_init(line, memory, LOG_LINE_MAX - 2); /* for what ends the line */
    put_pair(line, "event", event);
    for (size_t i = 0; i < n; i++)
        put_pair(line, pairs[i].key, pairs[i].value);
    if (left_out > 0) {
        snprintf(repeated, sizeof repeated, "%u", left_out);
        put_pair(line, "repeated", repeated);
    }
    line->size = LOG_LINE_MAX;
    if (state.format == LOG_JSON)
        textbuf_puts(line, "}");
}

/* By itself, so that other targets need not touch the stack for it. */
__attribute__((noinline)) static void write_with_fields(int priority, const struct textbuf *text,
                                                        const char *event,
                                                        const struct log_pair *pairs, size_t n) {
    char memory[LOG_FIELDS_MAX];
    struct textbuf fields;
    compose_fields(&fields, memory, event, pairs, n);
    write_line(priority, text, &fields);
}

static void say(int priority, const char *event, const struct log_pair *pairs, size_t n,
                unsigned left_out) {
    char memory[LOG_LINE_MAX];
    struct textbuf line;
    compose(&line, memory, event, pairs, n, left_out);
    if (priority <= LOG_ERR)
        remember(&line);
    textbuf_puts(&line, "\n");
    if (state.target == LOG_TO_JOURNAL)
        write_with_fields(priority, &line, event, pairs, n);
    else
        write_line(priority, &line, NULL);
}

/* A log_writer_lost. */
static void compose_lost(char *out, char *of_fields, uint64_t lost, struct log_line *made) {
    char count[24];
    struct textbuf line, fields;
    const struct log_pair pair = {"count", count};
    snprintf(count, sizeof count, "%" PRIu64, lost);
    compose(&line, out, "log-lost", &pair, 1, 0);
    remember(&line);
    textbuf_puts(&line, "\n");
    compose_fields(&fields, of_fields, "log-lost", &pair, 1);
    *made = (struct log_line){.when = time(NULL),
                              .priority = LOG_ERR,
                              .text = line.data,
                              .len = line.len,
                              .fields = fields.data,
                              .fields_len = fields.len};
}

void log_serve(void) {
    log_writer_queue(compose_lost);
}

bool log_is_losing(struct why *why) {
    if (!log_writer_is_losing())
        return false;
    why_set(why, "log lines are being lost: %s is not read",
            state.target == LOG_TO_SYSLOG    ? "/dev/log"
            : state.target == LOG_TO_JOURNAL ? "the journal"
                                             : "standard error");
    return true;
}

static void tell_one(const struct repeated *r) {
    const struct log_pair of = {"of", r->event};
    if (r->left_out > 0)
        say(r->priority, "left-out", &of, 1, r->left_out);
}

/* What was left out and is not said any more, or at the end all of it. */
static void tell_left_out(bool all) {
    int64_t now = clock_now_ms();
    atomic_store(&troubles.look, 0);
    for (size_t i = 0; i < REPEATED_SLOTS; i++) {
        struct repeated *r = &troubles.repeated[i], told = {0};
        pthread_mutex_lock(&troubles.lock);
        if (r->left_out > 0 && (all || now - r->since >= LEFT_OUT_TOLD)) {
            told = *r;
            r->left_out = 0;
        } else if (r->left_out > 0) {
            atomic_store(&troubles.look, now + LEFT_OUT_TOLD);
        }
        pthread_mutex_unlock(&troubles.lock);
        tell_one(&told);
    }
}

void log_close(void) {
    tell_left_out(true);
    log_writer_stop();
}

void log_pairs(int priority, const char *event, const struct log_pair *pairs, size_t n) {
    struct repeated gone = {0};
    unsigned left_out = 0;
    if (priority > state.level)
        return;
    bool admitted = priority > LOG_WARNING ||
                    admit(priority, event, fingerprint(event, pairs, n), &left_out, &gone);
    tell_one(&gone);
    if (admitted)
        say(priority, event, pairs, n, left_out);
    int64_t look = atomic_load(&troubles.look);
    if (look != 0 && clock_now_ms() >= look)
        tell_left_out(false);
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

void log_library(int priority, const char *format, va_list args) {
    char words[1000], memory[LOG_LINE_MAX];
    struct textbuf text;
    int len = vsnprintf(words, sizeof words, format, args);
    textbuf_init(&text, memory, sizeof memory - 1);
    textbuf_put_header(&text, words, len < 0 ? 0 : strlen(words));
    text.size = sizeof memory;
    textbuf_puts(&text, "\n");
    const struct log_line line = {
        .when = time(NULL), .priority = LOG_PRI(priority), .text = text.data, .len = text.len};
    log_writer_put_syslog(&line);
}

void log_malformed(const char *key, const char *field, const char *why) {
    metrics_malformed();
    log_event(LOG_ERR, "policy-malformed", "key", key, "field", field, "problem", why,
              (char *)NULL);
}
