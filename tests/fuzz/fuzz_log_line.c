/*
 * Fuzz target: lines of the log read back. The input is a line, and then a HELO name in a line of
 * each form. Promises: any line is taken or refused with a reason, by explain and by replay; what
 * textbuf.h has written is read as it was.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "gatepost/core/textbuf.h"
#include "milter/ctl/explain/log_line.h"
#include "milter/ctl/replay/past.h"

/* As log_line_read(), of a text. */
static int read_text(const char *text, struct log_line *line, struct ctl_question *question,
                     struct why *why) {
    static char empty[] = "\n"; /* fmemopen() opens nothing that is empty */
    size_t len = strlen(text);
    FILE *from = fmemopen(len > 0 ? (char *)text : empty, len > 0 ? len : 1, "r");
    PROMISE(from != NULL);
    int rc = log_line_read(from, line, question, why);
    fclose(from);
    return rc;
}

static void read_any(const char *text) {
    struct ctl_question question = {0};
    struct log_line line;
    struct why why = {""};
    if (read_text(text, &line, &question, &why) != 0) {
        PROMISE(why.text[0] != '\0' && line.n == 0);
        return;
    }
    PROMISE(question.ip != NULL && question.from != NULL);
    log_line_clear(&line);
}

/* What replay makes of it, NULs included: a question whose texts end, or none, with a reason. */
static void read_past(const uint8_t *data, size_t size) {
    struct verdict_line line = {0};
    struct past past;
    char *text = malloc(size + 1);
    if (text == NULL)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (verdict_line_take(&line, text, size) == LINE_VERDICT) {
        enum unsaid unsaid = past_read(&line, &past);
        PROMISE(unsaid == UNSAID_NOT || unsaid_name(unsaid)[0] != '\0');
        PROMISE(unsaid != UNSAID_NOT || past.stage != STAGE_MAIL || strlen(past.sender) < size);
        PROMISE(unsaid != UNSAID_NOT || past.stage != STAGE_DOOR ||
                (past.login != NULL && past.service != NULL));
    }
    verdict_line_clear(&line);
    free(text);
}

/* U+F780 to U+F7FF in JSON: taken for octets, as log_line.c says. */
static bool is_private(const char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)text[0] == 0xef && ((unsigned char)text[1] & 0xfe) == 0x9e)
            return true;
    return false;
}

static void read_back(const char *helo, bool json) {
    static const char *const head[] = {
        "host gatepost[1]: event=verdict stage=mail listener=mx service=smtp "
        "client=192.0.2.1 helo=",
        "{\"event\":\"verdict\",\"stage\":\"mail\",\"listener\":\"mx\",\"service\":\"smtp\","
        "\"client\":\"192.0.2.1\","
        "\"helo\":"};
    static const char *const tail[] = {" sender=a@b.example login= reason=spf us=1",
                                       ",\"sender\":\"a@b.example\",\"login\":null,"
                                       "\"reason\":\"spf\",\"us\":\"1\"}"};
    struct ctl_question question = {0};
    struct log_line line;
    struct textbuf buf;
    char memory[4000];
    struct why why;
    textbuf_init(&buf, memory, sizeof memory);
    textbuf_puts(&buf, head[json]);
    if (json)
        textbuf_put_json(&buf, helo);
    else
        textbuf_put_logfmt(&buf, helo);
    textbuf_puts(&buf, tail[json]);
    PROMISE(!buf.cut);
    PROMISE(read_text(memory, &line, &question, &why) == 0);
    PROMISE(question.helo != NULL && strcmp(question.helo, helo) == 0);
    PROMISE(strcmp(question.ip, "192.0.2.1") == 0 && strcmp(question.from, "a@b.example") == 0);
    PROMISE(question.login == NULL && strcmp(question.listener, "mx") == 0);
    log_line_clear(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    read_any(text);
    read_past(data, size);
    if (strlen(text) <= LOG_VALUE_MAX) {
        read_back(text, false);
        if (!is_private(text))
            read_back(text, true);
    }
    free(text);
    return 0;
}
