/* The macros that an MTA sends to a filter: their names, their values, and which of them go with
   which command. It owns the lists that a filter may ask for; it must not know when a command is
   due. */

#include "load_macros.h"

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <string.h>

enum macro {
    MACRO_HOST,
    MACRO_VERSION,
    MACRO_PEER,
    MACRO_DAEMON_NAME,
    MACRO_DAEMON_ADDR,
    MACRO_DAEMON_PORT,
    MACRO_CLIENT_ADDR,
    MACRO_CLIENT_NAME,
    MACRO_CLIENT_PORT,
    MACRO_CLIENT_PTR,
    MACRO_CLIENT_RESOLVE,
    MACRO_CLIENT_CONNECTIONS,
    MACRO_TLS_VERSION,
    MACRO_CIPHER,
    MACRO_CIPHER_BITS,
    MACRO_QUEUE_ID,
    MACRO_AUTH_TYPE,
    MACRO_AUTH_AUTHEN,
    MACRO_MAIL_ADDR,
    MACRO_MAIL_HOST,
    MACRO_MAIL_MAILER,
    MACRO_RCPT_ADDR,
    MACRO_RCPT_HOST,
    MACRO_RCPT_MAILER,
    MACROS
};

#define BIT(macro) (UINT32_C(1) << (macro))

static const char *const macro_names[MACROS] = {[MACRO_HOST] = "j",
                                                [MACRO_VERSION] = "v",
                                                [MACRO_PEER] = "_",
                                                [MACRO_DAEMON_NAME] = "{daemon_name}",
                                                [MACRO_DAEMON_ADDR] = "{daemon_addr}",
                                                [MACRO_DAEMON_PORT] = "{daemon_port}",
                                                [MACRO_CLIENT_ADDR] = "{client_addr}",
                                                [MACRO_CLIENT_NAME] = "{client_name}",
                                                [MACRO_CLIENT_PORT] = "{client_port}",
                                                [MACRO_CLIENT_PTR] = "{client_ptr}",
                                                [MACRO_CLIENT_RESOLVE] = "{client_resolve}",
                                                [MACRO_CLIENT_CONNECTIONS] = "{client_connections}",
                                                [MACRO_TLS_VERSION] = "{tls_version}",
                                                [MACRO_CIPHER] = "{cipher}",
                                                [MACRO_CIPHER_BITS] = "{cipher_bits}",
                                                [MACRO_QUEUE_ID] = "i",
                                                [MACRO_AUTH_TYPE] = "{auth_type}",
                                                [MACRO_AUTH_AUTHEN] = "{auth_authen}",
                                                [MACRO_MAIL_ADDR] = "{mail_addr}",
                                                [MACRO_MAIL_HOST] = "{mail_host}",
                                                [MACRO_MAIL_MAILER] = "{mail_mailer}",
                                                [MACRO_RCPT_ADDR] = "{rcpt_addr}",
                                                [MACRO_RCPT_HOST] = "{rcpt_host}",
                                                [MACRO_RCPT_MAILER] = "{rcpt_mailer}"};

void load_macros_default(struct load_macros *macros, const struct load_options *options) {
    uint32_t *wanted = macros->wanted;
    wanted[SMFIM_CONNECT] = BIT(MACRO_HOST) | BIT(MACRO_VERSION) | BIT(MACRO_PEER) |
                            BIT(MACRO_DAEMON_NAME) | BIT(MACRO_DAEMON_ADDR);
    if (options->daemon_port != NULL)
        wanted[SMFIM_CONNECT] |= BIT(MACRO_DAEMON_PORT);
    wanted[SMFIM_HELO] = BIT(MACRO_TLS_VERSION) | BIT(MACRO_CIPHER) | BIT(MACRO_CIPHER_BITS);
    wanted[SMFIM_ENVFROM] = BIT(MACRO_AUTH_TYPE) | BIT(MACRO_AUTH_AUTHEN) | BIT(MACRO_MAIL_ADDR) |
                            BIT(MACRO_MAIL_HOST) | BIT(MACRO_MAIL_MAILER) | BIT(MACRO_QUEUE_ID);
    wanted[SMFIM_ENVRCPT] =
        BIT(MACRO_RCPT_ADDR) | BIT(MACRO_RCPT_HOST) | BIT(MACRO_RCPT_MAILER) | BIT(MACRO_QUEUE_ID);
    wanted[SMFIM_DATA] = BIT(MACRO_QUEUE_ID);
    wanted[SMFIM_EOH] = BIT(MACRO_QUEUE_ID);
    wanted[SMFIM_EOM] = BIT(MACRO_QUEUE_ID);
}

/* The bit of a name as a filter writes it; braces make no difference. */
static uint32_t macro_bit(const char *name, size_t length) {
    if (length >= 2 && name[0] == '{' && name[length - 1] == '}') {
        name++;
        length -= 2;
    }
    for (unsigned macro = 0; macro < MACROS; macro++) {
        const char *known = macro_names[macro];
        size_t known_length = strlen(known);
        if (known[0] == '{') {
            known++;
            known_length -= 2;
        }
        if (length == known_length && memcmp(name, known, length) == 0)
            return BIT(macro);
    }
    return 0;
}

static uint32_t list_bits(const char *list) {
    static const char separators[] = " ,\t\r\n";
    uint32_t bits = 0;
    list += strspn(list, separators);
    while (*list != '\0') {
        size_t length = strcspn(list, separators);
        bits |= macro_bit(list, length);
        list += length;
        list += strspn(list, separators);
    }
    return bits;
}

bool load_macros_request(struct load_macros *macros, const unsigned char *lists, size_t length) {
    while (length > 0) {
        if (length <= MILTER_LEN_BYTES)
            return false;
        uint32_t stage = milter_wire_u32(lists);
        const unsigned char *list = lists + MILTER_LEN_BYTES;
        const unsigned char *end = memchr(list, '\0', length - MILTER_LEN_BYTES);
        if (stage >= LOAD_STAGES || end == NULL)
            return false;
        macros->wanted[stage] = list_bits((const char *)list);
        length -= (size_t)(end + 1 - lists);
        lists = end + 1;
    }
    return true;
}

/* What the MTA knows of the client and of itself, at any stage. NULL: not set. */
static const char *connection_value(unsigned macro, const struct load_options *options,
                                    const struct load_identity *identity) {
    switch (macro) {
    case MACRO_HOST:
        return "mx.example.net";
    case MACRO_VERSION:
        return "Postfix 3.7.11";
    case MACRO_PEER:
        return identity->peer;
    case MACRO_DAEMON_NAME:
        return options->daemon_name;
    case MACRO_DAEMON_ADDR:
        return "127.0.0.1";
    case MACRO_DAEMON_PORT:
        return options->daemon_port != NULL ? options->daemon_port : "25";
    case MACRO_CLIENT_ADDR:
        return identity->tagged_client;
    case MACRO_CLIENT_NAME:
    case MACRO_CLIENT_PTR:
        return LOAD_CLIENT_NAME;
    case MACRO_CLIENT_PORT:
        return "40000";
    case MACRO_CLIENT_RESOLVE:
        return "OK";
    case MACRO_CLIENT_CONNECTIONS:
        return "1";
    case MACRO_TLS_VERSION:
        return options->tls ? "TLSv1.3" : NULL;
    case MACRO_CIPHER:
        return options->tls ? "TLS_AES_256_GCM_SHA384" : NULL;
    case MACRO_CIPHER_BITS:
        return options->tls ? "256" : NULL;
    default:
        return NULL;
    }
}

static const char *domain_of(const char *address) {
    const char *at = strrchr(address, '@');
    return at != NULL ? at + 1 : "";
}

static const char *macro_value(unsigned macro, unsigned stage, const struct load_options *options,
                               const struct load_identity *identity) {
    bool numbered = options->queue_id || stage >= SMFIM_DATA;
    bool logged_in = options->login != NULL;
    switch (macro) {
    case MACRO_QUEUE_ID:
        return numbered ? identity->queue_id : NULL;
    case MACRO_AUTH_TYPE:
        return logged_in ? "PLAIN" : NULL;
    case MACRO_AUTH_AUTHEN:
        return logged_in ? identity->login : NULL;
    case MACRO_MAIL_ADDR:
        return identity->sender;
    case MACRO_MAIL_HOST:
        return domain_of(identity->sender);
    case MACRO_MAIL_MAILER:
        return "smtp";
    case MACRO_RCPT_ADDR:
        return "bob@example.net";
    case MACRO_RCPT_HOST:
        return "example.net";
    case MACRO_RCPT_MAILER:
        return "local";
    default:
        return connection_value(macro, options, identity);
    }
}

void load_macros_put(const struct load_macros *macros, struct milter_buffer *buffer, char command,
                     unsigned stage, const struct load_options *options,
                     const struct load_identity *identity) {
    size_t before = buffer->used;
    size_t start = milter_wire_begin(buffer, SMFIC_MACRO);
    milter_wire_put(buffer, &command, 1);
    size_t empty = buffer->used;
    uint32_t left = macros->wanted[stage];
    while (left != 0) {
        unsigned macro = (unsigned)__builtin_ctz(left);
        left &= left - 1;
        const char *value = macro_value(macro, stage, options, identity);
        if (value != NULL) {
            milter_wire_put_string(buffer, macro_names[macro]);
            milter_wire_put_string(buffer, value);
        }
    }
    if (buffer->used == empty)
        buffer->used = before;
    else
        milter_wire_end(buffer, start);
}
