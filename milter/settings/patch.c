/*
 * The body of a PATCH. Owns its members and their words; whether they may be so is write/self.h's.
 */
#include "patch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gatepost/core/textbuf.h"

json_t *patch_object(const char *text, size_t len, struct why *why) {
    json_error_t error;
    json_t *body = text == NULL ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (text == NULL) {
        why_set(why, "the request has no body");
    } else if (body == NULL) {
        why_set(why, "the body is no JSON, or has a member twice, at octet %d", error.position);
    } else if (!json_is_object(body)) {
        why_set(why, "the body is no JSON object");
        json_decref(body);
        body = NULL;
    }
    return body;
}

bool patch_is_note(const char *note, struct why *why) {
    size_t len = strlen(note);
    for (size_t i = 0, sequence; i < len; i += sequence) {
        sequence = utf8_sequence(note + i, len - i);
        if (sequence == 0 || utf8_is_deceptive(note + i, sequence)) {
            why_set(why, "a note must be one line of text");
            return false;
        }
    }
    if (len > SELF_NOTE_MAX)
        why_set(why, "a note can have %d octets", SELF_NOTE_MAX);
    else if (note[0] == ' ' || (len > 0 && note[len - 1] == ' '))
        why_set(why, "a note cannot begin or end with a space");
    else if (strncasecmp(note, "until=", 6) == 0 || strncasecmp(note, "from=", 5) == 0)
        why_set(why, "a note cannot begin with from= or until=");
    else
        return true;
    return false;
}

/* The first member that is at fault; "GROUP.NAME" inside an object. */
static enum patch_result refuse(struct patch *patch, const char *group, const char *name) {
    if (patch->field[0] == '\0')
        snprintf(patch->field, sizeof patch->field, "%s%s%.200s", group,
                 group[0] == '\0' ? "" : ".", name);
    return PATCH_REFUSED;
}

/* null, or one of two words. */
static enum patch_result read_wish(const json_t *value, const char *restrict_word,
                                   const char *open_word, enum self_wish *out, struct why *why) {
    const char *word = json_string_value(value);
    if (json_is_null(value))
        *out = SELF_UNSET;
    else if (word != NULL && strcmp(word, restrict_word) == 0)
        *out = SELF_RESTRICT;
    else if (word != NULL && strcmp(word, open_word) == 0)
        *out = SELF_OPEN;
    else {
        why_set(why, "it must be \"%s\", \"%s\" or null", restrict_word, open_word);
        return PATCH_REFUSED;
    }
    return PATCH_GOOD;
}

/* An object, and not too many members of it. */
static bool is_group(const json_t *value, struct why *why) {
    if (!json_is_object(value))
        why_set(why, "it must be an object");
    else if (json_object_size(value) > PATCH_MEMBERS_MAX)
        why_set(why, "it can have %d members", PATCH_MEMBERS_MAX);
    else
        return true;
    return false;
}

static enum patch_result read_protocols(struct patch *patch, json_t *group, struct why *why) {
    const char *name;
    json_t *value;
    if (!is_group(group, why))
        return refuse(patch, "", "protocols");
    json_object_foreach(group, name, value) {
        struct self_wish_protocol *wish = &patch->protocols[patch->n_protocols++];
        wish->name = name;
        if (read_wish(value, "off", "on", &wish->wish, why) != PATCH_GOOD)
            return refuse(patch, "protocols", name);
    }
    return PATCH_GOOD;
}

static enum patch_result read_ips(struct patch *patch, json_t *group, struct why *why) {
    const char *name;
    json_t *value;
    if (!is_group(group, why))
        return refuse(patch, "", "ips");
    json_object_foreach(group, name, value) {
        struct self_wish_ip *wish = &patch->ips[patch->n_ips++];
        *wish = (struct self_wish_ip){.block = name, .note = json_string_value(value)};
        if (!json_is_null(value) && wish->note == NULL) {
            why_set(why, "it must be a note, which may be \"\", or null");
            return refuse(patch, "ips", name);
        }
        if (wish->note != NULL && !patch_is_note(wish->note, why))
            return refuse(patch, "ips", name);
    }
    return PATCH_GOOD;
}

static enum patch_result read_member(struct patch *patch, const char *name, json_t *value,
                                     struct why *why) {
    if (strcmp(name, "protocols") == 0)
        return read_protocols(patch, value, why);
    if (strcmp(name, "ips") == 0)
        return read_ips(patch, value, why);
    if (strcmp(name, "source") == 0)
        return read_wish(value, "authorized", "any", &patch->source, why) == PATCH_GOOD
                   ? PATCH_GOOD
                   : refuse(patch, "", name);
    if (strcmp(name, "password") == 0)
        return read_wish(value, "application", "any", &patch->password, why) == PATCH_GOOD
                   ? PATCH_GOOD
                   : refuse(patch, "", name);
    if (strcmp(name, "confirm") != 0) {
        why_set(why, "there is no member \"%.100s\" that can be changed", name);
        return PATCH_BAD;
    }
    patch->confirm = json_is_true(value);
    if (json_is_boolean(value))
        return PATCH_GOOD;
    why_set(why, "it must be true or false");
    return refuse(patch, "", name);
}

enum patch_result patch_read(const char *text, size_t len, struct patch *out, struct why *why) {
    enum patch_result result = PATCH_GOOD, one;
    const char *name;
    json_t *value;
    memset(out, 0, sizeof *out);
    out->body = patch_object(text, len, why);
    if (out->body == NULL)
        return PATCH_BAD;
    /* a member that is unknown comes first: nothing of such a body can be relied on */
    json_object_foreach(out->body, name, value) {
        struct why reason;
        one = read_member(out, name, value, &reason);
        if (one == PATCH_BAD || (one == PATCH_REFUSED && result == PATCH_GOOD))
            *why = reason;
        if (one == PATCH_BAD)
            return PATCH_BAD;
        if (one == PATCH_REFUSED)
            result = PATCH_REFUSED;
    }
    return result;
}

void patch_clear(struct patch *patch) {
    json_decref(patch->body);
    patch->body = NULL;
}
