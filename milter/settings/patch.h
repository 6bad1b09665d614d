/*
 * What a change asks for: the body of a PATCH, application/merge-patch+json (RFC 7396), read
 * strictly.
 */
#ifndef GATEPOST_SETTINGS_PATCH_H
#define GATEPOST_SETTINGS_PATCH_H

#include <jansson.h>

#include "gatepost/core/why.h"
#include "gatepost/write/self.h"

/* Members of `protocols` and of `ips`, each. */
#define PATCH_MEMBERS_MAX 100

/* Room for the name of a member: "protocols.NAME", "ips.BLOCK". */
#define PATCH_FIELD_SIZE 300

struct patch {
    struct self_wish_protocol protocols[PATCH_MEMBERS_MAX];
    struct self_wish_ip ips[PATCH_MEMBERS_MAX];
    size_t n_protocols, n_ips;
    enum self_wish source, password;
    bool confirm;
    json_t *body; /* owns the texts */
    /* of PATCH_REFUSED: the member that is at fault */
    char field[PATCH_FIELD_SIZE];
};

enum patch_result {
    PATCH_GOOD,
    PATCH_BAD,     /* no JSON object, a member twice, or one that is unknown: for the reason */
    PATCH_REFUSED, /* a member cannot be this, for the reason */
};

/* Reads `len` octets. To be cleared in every case. */
enum patch_result patch_read(const char *text, size_t len, struct patch *out, struct why *why);
void patch_clear(struct patch *patch);

/*
 * An object of JSON without a member twice; NULL with the reason. A new reference. The reason never
 * quotes the text.
 */
json_t *patch_object(const char *text, size_t len, struct why *why);

/* One line of UTF-8 that shows what it is, and says no time in front of itself? */
bool patch_is_note(const char *note, struct why *why);

#endif
