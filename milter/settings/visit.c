/*
 * What the endpoints share. Owns the lines of the log about changes.
 */
#include "visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/log.h"

void visit_unavailable(const struct visit *visit, const char *why) {
    log_event(LOG_ERR, "store-error", "account", visit->account, "problem", why, (char *)NULL);
    answer_refusal(visit->response, 503, NULL,
                   "the settings cannot be read or written now: try again in a moment");
}

int64_t visit_loosen_after(const struct visit *visit) {
    return (visit->config->settings.loosen_after + 999) / 1000;
}

/* Terminated and malloc'd; NULL for what is absent. */
static char *copy(struct store_text text) {
    return text.text == NULL ? NULL : strndup(text.text, text.len);
}

void visit_log_change(const struct visit *visit, struct store_text field, struct store_text old,
                      struct store_text new_value) {
    char who[400];
    char *name = copy(field), *before = copy(old), *after = copy(new_value);
    log_event(LOG_INFO, "change", "who", caller_name(visit->caller, who, sizeof who), "account",
              visit->account, "client", visit_client(visit), "field", name, "old", before, "new",
              after, (char *)NULL);
    free(name);
    free(before);
    free(after);
}

const char *visit_client(const struct visit *visit) {
    return visit->caller->client[0] == '\0' ? NULL : visit->caller->client;
}
