/*
 * Writing to the policy store, for the operator's tool and for users; the filter never writes.
 *
 * One face for every kind of store, beside store.h, which reads. Each write of a subject is atomic
 * and is recorded in the history: who changed what from what into what. In Redis self facts have a
 * history of their own, so that who writes these needs no right to write that of the policy. One
 * thread.
 */
#ifndef GATEPOST_WRITE_WRITER_H
#define GATEPOST_WRITE_WRITER_H

#include "gatepost/core/why.h"
#include "gatepost/store/store.h"

/* Entries that the history keeps at least; older ones go. */
#define HISTORY_KEPT 10000

struct store_writer;

/*
 * Opens a writer for the store of these settings; `actor` is whom the history names and must
 * outlive it. Connects at the first use. Returns 0 and a writer owned by the caller, or -1 with
 * the reason.
 */
int store_writer_open(const struct store_settings *settings, const char *actor,
                      struct store_writer **out, struct why *why);
void store_writer_free(struct store_writer *writer);

/* Octets, or their absence (text NULL), which is another thing than an empty text. */
struct store_text {
    const char *text;
    size_t len;
};

/* One field of a subject: what it was and what it becomes. */
struct store_change {
    struct store_text field, old, new_value;
};

/* What becomes of one subject, all of it or nothing. */
struct store_edit {
    const char *subject;
    const char *actor;  /* whom the history names; NULL: that of the writer */
    const char *client; /* and the address from which it was asked for; NULL: none */
    const struct store_change *changes;
    size_t n;
    bool drop;      /* the key goes, whatever it is */
    uint64_t state; /* store_state() of the subject afterwards; 0 when it is gone */
    bool refused;   /* set by the store: this one was not done, for `why` */
    char why[400];
};

enum store_written { WRITE_FAILED = -1, WRITE_DONE, WRITE_CONFLICT, WRITE_UNRECORDED };

/*
 * From here on until the next store_writer_write() nobody else changes the subject unnoticed.
 * Returns 0, or -1 with the reason.
 */
int store_writer_begin(struct store_writer *writer, const char *subject, struct why *why);

/* Nothing will be written of what was begun: others may change it again. */
void store_writer_leave(struct store_writer *writer);

/*
 * Writes edits of different subjects, at most store_writer_batch(), each with its history.
 * WRITE_CONFLICT when something has changed since store_writer_begin(): nothing is written, begin
 * again. WRITE_FAILED with the reason when the store did not take them; it is then not known which
 * of them are written. WRITE_UNRECORDED with the reason when they are written as with WRITE_DONE,
 * but some are missing in the history: that of a cluster is on a node of its own, that of a policy
 * file is another file.
 */
enum store_written store_writer_write(struct store_writer *writer, struct store_edit *edits,
                                      size_t n, struct why *why);

/* How many edits to hand over at once when there are many. */
size_t store_writer_batch(const struct store_writer *writer);

/* Takes the name of a subject, NUL octets possible; not 0 ends the walk as failed. */
typedef int store_take_subject(void *context, const char *name, size_t len);

/*
 * Walks over the names of all subjects, self facts among them, the histories' keys not; a name may
 * come more than once. Returns 0, or -1 with the reason.
 */
int store_writer_scan(struct store_writer *writer, store_take_subject *take, void *context,
                      struct why *why);

/* One entry of the history; texts last until the function that takes it returns. */
struct history_entry {
    int64_t time; /* milliseconds since the epoch */
    struct store_text actor, subject, field, old, new_value;
    struct store_text client; /* an address; only where one was given */
    struct store_text state;  /* hexadecimal; only of the last entry of a write */
    int64_t at; /* of a cluster, private to its writer: when the write was done, microseconds */
};

typedef int store_take_history(void *context, const struct history_entry *entry);

/*
 * Walks over the history from `since` (milliseconds) on, oldest first, that of self facts among it
 * where the settings ask for these. Returns as above.
 */
int store_writer_history(struct store_writer *writer, int64_t since, store_take_history *take,
                         void *context, struct why *why);

/*
 * What may make the store lose policy, or has; takes one complaint each, of a kind that is one word
 * of ours. To be asked after store_writer_scan(). Returns as above.
 */
typedef void store_take_complaint(void *context, const char *kind, const char *complaint);
int store_writer_examine(struct store_writer *writer, store_take_complaint *take, void *context,
                         struct why *why);

/*
 * A number that changes when fields of a subject do, whatever their order: equal states, equal
 * facts. Never 0.
 */
uint64_t store_state(const struct store_field *fields, size_t n);
/* The contribution of one field: a state is their sum. */
uint64_t store_state_of(const char *field, size_t field_len, const char *value, size_t value_len);

#endif
