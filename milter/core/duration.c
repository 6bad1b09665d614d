/*
 * Durations. Owns their units.
 */
#include "gatepost/core/duration.h"

#include <stdlib.h>
#include <string.h>

int duration_parse(const char *text, int64_t *milliseconds) {
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9)
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].unit) == 0) {
            *milliseconds = strtoll(text, NULL, 10) * units[i].factor;
            return 0;
        }
    }
    return -1;
}
