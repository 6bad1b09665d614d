/*
 * Parents of domains. Owns which part of a domain name is one.
 */
#include "gatepost/core/parents.h"

#include <string.h>

bool parents_can_be(const char *domain) {
    size_t labels = 1;
    for (; *domain != '\0'; domain++)
        labels += *domain == '.';
    return labels >= PARENT_LABELS_MIN && labels <= PARENT_LABELS_MAX;
}

size_t parents_of(const char *domain, const char *parents[PARENTS_MAX]) {
    size_t dots = 0, n = 0;
    if (domain[0] == '[')
        return 0;
    for (const char *p = domain; *p != '\0'; p++)
        dots += *p == '.';
    /* behind a dot there are as many labels as there are dots from there on */
    for (const char *p = domain; dots >= PARENT_LABELS_MIN; p++) {
        if (*p != '.')
            continue;
        if (dots <= PARENT_LABELS_MAX)
            parents[n++] = p;
        dots--;
    }
    return n;
}
