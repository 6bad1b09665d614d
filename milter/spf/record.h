/*
 * SPF records (RFC 7208 4.5, 4.6, 5, 6, 12): a strict parser of what a stranger's DNS says.
 *
 * A record that the grammar does not allow is refused with the place and the reason; nothing of it
 * is used. Pure; a parsed record is owned by the caller and refers to nothing outside itself.
 */
#ifndef GATEPOST_SPF_RECORD_H
#define GATEPOST_SPF_RECORD_H

#include "gatepost/core/netblock.h"
#include "gatepost/core/vocabulary.h"
#include "gatepost/core/why.h"

enum spf_mechanism {
    MECHANISM_ALL,
    MECHANISM_INCLUDE,
    MECHANISM_A,
    MECHANISM_MX,
    MECHANISM_PTR,
    MECHANISM_IP4,
    MECHANISM_IP6,
    MECHANISM_EXISTS
};

struct spf_term {
    enum spf_mechanism mechanism;
    enum spf_result match; /* the result when it matches: pass, fail, softfail or neutral */
    char *domain_spec;     /* unexpanded; NULL: the current domain */
    struct netblock block; /* of ip4 and ip6 */
    uint8_t cidr4, cidr6;  /* of a and mx */
    char *text;            /* as written, for reports */
};

struct spf_record {
    struct spf_term *terms; /* in order; what follows `all` is checked and left out */
    size_t n;
    bool has_all;
    char *redirect; /* unexpanded; NULL for none */
    char *exp;      /* likewise */
};

/* Is this TXT record an SPF record (RFC 7208 4.5: "v=spf1" and then a space or the end)? */
bool spf_record_is(const char *text, size_t len);

/*
 * Parses an SPF record of `len` octets. Returns 0 and a record to be cleared by the caller; -1
 * with "octet N: reason" in `why` when the grammar does not allow it; -2 when there is no memory.
 */
int spf_record_parse(const char *text, size_t len, struct spf_record *out, struct why *why);
void spf_record_clear(struct spf_record *record);

/*
 * How many bits of the client's address a term looks at, as spf_answer.prefix has it; of an include
 * 0.
 */
unsigned spf_term_prefix(const struct spf_term *term, const struct ip_address *client);

#endif
