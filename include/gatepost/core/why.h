/*
 * Why something failed or is refused: one line for a person.
 *
 * A function that can fail for more than one reason takes a `struct why *` and fills it when, and
 * only when, it fails. The text quotes what it was given; whoever shows it escapes it. What does
 * not fit is cut.
 */
#ifndef GATEPOST_CORE_WHY_H
#define GATEPOST_CORE_WHY_H

#define WHY_SIZE 1024

struct why {
    char text[WHY_SIZE];
};

/* Sets the reason, which must not be among the arguments. Returns -1, for `return why_set(...)`. */
int why_set(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
