/*
 * Gatepost's replies, recognised. Owns the comparison of a text with the template that it may have
 * been made of.
 */
#include "our_text.h"

#include <string.h>

#include "gatepost/core/reply.h"

/* What each reply has at its end; see reply_render(). */
#define MARK "; session "

/* Finds the octets from `at` on, a '%' in whatever number; the end of what was found, or NULL. */
static const char *find_literal(const char *at, const char *literal, size_t len) {
    for (; *at != '\0'; at++) {
        const char *text = at;
        size_t i = 0;
        while (i < len && *text == literal[i]) {
            i += literal[i] == '%' ? strspn(literal + i, "%") : 1;
            text += *text == '%' ? strspn(text, "%") : 1;
        }
        if (i >= len)
            return text;
    }
    return NULL;
}

/* Has the text all that stands between the placeholders, in this order, and the mark after it? */
static bool is_made_of(const char *said, const char *template) {
    while (*template != '\0') {
        size_t len = strcspn(template, "{");
        if (len > 0 && (said = find_literal(said, template, len)) == NULL)
            return false;
        template += len;
        template += strcspn(template, "}");
        template += *template == '}' ? 1 : 0;
    }
    return strstr(said, MARK) != NULL;
}

bool our_text_find(const struct config *config, const char *said, enum reason *reason) {
    /* what a login may be told; the one that is looked for comes first */
    static const enum reason reasons[] = {REASON_PROTOCOL_DISABLED, REASON_APP_PASSWORD_REQUIRED,
                                          REASON_UNKNOWN_LOGIN,     REASON_UNKNOWN_SERVICE,
                                          REASON_IP_NOT_AUTHORIZED, REASON_TLS_REQUIRED,
                                          REASON_AUTH_REQUIRED,     REASON_POLICY_UNAVAILABLE,
                                          REASON_POLICY_MALFORMED,  REASON_NOT_ALLOWLISTED};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        const char *own = config->replies[reasons[i]];
        for (int kind = VERDICT_DEFER; kind <= VERDICT_REJECT; kind++) {
            for (int door = 0; door < DOORS; door++) {
                const struct verdict verdict = {
                    .kind = (enum verdict_kind)kind, .reason = reasons[i], .door = (enum door)door};
                if (is_made_of(said, own != NULL ? own : reply_default_template(&verdict))) {
                    *reason = reasons[i];
                    return true;
                }
            }
        }
    }
    return false;
}
