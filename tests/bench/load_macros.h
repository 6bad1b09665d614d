#ifndef BENCH_LOAD_MACROS_H
#define BENCH_LOAD_MACROS_H

#include "load_identity.h"
#include "load_options.h"
#include "milter_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libmilter's stages, SMFIM_CONNECT to SMFIM_EOH; here they index an array. */
#define LOAD_STAGES 7

/* Which macros go with each stage: one bit for each that the generator has a value for. */
struct load_macros {
    uint32_t wanted[LOAD_STAGES];
};

/* What Postfix 3.7 sends to a filter that asks for nothing. */
void load_macros_default(struct load_macros *macros, const struct load_options *options);

/* Replaces the lists of the stages that the filter named in its negotiation answer; macros the
   generator does not have are left out. False when the lists are malformed. */
bool load_macros_request(struct load_macros *macros, const unsigned char *lists, size_t length);

/* Appends the macro packet that goes before `command`, nothing if no macro has a value. */
void load_macros_put(const struct load_macros *macros, struct milter_buffer *buffer, char command,
                     unsigned stage, const struct load_options *options,
                     const struct load_identity *identity);

#endif
