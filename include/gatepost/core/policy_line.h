/*
 * One line of a policy file, of an export or an import: `SUBJECT FIELD VALUE`. In a line that
 * begins with a backslash, which is no part of the subject, octets may be written as \\ \n \r \t
 * and \xHH, spaces too; in all others a backslash is a backslash. Pure.
 */
#ifndef GATEPOST_CORE_POLICY_LINE_H
#define GATEPOST_CORE_POLICY_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "gatepost/core/textbuf.h"
#include "gatepost/core/why.h"

/* The longest line, its end included; nobody reads a longer one. */
#define POLICY_LINE_LONGEST ((size_t)1 << 20)

/* Texts of the line itself, terminated there. The value is "" when there is none. */
struct policy_line {
    char *subject, *field, *value;
    bool escaped; /* the line begins with a backslash: nobody has written it by accident */
};

/*
 * Takes `len` octets apart in place; line[len] must be writable. White space at the end, the line
 * end with it, is dropped. Returns 1 for a fact, 0 for a line that is empty or a comment, or -1
 * with the reason; out->subject is then set as far as it is known, else NULL.
 */
int policy_line_parse(char *line, size_t len, struct policy_line *out, struct why *why);

/* What is wrong with the name of a subject, so that no look-up would ask for it; NULL: nothing. */
const char *policy_subject_fault(const char *subject);

/*
 * Can a line hold this fact so that it is read back octet by octet the same? NULL when it can,
 * else why not: a NUL octet, or a subject or field that there cannot be.
 */
const char *policy_line_obstacle(const char *subject, const char *field, size_t field_len,
                                 const char *value, size_t value_len);

/*
 * Appends such a fact as a line with its line end, safe to be shown by a terminal: escaped if it
 * has control or other deceptive characters, octets that are no UTF-8, or spaces which would be
 * lost. It needs at most POLICY_LINE_SIZE of the octets of all three.
 */
#define POLICY_LINE_SIZE(octets) (4 * (octets) + 5)
void policy_line_put(struct textbuf *line, const char *subject, const char *field, size_t field_len,
                     const char *value, size_t value_len);

#endif
