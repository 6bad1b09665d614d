/*
 * Characters in names: which ones nobody sees, so that two names that look the same, and that a
 * login service may take for the same, are two. Pure.
 */
#ifndef GATEPOST_CORE_CHARACTERS_H
#define GATEPOST_CORE_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>

/* In place of a character: an octet that is none in UTF-8 (RFC 3629), overlong forms included. */
#define CHARACTER_NONE 0xffffffffU

/* The character at `at`, which is terminated, and the octets that it takes in *len: 1 to 4. The
 * end of the text is the character 0, of one octet. */
unsigned character_at(const char *at, size_t *len);

/* White space of Unicode and of ASCII. */
bool character_is_space(unsigned character);

/*
 * Is it not seen? Those are controls, what Unicode calls Default_Ignorable_Code_Point, but the
 * joiners, what is no character at all, and CHARACTER_NONE.
 */
bool character_is_unseen(unsigned character);

/* The zero-width joiner and non-joiner. */
bool character_is_joiner(unsigned character);

/* Are these two of a script that needs a joiner between them? */
bool character_joins(unsigned before, unsigned after);

#endif
