/*
 * Questions on the wire. Owns how one is written and recognised in a response; how it is sent, and
 * what the response says, is not its business.
 */
#include "question.h"

#include <string.h>

#define LABEL_MAX 63

enum { FLAG_RESPONSE = 0x80, OPCODE = 0x78, FLAG_RECURSION = 0x01 }; /* of octet 2 */

static void put16(unsigned char *at, unsigned value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

/* The length of the name in wire form, 0 for what is no name. */
static size_t put_name(const char *name, unsigned char out[DNS_WIRE_NAME_MAX]) {
    size_t n = 0;
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        if (label == 0 || label > LABEL_MAX || n + 1 + label + 1 > DNS_WIRE_NAME_MAX)
            return 0;
        out[n++] = (unsigned char)label;
        memcpy(out + n, name, label);
        n += label;
        name += label;
        name += *name == '.';
    }
    out[n] = 0;
    return n + 1;
}

int dns_question_write(const char *name, enum dns_type type, struct dns_question *out) {
    static const unsigned char header[DNS_HEADER_SIZE] = {[2] = FLAG_RECURSION, [5] = 1};
    memcpy(out->wire, header, sizeof header);
    size_t len = put_name(name, out->wire + DNS_HEADER_SIZE);
    if (len == 0)
        return -1;
    unsigned char *at = out->wire + DNS_HEADER_SIZE + len;
    put16(at, (unsigned)type);
    put16(at + 2, 1); /* class IN */
    out->type = type;
    out->end = DNS_HEADER_SIZE + len + 4;
    return 0;
}

size_t dns_question_put(const struct dns_question *question, uint16_t id, bool edns,
                        unsigned char out[DNS_QUESTION_SIZE]) {
    /* the root's name, type OPT, the payload in place of a class, no flags and no options */
    static const unsigned char opt[DNS_OPT_SIZE] = {0, 0, 41, DNS_UDP_PAYLOAD >> 8,
                                                    DNS_UDP_PAYLOAD & 0xff};
    memcpy(out, question->wire, question->end);
    put16(out, id);
    if (!edns)
        return question->end;
    out[11] = 1; /* additional records */
    memcpy(out + question->end, opt, sizeof opt);
    return question->end + sizeof opt;
}

static unsigned char lower(unsigned char octet) {
    return octet >= 'A' && octet <= 'Z' ? (unsigned char)(octet - 'A' + 'a') : octet;
}

bool dns_question_answered(const struct dns_question *question, uint16_t id,
                           const unsigned char *packet, size_t len) {
    const size_t name_end = question->end - 4;
    if (len < question->end || packet[0] != id >> 8 || packet[1] != (id & 0xff) ||
        (packet[2] & (FLAG_RESPONSE | OPCODE)) != FLAG_RESPONSE || packet[4] != 0 || packet[5] != 1)
        return false;
    /* the length of a label is no letter */
    for (size_t i = DNS_HEADER_SIZE; i < name_end; i++)
        if (lower(packet[i]) != lower(question->wire[i]))
            return false;
    return memcmp(packet + name_end, question->wire + name_end, 4) == 0;
}
