/*
 * Header fields that came with a message and claim to be ours: an Authentication-Results field
 * whose authserv-id is our name (RFC 8601 5), a Received-SPF field whose receiver is (RFC 7208
 * 9.1).
 *
 * Names are compared in one form: A-labels in lower case, without comments, white space of any
 * kind, invisible characters, octets that are no text, quotes, and dots at the end. An
 * Authentication-Results field is read by RFC 8601 2.2: up to the first ';' stand a name and
 * perhaps a version, a number. It is ours when that name is.
 *
 * What cannot be read so belongs to nobody, and readers differ in what they make of it. It is
 * taken for ours if one who leaves out what he does not understand may read our name:
 *   - the first words, put together, are our name: "mx .example", mx."example", <mx.example>;
 *   - our name stands in quotes that have more in them, before a ';';
 *   - it has an encoded-word (RFC 2047), which some readers decode, and which may say anything.
 * A Received-SPF field is ours when one of its receivers is, or when it names more than four.
 * A comment or a quoted-string that does not end is none: its first character is left out.
 * Characters that only look like those of our name are others.
 *
 * Pure; the conversions come in as functions. Nobody shares a struct claim_reader.
 */
#ifndef GATEPOST_CORE_CLAIM_H
#define GATEPOST_CORE_CLAIM_H

#include "gatepost/core/address.h"

/*
 * Names of other than US-ASCII characters that a reader converts; such a conversion costs as much
 * as a hundred fields without. A further one is taken for ours: no honest message has so many.
 */
#define CLAIM_CONVERSIONS 100

struct claim_reader {
    const struct address_rules *rules; /* the conversions of it */
    char *own[2];                      /* our name in the one form, with and without joiners */
    unsigned conversions;              /* so far */
};

/*
 * A reader who looks for `name`, which may be of any form. `rules` must outlive it. Returns 0, or
 * -1 when there is no memory.
 */
int claim_reader_init(struct claim_reader *reader, const char *name,
                      const struct address_rules *rules);
void claim_reader_clear(struct claim_reader *reader);

/*
 * Does the value of a field claim to be ours? 1 if so, 0 if not, -1 when there is no memory. The
 * cost is linear in the length of the value.
 */
int claim_in_authres(struct claim_reader *reader, const char *value);
int claim_in_received_spf(struct claim_reader *reader, const char *value);

#endif
