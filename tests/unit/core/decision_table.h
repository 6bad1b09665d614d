/*
 * tests/decision.table for unit tests: each case is read and put to the decision.
 */
#ifndef GATEPOST_TESTS_UNIT_CORE_DECISION_TABLE_H
#define GATEPOST_TESTS_UNIT_CORE_DECISION_TABLE_H

#include "tests/unit/unit.h"

#include "gatepost/core/decision.h"

/* A subject that the store has. */
#define STORED_MAX 12
struct stored {
    char subject[200];
    struct policy *policy;
};

/* One case of the table. */
struct row {
    char name[200], door[40], client[60], login[100], sender[200], helo[200], account[200];
    char from[200], by[20];
    char delimiters[8], default_domain[60];
    bool tls, app_password, store_down, monitored;
    enum spf_result spf, helo_spf;
    unsigned width, helo_width; /* of a pass */
    struct {
        char domain[80];
        enum spf_result result;
        unsigned width;
    } providers[6];
    size_t n_providers;
    enum verdict_kind kind, would;
    enum reason reason;
    char code[8], enhanced[12];
    struct decision_rules rules;
    struct protocol protocols[4];
    char texts[4][8][24];
    const char *services[4][8], *source_services[12];
    struct stored store[STORED_MAX]; /* up to the first without a policy */
};

/* Where the source of a login is asked for, unless a case says otherwise; 3 of them. */
extern const char *const table_source_services[3];

/* What a test has to say of a case that is decided; everything lasts until it returns. */
typedef void decided_case(const struct row *row, const struct decision *decision,
                          const char *account);

/* The steps that a message can come to, in that order, with spaces; known to a decided_case. */
const char *table_order(void);

/* Decides every case of the table. */
void table_decide(decided_case *check);

#endif
