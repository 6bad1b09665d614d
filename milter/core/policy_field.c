/*
 * The table of policy fields. Owns their names, words and defaults; what an account may do by them
 * is the decision's.
 */
#include "gatepost/core/policy_field.h"

#include <string.h>
#include <strings.h>

static const char *const source_names[] = {"any", "authorized"};
const struct words source_words = WORDS(source_names, "any or authorized");
static const char *const sender_names[] = {"any", "own"};
const struct words sender_words = WORDS(sender_names, "any or own");

static const char *const password_names[] = {"any", "application"};
const struct words password_words = WORDS(password_names, "any or application");

static const char *const spf_setting_names[SPF_RESULTS] = {
    [RESULT_NONE] = "spf:none",           [RESULT_NEUTRAL] = "spf:neutral",
    [RESULT_PASS] = "spf:pass",           [RESULT_SOFTFAIL] = "spf:softfail",
    [RESULT_FAIL] = "spf:fail",           [RESULT_TEMPERROR] = "spf:temperror",
    [RESULT_PERMERROR] = "spf:permerror",
};

const struct policy_field policy_fields[] = {
    {.id = FIELD_PROTOCOL,
     .kind = FIELD_HAS_NAMES,
     .name = "protocol",
     .key = "NAME",
     .words = &switch_words,
     .otherwise = 1,
     .about = "whether the protocol is on",
     .own = "off",
     .stricter = 0},
    {.id = FIELD_SOURCE,
     .kind = FIELD_IS_SETTING,
     .name = "source",
     .words = &source_words,
     .otherwise = SOURCE_ANY,
     .about = "where the account's mail may come from",
     .own = "authorized",
     .stricter = SOURCE_AUTHORIZED},
    {.id = FIELD_IP,
     .kind = FIELD_HAS_ENTRIES,
     .name = "ip",
     .key = "CIDR",
     .about = "a listed address or block",
     .own = ""},
    {.id = FIELD_IP_SPF,
     .kind = FIELD_HAS_ENTRIES,
     .name = "ip:spf",
     .key = "DOMAIN",
     .about = "a provider, whose servers are listed as its domain's SPF record says"},
    {.id = FIELD_SPF,
     .kind = FIELD_HAS_KEYS,
     .name = "spf",
     .key = "RESULT",
     .words = &verdict_words,
     .otherwise = FIELD_CONFIGURED,
     .about = "what is done with mail of this SPF result",
     .keys = &spf_result_words,
     .keys_name = "results",
     .setting_names = spf_setting_names},
    {.id = FIELD_TLS,
     .kind = FIELD_IS_SETTING,
     .name = "tls",
     .words = &need_words,
     .otherwise = NEED_OPTIONAL,
     .about = "whether logins must use TLS"},
    {.id = FIELD_PASSWORD,
     .kind = FIELD_IS_SETTING,
     .name = "password",
     .words = &password_words,
     .otherwise = PASSWORD_ANY,
     .about = "which passwords are good at Dovecot and web servers",
     .own = "application",
     .stricter = PASSWORD_APPLICATION},
    {.id = FIELD_SENDER,
     .kind = FIELD_IS_SETTING,
     .name = "sender",
     .words = &sender_words,
     .otherwise = SENDER_ANY,
     .about = "whose addresses a login may send as"},
    {.id = FIELD_AS,
     .kind = FIELD_HAS_ENTRIES,
     .name = "as",
     .key = "ADDRESS",
     .about = "an address that a login may send as, or all of a domain"},
    {.id = FIELD_MODE,
     .kind = FIELD_IS_SETTING,
     .name = "mode",
     .words = &mode_words,
     .otherwise = FIELD_CONFIGURED,
     .about = "whether verdicts are carried out, or only logged"},
};

const struct policy_field *policy_field_of(enum policy_field_id id) {
    const struct policy_field *field = policy_fields;
    while (field->id != id)
        field++;
    return field;
}

/* Does the name have the form of this field? */
static bool matches(const struct policy_field *field, const char *name, size_t len,
                    struct policy_field_key *key) {
    size_t head = strlen(field->name);
    if (len < head || strncasecmp(name, field->name, head) != 0)
        return false;
    *key = (struct policy_field_key){.text = name + head, .len = len - head};
    if (field->key == NULL)
        return key->len == 0;
    if (key->len == 0 || key->text[0] != ':')
        return false;
    key->text++;
    key->len--;
    if (field->kind != FIELD_HAS_KEYS)
        return true;
    int number = words_find(field->keys, key->text, key->len);
    key->number = number < 0 ? 0 : (size_t)number;
    return number >= 0;
}

const struct policy_field *policy_field_find(const char *name, size_t len,
                                             struct policy_field_key *key) {
    const struct policy_field *found = NULL;
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        struct policy_field_key here;
        if (!matches(&policy_fields[i], name, len, &here) || (found != NULL && here.len > key->len))
            continue;
        found = &policy_fields[i];
        *key = here;
    }
    return found;
}

size_t policy_field_settings(const struct policy_field *field) {
    return field->kind == FIELD_IS_SETTING ? 1
           : field->kind == FIELD_HAS_KEYS ? field->keys->count
                                           : 0;
}

const char *policy_field_setting_name(const struct policy_field *field, size_t number) {
    return field->kind == FIELD_HAS_KEYS ? field->setting_names[number] : field->name;
}
