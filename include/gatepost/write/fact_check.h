/*
 * May this fact be written? What policy.h would make of it is asked before anything is stored, with
 * the correction proposed for what it would not take. Pure.
 *
 * Reasons quote what was written; whoever shows them escapes them.
 */
#ifndef GATEPOST_WRITE_FACT_CHECK_H
#define GATEPOST_WRITE_FACT_CHECK_H

#include "gatepost/core/address.h"
#include "gatepost/core/decision.h"
#include "gatepost/core/why.h"

/* What the configuration has to do with it: its protocol sections, its rules for addresses. */
struct fact_rules {
    const struct decision_rules *decision;
    const struct address_rules *address;
};

/* What is wrong with it. */
enum fact_kind {
    FACT_GOOD,
    FACT_BAD_SUBJECT, /* no look-up asks for it */
    FACT_UNKNOWN_FIELD,
    FACT_UNKNOWN_PROTOCOL, /* or one that has no effect */
    FACT_MALFORMED,        /* name or value cannot be read */
    FACT_NO_EFFECT,        /* nothing is ever compared with it */
    FACT_SPELLING,         /* works as it is meant, but should be written otherwise */
    FACT_HOST_BITS,        /* the same, of bits after the prefix length of a block */
    FACT_UNCHECKED,        /* there was no memory for the check */
    FACT_KINDS
};

/* Is it good, or at least does it work as it is meant? */
bool fact_works(enum fact_kind kind);

/* Is it UTF-8 (RFC 3629) without control characters of ASCII? Others are odd octets. */
bool fact_is_plain(const char *text, size_t len);

/* Is it a subject that a look-up asks for? Not FACT_GOOD: the reason in `why`. */
enum fact_kind fact_check_subject(const struct fact_rules *rules, const char *subject,
                                  struct why *why);

/* The same of one fact of a good subject. */
enum fact_kind fact_check(const struct fact_rules *rules, const char *subject, const char *field,
                          size_t field_len, const char *value, size_t value_len, struct why *why);

/*
 * Does the configuration, or the list of services, know a protocol of this name (lower case, or
 * "*")? FACT_UNKNOWN_PROTOCOL with the reason when switching it has no effect.
 */
enum fact_kind fact_check_protocol(const struct decision_rules *rules, const char *name,
                                   struct why *why);

/*
 * The names that switch something: those of the protocol sections, then the services that no
 * section names. Writes at most `room` of them; returns how many there are.
 */
size_t fact_protocols(const struct decision_rules *rules, const char **names, size_t room);

/* Does some protocol section contain the service? */
bool fact_service_is_bound(const struct decision_rules *rules, const char *service);

#endif
