/* What the MTA says in a session, command by command: what it offers, what the message is, and
   which commands and answers the negotiated steps leave out. Like Postfix it sends a skipped
   command's macros nevertheless. It must not know of sockets, answers or time. */

#include "load_script.h"

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <string.h>

#define OFFERED_ACTIONS ((uint32_t)SMFI_CURR_ACTS)
#define OFFERED_STEPS ((uint32_t)SMFI_CURR_PROT)
#define OLDEST_VERSION 2u

#define NO_STAGE UINT32_MAX

static const struct {
    const char *name;
    uint32_t skipped_by;
    uint32_t unanswered_by;
    unsigned stage;
    char command;
} script[LOAD_STEPS] = {
    [LOAD_NEGOTIATE] = {"negotiate", 0, 0, NO_STAGE, SMFIC_OPTNEG},
    [LOAD_CONNECT] = {"connect", SMFIP_NOCONNECT, SMFIP_NR_CONN, SMFIM_CONNECT, SMFIC_CONNECT},
    [LOAD_HELO] = {"helo", SMFIP_NOHELO, SMFIP_NR_HELO, SMFIM_HELO, SMFIC_HELO},
    [LOAD_MAIL] = {"mail", SMFIP_NOMAIL, SMFIP_NR_MAIL, SMFIM_ENVFROM, SMFIC_MAIL},
    [LOAD_RCPT] = {"rcpt", SMFIP_NORCPT, SMFIP_NR_RCPT, SMFIM_ENVRCPT, SMFIC_RCPT},
    [LOAD_DATA] = {"data", SMFIP_NODATA, SMFIP_NR_DATA, SMFIM_DATA, SMFIC_DATA},
    [LOAD_HEADER] = {"header", SMFIP_NOHDRS, SMFIP_NR_HDR, NO_STAGE, SMFIC_HEADER},
    [LOAD_EOH] = {"eoh", SMFIP_NOEOH, SMFIP_NR_EOH, SMFIM_EOH, SMFIC_EOH},
    [LOAD_BODY] = {"body", SMFIP_NOBODY, SMFIP_NR_BODY, NO_STAGE, SMFIC_BODY},
    [LOAD_EOM] = {"eom", 0, 0, SMFIM_EOM, SMFIC_BODYEOB},
};

static const struct {
    const char *name;
    const char *value; /* with the space that SMFIP_HDR_LEADSPC asks for */
} headers[] = {
    {"From", " Alice <alice@example.com>"},
    {"To", " Bob <bob@example.net>"},
    {"Subject", " The figures you asked for"},
    {"Date", " Thu, 01 Jan 2026 12:00:00 +0000"},
    {"Message-ID", " <20260101120000.1@example.com>"},
    {"MIME-Version", " 1.0"},
    {"Content-Type", " text/plain; charset=us-ascii"},
};
#define HEADERS (sizeof headers / sizeof headers[0])

static const char body[] = "Dear Bob,\r\n\r\n"
                           "here are the figures you asked for, and they are good ones.\r\n\r\n"
                           "Alice\r\n";

const char *load_step_name(enum load_step step) {
    return step < LOAD_STEPS ? script[step].name : "end";
}

bool load_script_agree(struct load_terms *terms, struct load_terms_cache *cache,
                       const struct milter_packet *packet, const struct load_options *options) {
    if (packet->command != SMFIC_OPTNEG || packet->length < MILTER_OPTLEN)
        return false;
    if (cache->filled && cache->answer.used == packet->length &&
        memcmp(cache->answer.bytes, packet->payload, packet->length) == 0) {
        *terms = cache->terms;
        return true;
    }
    uint32_t version = milter_wire_u32(packet->payload);
    terms->actions = milter_wire_u32(packet->payload + MILTER_LEN_BYTES);
    terms->steps = milter_wire_u32(packet->payload + 2 * MILTER_LEN_BYTES);
    load_macros_default(&terms->macros, options);
    if (version < OLDEST_VERSION || version > SMFI_PROT_VERSION ||
        (terms->actions & ~OFFERED_ACTIONS) != 0 || (terms->steps & ~OFFERED_STEPS) != 0 ||
        !load_macros_request(&terms->macros, packet->payload + MILTER_OPTLEN,
                             packet->length - MILTER_OPTLEN))
        return false;
    cache->answer.used = 0;
    milter_wire_put(&cache->answer, packet->payload, packet->length);
    cache->filled = !cache->answer.failed;
    cache->terms = *terms;
    return true;
}

struct load_position load_script_next(struct load_position position) {
    if (position.step == LOAD_HEADER && position.header + 1 < HEADERS)
        position.header++;
    else
        position.step++;
    return position;
}

static void put_connect(struct milter_buffer *buffer, const struct load_options *options,
                        const struct load_identity *identity) {
    char family = options->client_family == AF_INET ? SMFIA_INET : SMFIA_INET6;
    milter_wire_put_string(buffer, LOAD_CLIENT_NAME);
    milter_wire_put(buffer, &family, 1);
    milter_wire_put_u16(buffer, 40000);
    milter_wire_put_string(buffer, identity->client);
}

static void put_header(struct milter_buffer *buffer, unsigned header,
                       const struct load_terms *terms) {
    bool leading_space = (terms->steps & SMFIP_HDR_LEADSPC) != 0;
    milter_wire_put_string(buffer, headers[header].name);
    milter_wire_put_string(buffer, headers[header].value + (leading_space ? 0 : 1));
}

static void put_payload(struct milter_buffer *buffer, struct load_position position,
                        const struct load_terms *terms, const struct load_options *options,
                        const struct load_identity *identity) {
    switch (position.step) {
    case LOAD_NEGOTIATE:
        milter_wire_put_u32(buffer, SMFI_PROT_VERSION);
        milter_wire_put_u32(buffer, OFFERED_ACTIONS);
        milter_wire_put_u32(buffer, OFFERED_STEPS);
        break;
    case LOAD_CONNECT:
        put_connect(buffer, options, identity);
        break;
    case LOAD_HELO:
        milter_wire_put_string(buffer, options->helo);
        break;
    case LOAD_MAIL:
        milter_wire_put_string(buffer, identity->path);
        break;
    case LOAD_RCPT:
        milter_wire_put_string(buffer, "<bob@example.net>");
        break;
    case LOAD_HEADER:
        put_header(buffer, position.header, terms);
        break;
    case LOAD_BODY:
        milter_wire_put(buffer, body, sizeof body - 1);
        break;
    default:
        break;
    }
}

bool load_script_say(struct milter_buffer *buffer, struct load_position position,
                     const struct load_terms *terms, const struct load_options *options,
                     const struct load_identity *identity) {
    enum load_step step = position.step;
    char command = script[step].command;
    if (script[step].stage != NO_STAGE)
        load_macros_put(&terms->macros, buffer, command, script[step].stage, options, identity);
    if ((terms->steps & script[step].skipped_by) != 0)
        return false;
    size_t start = milter_wire_begin(buffer, command);
    put_payload(buffer, position, terms, options, identity);
    milter_wire_end(buffer, start);
    return (terms->steps & script[step].unanswered_by) == 0;
}
