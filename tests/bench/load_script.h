#ifndef BENCH_LOAD_SCRIPT_H
#define BENCH_LOAD_SCRIPT_H

#include "load_identity.h"
#include "load_macros.h"
#include "load_options.h"
#include "milter_wire.h"

#include <stdbool.h>
#include <stdint.h>

/* The commands of a session in their order; LOAD_HEADER comes once for each header. */
enum load_step {
    LOAD_NEGOTIATE,
    LOAD_CONNECT,
    LOAD_HELO,
    LOAD_MAIL,
    LOAD_RCPT,
    LOAD_DATA,
    LOAD_HEADER,
    LOAD_EOH,
    LOAD_BODY,
    LOAD_EOM,
    LOAD_STEPS
};

const char *load_step_name(enum load_step step);

/* What filter and MTA agreed on. */
struct load_terms {
    uint32_t actions; /* SMFIF_ bits that the filter may use */
    uint32_t steps;   /* SMFIP_ bits that are in force */
    struct load_macros macros;
};

/* The last negotiation answer and what it came to: a filter gives each session the same one. All
   zero is a cache that holds nothing. */
struct load_terms_cache {
    bool filled;
    struct milter_buffer answer;
    struct load_terms terms;
};

/* Reads the answer to LOAD_NEGOTIATE. False when it is malformed or asks for what was not offered.
   The cache is used and refreshed; free its `answer` in the end. */
bool load_script_agree(struct load_terms *terms, struct load_terms_cache *cache,
                       const struct milter_packet *packet, const struct load_options *options);

/* Where a session is in the script. */
struct load_position {
    enum load_step step;
    unsigned header;
};

/* The position after this one; step LOAD_STEPS when there is nothing more to say. */
struct load_position load_script_next(struct load_position position);

/* Appends the command at that position with its macros, as far as the terms ask for them. True
   when the filter owes an answer. */
bool load_script_say(struct milter_buffer *buffer, struct load_position position,
                     const struct load_terms *terms, const struct load_options *options,
                     const struct load_identity *identity);

#endif
