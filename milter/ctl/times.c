/*
 * Times on the command line. Owns how they may be written; what an entry of the store may have is
 * policy.c's, which is stricter.
 */
#include <string.h>

#include "gatepost/core/duration.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/suggest.h"
#include "print.h"

/* Characters of a day. */
#define DAY strlen("2027-01-31")

/* A point in time, or a day, which is its first second. Returns 0, or -1. */
static int parse_point(const char *text, int64_t *seconds) {
    char whole[TIMESTAMP_SIZE];
    size_t len = strlen(text);
    if (len == DAY) {
        snprintf(whole, sizeof whole, "%sT00:00:00Z", text);
        return timestamp_parse(whole, strlen(whole), seconds);
    }
    return timestamp_parse(text, len, seconds);
}

static int refuse(const struct ctl *ctl, const char *option, const char *text, const char *how) {
    char good[TIMESTAMP_SIZE];
    bool near = suggest_time(text, strlen(text), good, sizeof good) == 0;
    return ctl_refuse(ctl,
                      "%s %.60s: it must be a UTC time like 2027-01-31T00:00:00Z, a day like "
                      "2027-01-31, or %s%s%s%s",
                      option, text, how, near ? ": did you mean " : "", near ? good : "",
                      near ? "?" : "");
}

int ctl_parse_since(struct ctl *ctl, int64_t *since) {
    int64_t value;
    *since = 0;
    if (ctl->since == NULL)
        return CTL_DONE;
    if (parse_point(ctl->since, &value) == 0)
        *since = value * 1000;
    else if (duration_parse(ctl->since, &value) == 0)
        *since = ctl->now * 1000 - value;
    else
        return refuse(ctl, "--since", ctl->since, "how long ago, like 90m, 12h, 7d or 1w");
    return CTL_DONE;
}

int ctl_parse_until(const struct ctl *ctl, int64_t *until) {
    int64_t value;
    if (parse_point(ctl->until, until) == 0) {
        if (strlen(ctl->until) == DAY && ctl_is_for_people(ctl))
            ctl_warn("--until %s: up to the beginning of that day, in UTC", ctl->until);
        return CTL_DONE;
    }
    if (duration_parse(ctl->until, &value) != 0)
        return refuse(ctl, "--until", ctl->until, "how long from now, like 12h, 7d or 1w");
    *until = ctl->now + value / 1000;
    return CTL_DONE;
}
