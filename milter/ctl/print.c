/*
 * What gatepostctl says. Owns the escaping of what is shown and the forms of errors and progress.
 */
#include "print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/textbuf.h"
#include "memory.h"

void ctl_put(FILE *to, const char *text, size_t len) {
    while (len > 0) {
        char memory[1200];
        struct textbuf buf;
        size_t piece = 0;
        while (piece < len && piece < 200) { /* no character in two pieces */
            size_t sequence = utf8_sequence(text + piece, len - piece);
            piece += sequence == 0 ? 1 : sequence;
        }
        textbuf_init(&buf, memory, sizeof memory);
        textbuf_put_visible(&buf, text, piece);
        fwrite(memory, 1, buf.len, to);
        text += piece;
        len -= piece;
    }
}

void ctl_puts(FILE *to, const char *text) {
    ctl_put(to, text, strlen(text));
}

void ctl_put_column(FILE *to, const char *text, int width) {
    char memory[2000];
    struct textbuf buf;
    int columns = 0;
    textbuf_init(&buf, memory, sizeof memory);
    textbuf_put_visible(&buf, text, strlen(text));
    for (const char *p = memory; *p != '\0'; p++)
        columns += (*p & 0xc0) != 0x80;
    fprintf(to, "%s%*s", memory, columns < width ? width - columns : 0, "");
}

char *ctl_quote(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@._+=%-:/,";
    char *quoted = xmalloc(strlen(word) * 4 + 3), *out = quoted;
    if (word[0] != '\0' && word[0] != '-' && word[strspn(word, plain)] == '\0')
        return strcpy(quoted, word);
    *out++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            out = stpcpy(out, "'\\''");
        else
            *out++ = *word;
    }
    strcpy(out, "'");
    return quoted;
}

static bool has_colours(void) {
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0') &&
           terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void ctl_paint(FILE *to, enum ctl_paint paint) {
    static const char *const codes[] = {[CTL_PLAIN] = "\033[0m",
                                        [CTL_TITLE] = "\033[1m",
                                        [CTL_GOOD] = "\033[32m",
                                        [CTL_ODD] = "\033[33m",
                                        [CTL_BAD] = "\033[31m"};
    static enum { UNASKED, NONE, COLOURED } colours;
    static enum ctl_paint now = CTL_PLAIN;
    if (colours == UNASKED)
        colours = has_colours() ? COLOURED : NONE;
    if (colours == COLOURED && paint != now)
        fputs(codes[paint], to);
    now = paint;
}

bool ctl_is_for_people(const struct ctl *ctl) {
    return !ctl->json && isatty(STDOUT_FILENO) == 1;
}

void ctl_say_empty(const struct ctl *ctl, const char *format, ...) {
    char message[1000];
    va_list args;
    if (!ctl_is_for_people(ctl))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    ctl_puts(stdout, message);
    putchar('\n');
}

static void say(const char *message) {
    fputs("gatepostctl: ", stderr);
    ctl_puts(stderr, message);
    fputc('\n', stderr);
}

static int complain(const struct ctl *ctl, int status, const char *format, va_list args) {
    char message[2000];
    vsnprintf(message, sizeof message, format, args);
    say(message);
    if (!ctl->json)
        return status;
    json_t *error = json_object();
    json_object_set_new(error, "error", json_text(message));
    json_object_set_new(error, "exit", json_integer(status));
    json_put(error, stdout, 0);
    putchar('\n');
    json_decref(error);
    return status;
}

int ctl_refuse(const struct ctl *ctl, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = complain(ctl, CTL_REFUSED, format, args);
    va_end(args);
    return status;
}

int ctl_fail_store(const struct ctl *ctl, const char *why) {
    return ctl_fail(ctl, "store \"%s\": %s", ctl->config->store, why);
}

int ctl_fail(const struct ctl *ctl, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = complain(ctl, CTL_FAILED, format, args);
    va_end(args);
    return status;
}

void ctl_warn(const char *format, ...) {
    char message[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    say(message);
}

int ctl_print_json(json_t *value) {
    json_put(value, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(value);
    return CTL_DONE;
}

void ctl_progress_begin(struct ctl_progress *progress, const char *what, size_t total) {
    *progress = (struct ctl_progress){.what = what,
                                      .total = total,
                                      .began = clock_now_ms(),
                                      .told = clock_now_ms(),
                                      .terminal = isatty(STDERR_FILENO) == 1};
}

static void draw_bar(const struct ctl_progress *progress, size_t done) {
    enum { WIDTH = 40 };
    size_t full = progress->total == 0 ? 0 : done * WIDTH / progress->total;
    full = full > WIDTH ? WIDTH : full;
    fprintf(stderr, "\r%s [", progress->what);
    for (size_t i = 0; i < WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %zu of %zu", done, progress->total);
}

void ctl_progress_tell(struct ctl_progress *progress, size_t done) {
    int64_t now = clock_now_ms();
    int64_t interval = progress->terminal && progress->shown ? 100 : 1000;
    if (now - progress->told < interval)
        return;
    progress->told = now;
    progress->shown = true;
    if (progress->terminal && progress->total > 0)
        draw_bar(progress, done);
    else if (progress->terminal)
        fprintf(stderr, "\r%s: %zu", progress->what, done);
    else if (progress->total > 0)
        fprintf(stderr, "%s: %zu of %zu\n", progress->what, done, progress->total);
    else
        fprintf(stderr, "%s: %zu\n", progress->what, done);
    fflush(stderr);
}

void ctl_progress_end(struct ctl_progress *progress) {
    if (!progress->shown || !progress->terminal)
        return;
    if (progress->total > 0)
        draw_bar(progress, progress->total);
    fputc('\n', stderr);
}

/* ---- changes ---- */

static void put_value(const struct store_text *value) {
    if (value->text == NULL)
        fputs("unset", stdout);
    else if (value->len == 0)
        fputs("\"\"", stdout);
    else
        ctl_put(stdout, value->text, value->len);
}

void ctl_put_change(const char *subject, const struct store_change *change) {
    ctl_puts(stdout, subject);
    putchar(' ');
    ctl_put(stdout, change->field.text, change->field.len);
    fputs(": ", stdout);
    put_value(&change->old);
    fputs(" -> ", stdout);
    put_value(&change->new_value);
    putchar('\n');
}

json_t *ctl_change_json(const struct store_change *change) {
    json_t *told = json_object();
    json_object_set_new(told, "field", json_octets(change->field.text, change->field.len));
    json_object_set_new(told, "old", json_octets(change->old.text, change->old.len));
    json_object_set_new(told, "new", json_octets(change->new_value.text, change->new_value.len));
    return told;
}
