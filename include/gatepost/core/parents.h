/*
 * The parents of a domain: those above it that can have policy for all their subdomains. Pure.
 */
#ifndef GATEPOST_CORE_PARENTS_H
#define GATEPOST_CORE_PARENTS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A parent has so many labels. With fewer it would be nobody's (.com), and with more a name of many
 * labels would cost a look-up for each.
 */
#define PARENT_LABELS_MIN 2
#define PARENT_LABELS_MAX 5
#define PARENTS_MAX (PARENT_LABELS_MAX - PARENT_LABELS_MIN + 1)

/*
 * The parents of a domain in lower case, nearest first, each as a part of `domain` that begins with
 * its dot: ".c.example.com" and ".example.com" of "b.c.example.com". The domain itself is none. An
 * address literal has none. Returns how many there are.
 */
size_t parents_of(const char *domain, const char *parents[PARENTS_MAX]);

/* Can a domain with so many labels as this one, which has no dot in front, be a parent? */
bool parents_can_be(const char *domain);

#endif
