/*
 * The syntax of a verdict line of the log: logfmt or JSON, as textbuf.h has written it.
 */
#ifndef GATEPOST_CTL_REPLAY_VERDICT_LINE_H
#define GATEPOST_CTL_REPLAY_VERDICT_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* The keys that a reader of the log asks for. */
enum verdict_key {
    KEY_STAGE,
    KEY_SESSION,
    KEY_LISTENER,
    KEY_SERVICE,
    KEY_CLIENT,
    KEY_HELO,
    KEY_SENDER,
    KEY_LOGIN,
    KEY_ACCOUNT,
    KEY_SPF,
    KEY_VERDICT,
    KEY_REASON,
    KEY_MODE,
    KEY_WOULD,
    KEY_TLS,
    KEY_SPF_HELO,
    KEY_DOOR,
    KEY_PASSWORD,
    KEY_APP_PASSWORD,
    KEY_SPF_PREFIX,
    VERDICT_KEYS
};

/* How a key is written; a static text. */
const char *verdict_key_name(enum verdict_key key);

enum value_state {
    VALUE_MISSING, /* the line does not have the key, or it cannot be read */
    VALUE_EMPTY,   /* it has it without a value */
    VALUE_THERE,
};

struct verdict_value {
    enum value_state state;
    const char *text; /* "" where it is not there */
    bool cut;         /* the log had no room for all of it */
};

/* A line taken apart. Begins as {0}; one of them can take any number of lines. */
struct verdict_line {
    struct verdict_value values[VERDICT_KEYS];
    void *object; /* private: owned */
};

enum line_kind {
    LINE_OTHER,   /* no verdict */
    LINE_VERDICT, /* the values are there until the next line is taken */
    LINE_DAMAGED, /* begins as one, and cannot be read */
};

/*
 * Takes a line apart; its `len` octets end in a NUL, are changed, and must last as long as the
 * values. What stands in front of an event, such as syslog's time and host, is skipped; what others
 * have said later in a line is no event. Of a key that comes twice the first counts.
 */
enum line_kind verdict_line_take(struct verdict_line *line, char *text, size_t len);

void verdict_line_clear(struct verdict_line *line);

#endif
