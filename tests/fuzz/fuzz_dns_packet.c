/*
 * Fuzz target: what comes from the wire, read as the answer to questions of every type that is ever
 * asked. Promises: only a response with the question's id, name, type and class is read; records
 * have the length of their type and end in a NUL, names are whole, found means found; a name that
 * does not exist has no records.
 */
#include "fuzz.h"

#include <string.h>

#include "milter/dns/packet.h"

#define TYPE_AT(question) ((question)->end - 4)

static void check_answer(const struct dns_answer *answer, enum dns_type type) {
    PROMISE(answer != NULL && atomic_load(&answer->references) == 1);
    PROMISE(answer->status != DNS_FAILED);
    PROMISE((answer->status == DNS_FOUND) == (answer->n > 0));
    for (size_t i = 0; i < answer->n; i++) {
        const struct dns_record *record = &answer->records[i];
        PROMISE(record->data[record->len] == '\0');
        PROMISE(type != DNS_A || record->len == 4);
        PROMISE(type != DNS_AAAA || record->len == 16);
        if (type == DNS_PTR || type == DNS_MX) {
            PROMISE(strlen(record->data) == record->len && record->len <= 253);
            PROMISE(record->len == 0 || record->data[record->len - 1] != '.');
        }
    }
}

/* Does the packet answer the question? As slow and plain as can be. */
static int answers(const struct dns_question *question, uint16_t id, const unsigned char *packet,
                   size_t size) {
    if (size < question->end || packet[0] * 256 + packet[1] != id || packet[2] < 0x80 ||
        (packet[2] & 0x78) != 0 || packet[4] * 256 + packet[5] != 1)
        return 0;
    for (size_t i = 12; i < question->end; i++) {
        unsigned a = packet[i], b = question->wire[i];
        int letters = i < TYPE_AT(question) && (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
        if (a != b && (!letters || (a ^ b) != 0x20))
            return 0;
    }
    return 1;
}

static void read_packet(const struct dns_question *question, uint16_t id,
                        const unsigned char *packet, size_t size) {
    struct dns_reading reading;
    dns_packet_read(question, id, packet, size, &reading);
    PROMISE((reading.kind != READING_FOREIGN) == answers(question, id, packet, size));
    PROMISE((reading.problem[0] != '\0') == (reading.kind == READING_ERROR));
    if (reading.kind == READING_ANSWER) {
        unsigned rcode = packet[3] & 0xf;
        PROMISE((packet[2] & 2) == 0);
        PROMISE(rcode == 0 || (rcode == 3 && reading.answer->n == 0));
        check_answer(reading.answer, question->type);
        dns_answer_release(reading.answer);
    } else {
        PROMISE(reading.answer == NULL);
    }
}

/* The question that the packet seems to answer, of any type; 0 when there is none. */
static int find_question(const unsigned char *packet, size_t size, struct dns_question *out) {
    char name[300];
    size_t n = 0;
    for (size_t at = 12; at < size && packet[at] != 0; at += packet[at] + (size_t)1) {
        size_t label = packet[at];
        if (label > 63 || at + 1 + label >= size || n + label + 1 >= sizeof name ||
            memchr(packet + at + 1, '.', label) != NULL ||
            memchr(packet + at + 1, '\0', label) != NULL)
            return 0;
        memcpy(name + n, packet + at + 1, label);
        n += label;
        name[n++] = '.';
    }
    name[n > 0 ? n - 1 : 0] = '\0';
    return dns_question_write(name, DNS_TXT, out) == 0 && out->end <= size;
}

/* Whatever is given as a name: what is written is one. */
static void write_name(const uint8_t *data, size_t size) {
    char name[400];
    struct dns_question question;
    size_t len = size < sizeof name ? size : sizeof name - 1;
    memcpy(name, data, len);
    name[len] = '\0';
    if (dns_question_write(name, DNS_A, &question) != 0)
        return;
    size_t at = 12;
    while (question.wire[at] != 0) {
        PROMISE(question.wire[at] <= 63);
        at += question.wire[at] + (size_t)1;
    }
    PROMISE(at + 5 == question.end && question.end <= 12 + 255 + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum dns_type types[] = {DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA};
    struct dns_question question;
    if (size > 65535)
        return 0;
    write_name(data, size);
    /* of its own size, so that reading beyond it is seen */
    unsigned char *packet = malloc(size == 0 ? 1 : size);
    memcpy(packet, data, size);
    if (find_question(packet, size, &question)) {
        uint16_t id = (uint16_t)(packet[0] << 8 | packet[1]);
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            question.type = types[i];
            question.wire[TYPE_AT(&question) + 1] = (unsigned char)types[i];
            read_packet(&question, id, packet, size);
            read_packet(&question, id ^ 1, packet, size);
        }
        /* and as if it were the answer to each of them */
        packet[2] = (unsigned char)((packet[2] & 7) | 0x80);
        packet[4] = 0;
        packet[5] = 1;
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            question.type = types[i];
            question.wire[TYPE_AT(&question) + 1] = (unsigned char)types[i];
            memcpy(packet + TYPE_AT(&question), question.wire + TYPE_AT(&question), 4);
            read_packet(&question, id, packet, size);
        }
    }
    free(packet);
    return 0;
}
