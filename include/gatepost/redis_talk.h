/*
 * Redis for tools: one connection, made at the first use, and commands put together word by word.
 * The filter has its pool instead. One thread.
 */
#ifndef GATEPOST_REDIS_TALK_H
#define GATEPOST_REDIS_TALK_H

#include "gatepost/redis_endpoint.h"

struct redis_talk {
    struct redis_endpoint server; /* of redis_talk_init() */
    struct redis_pool *pool;      /* knows where it is; its pooled connections are not used */
    char *prefix;
    int64_t timeout;    /* milliseconds for each wait */
    redisContext *conn; /* NULL until used, and after it broke */
    bool transacts;     /* a MULTI was taken on this connection; redis_edit.c's */
};

/* Takes what the settings say; nothing is connected yet. Returns 0, or -1 with the reason. */
int redis_talk_init(struct redis_talk *talk, const struct store_settings *settings,
                    const struct store_url *url, char *why, size_t why_size);

/* The same with a server whose pool the caller has; it is borrowed. -1: no memory. */
int redis_talk_init_pool(struct redis_talk *talk, struct redis_pool *pool, const char *prefix,
                         int64_t timeout);
void redis_talk_clear(struct redis_talk *talk);

/* The key of a subject; malloc'd, NULL when there is no memory. */
char *redis_talk_key(const struct redis_talk *talk, const char *subject);

/*
 * A command being put together; all zero at first. The words are the caller's until it is queued.
 * Want of memory shows when it is queued.
 */
struct redis_command {
    const char **words;
    size_t *lens;
    size_t n, room;
    bool failed;
};

void redis_command_begin(struct redis_command *command, const char *name);
void redis_command_add(struct redis_command *command, const char *word);
void redis_command_add_octets(struct redis_command *command, const char *word, size_t len);
void redis_command_clear(struct redis_command *command);

/* All return 0, or -1 with the reason. What is queued goes out with the flush. */
int redis_talk_connect(struct redis_talk *talk, char *why, size_t why_size);
int redis_talk_queue(struct redis_talk *talk, const struct redis_command *command);
int redis_talk_flush(struct redis_talk *talk, char *why, size_t why_size);

/* Ends the connection, with all that is queued. */
void redis_talk_disconnect(struct redis_talk *talk);

/* The next reply, an error reply too; NULL with the reason when there is none. */
redisReply *redis_talk_reply(struct redis_talk *talk, char *why, size_t why_size);

/* Sends one command and returns its reply; NULL with the reason when that is an error. */
redisReply *redis_talk_ask(struct redis_talk *talk, const struct redis_command *command, char *why,
                           size_t why_size);

#endif
