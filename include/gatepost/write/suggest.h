/*
 * What somebody probably meant by a misspelt word, block or time. Only ever proposed, never taken.
 * Pure.
 */
#ifndef GATEPOST_WRITE_SUGGEST_H
#define GATEPOST_WRITE_SUGGEST_H

#include <stddef.h>

/*
 * The word of the list that `text` is a misspelling of: few letters wrong, missing, too many or
 * swapped, in any case. NULL when none is near enough.
 */
const char *suggest_word(const char *const *words, size_t n, const char *text, size_t len);

/*
 * The CIDR block that is meant by spellings that are not taken: 192.0.2.*, 192.0.2,
 * 192.0.2.0/255.255.255.0, [2001:db8::1], leading zeros, a port, white space, host bits. Returns 0
 * and its text, or -1 when there is nothing to propose.
 */
int suggest_netblock(const char *text, size_t len, char *out, size_t out_size);

/*
 * The account, domain or parent that is meant by a name that nobody has: account:..., *@DOMAIN, and
 * for all subdomains *.DOMAIN, .DOMAIN, @*.DOMAIN, *@*.DOMAIN. Returns 0 and its text, or -1 when
 * there is nothing to propose.
 */
int suggest_account(const char *name, char *out, size_t out_size);

/*
 * The UTC time that is meant by spellings that are not taken: a date alone, without seconds or Z,
 * with a space for the T, with an offset, a day after the end of the month. Returns 0 and its
 * text, or -1 when there is nothing to propose.
 */
int suggest_time(const char *text, size_t len, char *out, size_t out_size);

#endif
