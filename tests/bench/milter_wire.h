#ifndef BENCH_MILTER_WIRE_H
#define BENCH_MILTER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest answer taken from a filter: a full chunk of a replaced body and its command. */
#define MILTER_WIRE_MAX 65536u

/* A growing byte buffer; all zero is an empty one. `failed` is set for good when memory ran out;
   nothing is appended after that, so that one check before use is enough. */
struct milter_buffer {
    unsigned char *bytes;
    size_t used;
    size_t size;
    bool failed;
};

/* Makes room for `extra` bytes after the used ones. False, and `failed` set, without memory. */
bool milter_buffer_reserve(struct milter_buffer *buffer, size_t extra);
void milter_buffer_free(struct milter_buffer *buffer);

/* A packet is written as begin, any number of puts, end. begin returns what end needs. */
size_t milter_wire_begin(struct milter_buffer *buffer, char command);
void milter_wire_put(struct milter_buffer *buffer, const void *bytes, size_t length);
void milter_wire_put_string(struct milter_buffer *buffer, const char *text); /* and its NUL */
void milter_wire_put_u16(struct milter_buffer *buffer, uint16_t value);
void milter_wire_put_u32(struct milter_buffer *buffer, uint32_t value);
void milter_wire_end(struct milter_buffer *buffer, size_t start);

uint32_t milter_wire_u32(const unsigned char *bytes);

/* One packet inside the buffer it was read into; gone when that buffer changes. */
struct milter_packet {
    unsigned char command;
    const unsigned char *payload;
    size_t length;
};

/* Takes the packet at *offset and moves *offset past it. 1 taken, 0 not all there yet,
   -1 the length is none that a filter may send. */
int milter_wire_next(const struct milter_buffer *buffer, size_t *offset,
                     struct milter_packet *packet);

enum milter_answer {
    MILTER_MALFORMED, /* unknown, or its payload is not what the command demands */
    MILTER_PROGRESS,  /* still at work, the answer is yet to come */
    MILTER_MODIFY,    /* a change of the message; the answer is yet to come */
    MILTER_CONTINUE,
    MILTER_ACCEPT,
    MILTER_DISCARD,
    MILTER_REJECT,
    MILTER_TEMPFAIL
};

/* What an answer to any command but the negotiation says. For MILTER_MODIFY *action becomes the
   SMFIF_ bit that the filter must have negotiated. */
enum milter_answer milter_wire_answer(const struct milter_packet *packet, uint32_t *action);

#endif
