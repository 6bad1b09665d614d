/* The packets of the milter protocol, version 6, as the MTA writes and reads them. It owns framing
   and the shape of each answer; what to say when, and what an answer means for a session, it must
   not know. */

#include "milter_wire.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <stdlib.h>
#include <string.h>

bool milter_buffer_reserve(struct milter_buffer *buffer, size_t extra) {
    if (buffer->failed)
        return false;
    if (buffer->size - buffer->used >= extra)
        return true;
    size_t size = buffer->size > 0 ? buffer->size : 512;
    while (size - buffer->used < extra)
        size *= 2;
    unsigned char *bytes = realloc(buffer->bytes, size);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->size = size;
    return true;
}

void milter_buffer_free(struct milter_buffer *buffer) {
    free(buffer->bytes);
    memset(buffer, 0, sizeof *buffer);
}

void milter_wire_put(struct milter_buffer *buffer, const void *bytes, size_t length) {
    if (!milter_buffer_reserve(buffer, length))
        return;
    memcpy(buffer->bytes + buffer->used, bytes, length);
    buffer->used += length;
}

void milter_wire_put_string(struct milter_buffer *buffer, const char *text) {
    milter_wire_put(buffer, text, strlen(text) + 1);
}

void milter_wire_put_u16(struct milter_buffer *buffer, uint16_t value) {
    uint16_t wire = htons(value);
    milter_wire_put(buffer, &wire, sizeof wire);
}

void milter_wire_put_u32(struct milter_buffer *buffer, uint32_t value) {
    uint32_t wire = htonl(value);
    milter_wire_put(buffer, &wire, sizeof wire);
}

size_t milter_wire_begin(struct milter_buffer *buffer, char command) {
    size_t start = buffer->used;
    milter_wire_put_u32(buffer, 0);
    milter_wire_put(buffer, &command, 1);
    return start;
}

void milter_wire_end(struct milter_buffer *buffer, size_t start) {
    if (buffer->failed)
        return;
    uint32_t wire = htonl((uint32_t)(buffer->used - start - MILTER_LEN_BYTES));
    memcpy(buffer->bytes + start, &wire, sizeof wire);
}

uint32_t milter_wire_u32(const unsigned char *bytes) {
    uint32_t wire;
    memcpy(&wire, bytes, sizeof wire);
    return ntohl(wire);
}

int milter_wire_next(const struct milter_buffer *buffer, size_t *offset,
                     struct milter_packet *packet) {
    size_t left = buffer->used - *offset;
    if (left < MILTER_LEN_BYTES)
        return 0;
    const unsigned char *start = buffer->bytes + *offset;
    uint32_t length = milter_wire_u32(start);
    if (length < 1 || length > MILTER_WIRE_MAX)
        return -1;
    if (left - MILTER_LEN_BYTES < length)
        return 0;
    packet->command = start[MILTER_LEN_BYTES];
    packet->payload = start + MILTER_LEN_BYTES + 1;
    packet->length = length - 1;
    *offset += MILTER_LEN_BYTES + length;
    return 1;
}

/* True when the bytes are `least` to `most` strings, each with its NUL, and nothing else. */
static bool is_strings(const unsigned char *bytes, size_t length, unsigned least, unsigned most) {
    unsigned count = 0;
    for (size_t i = 0; i < length; i++)
        count += bytes[i] == '\0';
    return count >= least && count <= most && bytes[length - 1] == '\0';
}

/* The same after the index that CHGHEADER and INSHEADER begin with. */
static bool is_indexed_header(const struct milter_packet *packet) {
    return packet->length > MILTER_LEN_BYTES &&
           is_strings(packet->payload + MILTER_LEN_BYTES, packet->length - MILTER_LEN_BYTES, 2, 2);
}

/* An SMTP reply of one or more lines, "550-..." CR LF "550 ...": same code throughout. */
static enum milter_answer replycode_answer(const struct milter_packet *packet) {
    if (!is_strings(packet->payload, packet->length, 1, 1))
        return MILTER_MALFORMED;
    const char *text = (const char *)packet->payload;
    if ((text[0] != '4' && text[0] != '5') || !isdigit((unsigned char)text[1]) ||
        !isdigit((unsigned char)text[2]))
        return MILTER_MALFORMED;
    for (const char *line = text;;) {
        const char *end = strstr(line, "\r\n");
        bool last = end == NULL;
        if (strncmp(line, text, 3) != 0 || line[3] != (last ? ' ' : '-'))
            return MILTER_MALFORMED;
        if (last)
            break;
        line = end + 2;
    }
    return text[0] == '4' ? MILTER_TEMPFAIL : MILTER_REJECT;
}

static enum milter_answer when(bool well_formed, enum milter_answer answer) {
    return well_formed ? answer : MILTER_MALFORMED;
}

static enum milter_answer modification_answer(const struct milter_packet *packet,
                                              uint32_t *action) {
    const unsigned char *payload = packet->payload;
    size_t length = packet->length;
    switch (packet->command) {
    case SMFIR_ADDHEADER:
        *action = SMFIF_ADDHDRS;
        return when(is_strings(payload, length, 2, 2), MILTER_MODIFY);
    case SMFIR_INSHEADER:
        *action = SMFIF_ADDHDRS;
        return when(is_indexed_header(packet), MILTER_MODIFY);
    case SMFIR_CHGHEADER:
        *action = SMFIF_CHGHDRS;
        return when(is_indexed_header(packet), MILTER_MODIFY);
    case SMFIR_ADDRCPT:
        *action = SMFIF_ADDRCPT;
        return when(is_strings(payload, length, 1, 1), MILTER_MODIFY);
    case SMFIR_ADDRCPT_PAR:
        *action = SMFIF_ADDRCPT_PAR;
        return when(is_strings(payload, length, 1, 2), MILTER_MODIFY);
    case SMFIR_DELRCPT:
        *action = SMFIF_DELRCPT;
        return when(is_strings(payload, length, 1, 1), MILTER_MODIFY);
    case SMFIR_CHGFROM:
        *action = SMFIF_CHGFROM;
        return when(is_strings(payload, length, 1, 2), MILTER_MODIFY);
    case SMFIR_QUARANTINE:
        *action = SMFIF_QUARANTINE;
        return when(is_strings(payload, length, 1, 1), MILTER_MODIFY);
    case SMFIR_REPLBODY:
        *action = SMFIF_CHGBODY;
        return MILTER_MODIFY;
    default:
        return MILTER_MALFORMED;
    }
}

enum milter_answer milter_wire_answer(const struct milter_packet *packet, uint32_t *action) {
    bool bare = packet->length == 0;
    switch (packet->command) {
    case SMFIR_PROGRESS:
        return when(bare, MILTER_PROGRESS);
    case SMFIR_CONTINUE:
    case SMFIR_SKIP:
        return when(bare, MILTER_CONTINUE);
    case SMFIR_ACCEPT:
        return when(bare, MILTER_ACCEPT);
    case SMFIR_DISCARD:
        return when(bare, MILTER_DISCARD);
    case SMFIR_REJECT:
        return when(bare, MILTER_REJECT);
    case SMFIR_TEMPFAIL:
    case SMFIR_SHUTDOWN:
    case SMFIR_CONN_FAIL:
        return when(bare, MILTER_TEMPFAIL);
    case SMFIR_REPLYCODE:
        return replycode_answer(packet);
    default:
        return modification_answer(packet, action);
    }
}
