/*
 * For the kinds of writer: what each of them implements for writer.h.
 */
#ifndef GATEPOST_WRITE_IMPLEMENT_H
#define GATEPOST_WRITE_IMPLEMENT_H

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/write/writer.h"

/* For the kinds: this edit was not done, for `why`; the first reason stays. */
void store_edit_refuse(struct store_edit *edit, const char *why);

/* In Redis each has a stream of its own: who writes self facts must not write the other. */
enum history { HISTORY_POLICY, HISTORY_SELF, HISTORIES };
extern const char *const history_names[HISTORIES]; /* as subjects */

/* In which a change of the subject is recorded. */
enum history history_of(const char *subject);

/* What a kind of writer implements; a struct store_writer begins with a pointer to it. */
struct store_writer_ops {
    size_t batch;
    int (*begin)(struct store_writer *writer, const char *subject, struct why *why);
    void (*leave)(struct store_writer *writer);
    enum store_written (*write)(struct store_writer *writer, struct store_edit *edits, size_t n,
                                struct why *why);
    int (*scan)(struct store_writer *writer, store_take_subject *take, void *context,
                struct why *why);
    int (*history)(struct store_writer *writer, int64_t since, store_take_history *take,
                   void *context, struct why *why);
    int (*examine)(struct store_writer *writer, store_take_complaint *take, void *context,
                   struct why *why);
    void (*free)(struct store_writer *writer);
};

struct store_writer {
    const struct store_writer_ops *ops;
};

/* The kinds; as store_writer_open(). */
int store_writer_redis_open(const struct store_settings *settings, const struct store_url *url,
                            const char *actor, struct store_writer **out, struct why *why);
int store_writer_cluster_open(const struct store_settings *settings, const struct store_url *url,
                              const char *actor, struct store_writer **out, struct why *why);
int store_writer_file_open(const struct store_url *url, const char *actor,
                           struct store_writer **out, struct why *why);

#endif
