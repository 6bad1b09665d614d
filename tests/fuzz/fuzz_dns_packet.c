/*
 * Fuzz target: answers from the wire, read for every type that is ever asked. Promises: records
 * have the length of their type and end in a NUL, names are whole, found means found.
 */
#include "fuzz.h"

#include <string.h>

#include "milter/dns/packet.h"

static void check_answer(const struct dns_answer *answer, enum dns_type type) {
    PROMISE(answer->status != DNS_FOUND || answer->n > 0);
    PROMISE(answer->status != DNS_ABSENT || answer->n == 0);
    PROMISE(answer->status != DNS_FAILED || answer->why[0] != '\0');
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum dns_type types[] = {DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA};
    if (size > 65535)
        return 0;
    /* of its own size, so that reading beyond it is seen */
    unsigned char *packet = malloc(size == 0 ? 1 : size);
    memcpy(packet, data, size);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint32_t ttl;
        struct dns_answer *answer = dns_packet_read(packet, (int)size, types[i], &ttl);
        PROMISE(answer != NULL && atomic_load(&answer->references) == 1);
        check_answer(answer, types[i]);
        dns_answer_release(answer);
    }
    free(packet);
    return 0;
}
