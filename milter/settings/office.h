/*
 * What answers are made with: the configuration, the tokens, and desks, each with connections to
 * the store of its own, at which one request is answered at a time. A reload makes another office;
 * who has begun in one ends there.
 */
#ifndef GATEPOST_SETTINGS_OFFICE_H
#define GATEPOST_SETTINGS_OFFICE_H

#include "gatepost/config/config.h"
#include "gatepost/write/passwords.h"
#include "gatepost/write/self.h"
#include "gatepost/write/use.h"
#include "tokens.h"

struct office {
    struct config *config;
    struct tokens *tokens;
    void *inside; /* private */
};

struct desk {
    struct self_store *self;
    struct password_store *passwords; /* NULL: a policy file, which has none */
    struct use_store *use;            /* NULL: nothing is recorded */
    struct desk *next;
};

/* Can the store be asked as the configuration says, once it answers? 0, or -1 with the reason. */
int office_check_store(const struct config *config, struct why *why);

/*
 * Takes the configuration over, also when it fails. Nothing is connected yet. Returns 0 and an
 * office with one reference, or -1 with the reason.
 */
int office_open(struct config *config, struct office **out, struct why *why);
void office_release(struct office *office);

/* From now on office_current() gives this one, whose reference it takes over; NULL: none. */
void office_publish(struct office *office);

/* One reference, or NULL. Any thread. */
struct office *office_current(void);

/* A desk that nobody else uses, to be given back; NULL with the reason. Any thread. */
struct desk *office_take_desk(struct office *office, struct why *why);
void office_give_back(struct office *office, struct desk *desk);

#endif
