/*
 * GET and PATCH of /v1/accounts/ACCOUNT. Owns which outcome of a change is which status.
 */
#include "visit.h"

#include <stdlib.h>
#include <string.h>

#include "account_view.h"
#include "gatepost/base/log.h"
#include "offered.h"
#include "patch.h"
#include "precondition.h"

/* use_take */
static void take_use(void *context, const struct use_line *line) {
    account_view_use(context, line->service, line->last);
}

/* The record of use is the user's own business, and none of a panel. */
static int add_use(struct visit *visit, json_t *shown, struct why *why) {
    if (visit->desk->use == NULL || visit->caller->self == NULL)
        return 0;
    return use_read(visit->desk->use, visit->account, take_use, shown, why) < 0 ? -1 : 0;
}

/* Shows what holds, and whether the user may make app passwords. */
static json_t *show(const struct visit *visit, const struct self_view *view,
                    char tag[static ACCOUNT_TAG_SIZE]) {
    json_t *shown = account_view_json(view, visit->now);
    if (visit->caller->self != NULL)
        json_object_set_new(
            shown, "passwords",
            json_boolean(visit->config->settings.passwords && visit->desk->passwords != NULL));
    if (shown != NULL && account_view_tag(view, shown, tag) != 0) {
        json_decref(shown);
        shown = NULL;
    }
    return shown;
}

static void answer_account(struct visit *visit) {
    char tag[ACCOUNT_TAG_SIZE] = "";
    struct self_view view;
    struct why why;
    if (self_read(visit->desk->self, visit->account, visit->now, &view, &why) != 0) {
        visit_unavailable(visit, why.text);
        return;
    }
    json_t *shown = show(visit, &view, tag);
    self_view_clear(&view);
    if (shown != NULL && add_use(visit, shown, &why) != 0) /* the rest is worth showing */
        log_event(LOG_WARNING, "use-unread", "account", visit->account, "problem", why.text,
                  (char *)NULL);
    offered_mark(shown, visit->config);
    offered_suggest(shown, visit->config);
    answer_json(visit->response, 200, shown);
    http_response_field(visit->response, "ETag", tag);
    http_response_field(visit->response, "X-Gatepost-Client", visit->caller->client);
}

void visit_account(struct visit *visit) {
    answer_account(visit);
}

/* ---- changes ---- */

/* What must still hold when it is written: 0 for anything. False: it is answered. */
static bool check_tag(struct visit *visit, uint64_t *state) {
    char tag[ACCOUNT_TAG_SIZE] = "";
    struct self_view view;
    struct why why;
    *state = 0;
    if (precondition_matches(visit->request, "") < 0)
        return true;
    if (self_read(visit->desk->self, visit->account, visit->now, &view, &why) != 0) {
        visit_unavailable(visit, why.text);
        return false;
    }
    json_t *shown = show(visit, &view, tag);
    bool same = shown != NULL && precondition_matches(visit->request, tag) == 1;
    *state = view.state;
    json_decref(shown);
    self_view_clear(&view);
    if (!same)
        answer_refusal(visit->response, 412, NULL,
                       "this has been changed since you saw it: read it again");
    return same;
}

static void log_changes(const struct visit *visit, const struct self_outcome *outcome) {
    for (size_t i = 0; i < outcome->n_changes; i++)
        visit_log_change(visit, outcome->changes[i].field, outcome->changes[i].old,
                         outcome->changes[i].new_value);
    if (outcome->unrecorded)
        log_event(LOG_ERR, "change-unrecorded", "account", visit->account, "problem",
                  outcome->why.text, (char *)NULL);
}

static void answer_outcome(struct visit *visit, const struct self_outcome *outcome, bool by_tag) {
    switch (outcome->result) {
    case SELF_DONE:
    case SELF_PENDING:
        log_changes(visit, outcome);
        answer_account(visit);
        break;
    case SELF_REFUSED:
        answer_refusal(visit->response, 422, outcome->field, outcome->why.text);
        break;
    case SELF_LOCKS_OUT:
        answer_refusal(visit->response, 409, NULL, outcome->why.text);
        break;
    case SELF_STALE:
        if (by_tag)
            answer_refusal(visit->response, 412, NULL,
                           "this has been changed since you saw it: read it again");
        else
            visit_unavailable(visit, "others keep changing it");
        break;
    case SELF_UNAVAILABLE:
        visit_unavailable(visit, outcome->why.text);
        break;
    }
}

static void change(struct visit *visit, const struct patch *patch) {
    char actor[300];
    struct self_outcome outcome;
    struct why why;
    uint64_t state;
    struct self_change wanted = {.account = visit->account,
                                 .actor = caller_name(visit->caller, actor, sizeof actor),
                                 .client = visit_client(visit),
                                 .now = visit->now,
                                 .loosen_after = visit_loosen_after(visit),
                                 .confirm = patch->confirm,
                                 .protocols = patch->protocols,
                                 .n_protocols = patch->n_protocols,
                                 .source = patch->source,
                                 .password = patch->password,
                                 .ips = patch->ips,
                                 .n_ips = patch->n_ips};
    if (!check_tag(visit, &state))
        return;
    wanted.if_state = state;
    if (patch->password == SELF_RESTRICT &&
        (wanted.app_passwords = visit_count_passwords(visit, &why)) < 0) {
        visit_unavailable(visit, why.text);
        return;
    }
    self_change(visit->desk->self, &wanted, &outcome);
    answer_outcome(visit, &outcome, state != 0);
    self_outcome_clear(&outcome);
}

void visit_change(struct visit *visit) {
    struct patch patch;
    struct why why;
    switch (patch_read(visit->request->body, visit->request->body_len, &patch, &why)) {
    case PATCH_GOOD:
        change(visit, &patch);
        break;
    case PATCH_BAD:
        answer_refusal(visit->response, 400, NULL, why.text);
        break;
    case PATCH_REFUSED:
        answer_refusal(visit->response, 422, patch.field, why.text);
        break;
    }
    patch_clear(&patch);
}
