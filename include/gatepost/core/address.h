/*
 * Canonical account names from SASL logins and envelope senders.
 *
 * However a client writes an address, one account has one canonical form, the one that its policy
 * is stored under: domain in lower case as A-labels (IDNA2008, RFC 5890), local part in lower
 * case and unquoted, address extension removed. Pure; results are owned by the caller.
 */
#ifndef GATEPOST_CORE_ADDRESS_H
#define GATEPOST_CORE_ADDRESS_H

#include <stdbool.h>

/*
 * Converts a text. Returns 1 and a malloc'd text; 0 when it cannot be converted (it is then kept,
 * with ASCII letters in lower case); or -1 when there is no memory, which is never the same.
 */
typedef int address_conversion(const char *text, char **out);

struct address_rules {
    const char *default_domain; /* appended where a domain is missing; "" for none */
    const char *delimiters;     /* any of these begins an address extension; "" for none */
    /* A domain to A-labels in lower case. May be NULL, as if no domain could be converted. */
    address_conversion *domain_to_ascii;
    /* Lower case of UTF-8 text. May be NULL likewise. */
    address_conversion *lower_case;
};

struct address {
    char *text;         /* local@domain, or the local part alone; malloc'd */
    const char *domain; /* into text, after the '@'; NULL when there is none */
    /* Of a login: no account can have this name, and which one it was taken for is not known. */
    bool misnamed;
};

/* Behind the quoted-string that begins at `at` (RFC 5321 4.1.2), or the end of what is not closed.
 */
const char *address_skip_quoted(const char *at);

/* A path without its angle brackets and source route (RFC 5321 4.1.2 A-d-l): a part of `path`. */
char *address_strip_path(char *path);

/*
 * Is it a Reverse-path as RFC 5321 4.1.2 has it, with or without angle brackets, source routes
 * aside? Then every MTA reads the same sender from it. The domain is not looked at closely.
 */
bool address_is_path(const char *path);

/*
 * The sender that an MTA makes of what is no Reverse-path. Postfix and Sendmail take more than
 * RFC 5321 knows (white space, comments, "Name <address>", a quoted domain, user%domain,
 * domain!user) and hand the mail on without it, so what they understood is judged: `understood`,
 * the macro {mail_addr}. Sendmail names its own users without their domain, which is then that in
 * `given`. Returns text to be freed, or NULL when there is no memory.
 */
char *address_reread(const char *given, const char *understood);

/*
 * The account of an envelope sender as MAIL FROM carries it (RFC 5321 4.1.2), with or without
 * angle brackets: source routes are dropped, quoted local parts unquoted. Total: any octets give
 * an account. Of a signed sender ("prvs=TAG=local@domain", BATV) it is that without the tag.
 * Returns 0, or -1 only when there is no memory. The null sender gives an empty text.
 */
int address_from_sender(const char *sender, const struct address_rules *rules, struct address *out);

/*
 * Decodes xtext (RFC 3461 4: "+3D" is "=") in place, as Sendmail writes {auth_authen}. What is no
 * xtext stays as it is.
 */
void xtext_decode(char *text);

/*
 * The account of a SASL login: no quoting and no routes there. White space is dropped at the ends
 * and around the '@', and is one space elsewhere: directories and databases compare names in that
 * way, so that "alice@example.com " has logged in as alice@example.com. Total, but `misnamed` where
 * the account would be a guess: the local part is empty; the login is no UTF-8, or has control
 * characters or invisible ones (but a joiner between two letters of a script that needs it); or
 * the domain is no domain name, which includes what IDNA refuses, empty labels and the '?' that
 * Postfix writes for what it cannot print. Returns as above.
 */
int address_from_login(const char *login, const struct address_rules *rules, struct address *out);

/* As of a login, of one of the readings of a sender (readings.h): it may be a signed one. */
int address_from_reading(const char *reading, const struct address_rules *rules,
                         struct address *out);

/*
 * The account of the null sender: postmaster of the HELO name (RFC 7208 2.4). Of one that is no
 * domain name, such as an address literal, it is an empty text. Returns as above.
 */
int address_from_helo(const char *helo, const struct address_rules *rules, struct address *out);

/* Frees what `address` owns and empties it. */
void address_clear(struct address *address);

#endif
