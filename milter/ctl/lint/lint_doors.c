/*
 * Protocols that are on and that nobody comes in by. Owns how many of them lint tells of; what
 * counts as unused is that of `unused`.
 */
#include <stdio.h>

#include "../print.h"
#include "../use/search.h"
#include "lint.h"

#define UNUSED_FOR "90d"
#define UNUSED_SECONDS (90 * 86400)
#define ACCOUNTS_MAX 20

struct doors {
    struct use_search search; /* first: the visitor is handed it */
    struct lint *lint;
    size_t accounts;
};

/* Those with a service that nobody's record has are left out. */
static void visit(struct use_search *s, const char *account, const struct ctl_policies *policies,
                  const struct ctl_use *use) {
    struct doors *doors = (struct doors *)s;
    json_t *rows = use_unused(s, account, &policies->set, use, s->ctl->now - s->period);
    char names[300] = "";
    const json_t *row;
    size_t i, len = 0;
    json_array_foreach(rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "protocol"));
        if (json_array_size(json_object_get(row, "not_recorded")) == 0 && len < sizeof names)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len == 0 ? "" : ", ",
                                    name);
    }
    json_decref(rows);
    if (len > 0 && doors->accounts++ < ACCOUNTS_MAX)
        lint_found(doors->lint, "unused-door", policies->subjects[policies->own], NULL,
                   "on, and nobody came in by it for " UNUSED_FOR ": %s", names);
}

/* When recording began; 0: never, or it cannot be read, which is told. */
static int64_t recorded_since(const struct ctl *ctl) {
    const struct store_settings settings = ctl_use_settings(ctl);
    struct use_store *store;
    struct why why;
    int64_t since = 0;
    int rc = use_store_open(&settings, &store, &why);
    if (rc == 0) {
        rc = ctl_use_since(store, &since, &why);
        use_store_free(store);
    }
    if (rc < 0)
        ctl_warn("cannot check which protocols are used: %s", why.text);
    return rc < 0 ? 0 : since;
}

int lint_doors(struct lint *lint) {
    struct doors doors = {.search = {.ctl = lint->ctl, .visit = visit}, .lint = lint};
    if (!lint->ctl->config->record_use)
        return CTL_DONE;
    int64_t since = recorded_since(lint->ctl);
    if (since == 0 || since > lint->ctl->now - UNUSED_SECONDS)
        return CTL_DONE;
    int status = use_search(&doors.search, "*", UNUSED_FOR);
    if (status == CTL_DONE && doors.accounts > ACCOUNTS_MAX)
        lint_found(lint, "unused-door", NULL, NULL, "the same of %zu more accounts: see unused",
                   doors.accounts - ACCOUNTS_MAX);
    return status;
}
