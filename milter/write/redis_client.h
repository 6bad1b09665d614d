/*
 * Redis for tools: one connection, made at the first use, and commands put together word by word.
 * The filter has its pool instead. One thread.
 */
#ifndef GATEPOST_WRITE_REDIS_COMMAND_H
#define GATEPOST_WRITE_REDIS_COMMAND_H

#include "gatepost/core/store_url.h"
#include "gatepost/core/why.h"
#include "gatepost/store/redis/endpoint.h"

struct redis_client {
    struct redis_endpoint server; /* of redis_client_init() */
    struct redis_pool *pool;      /* knows where it is; its pooled connections are not used */
    char *prefix;
    int64_t timeout;        /* milliseconds for each wait */
    redisContext *conn;     /* NULL until used, and after it broke */
    struct redis_server at; /* where conn goes */
    bool transacts;         /* a MULTI was taken on this connection; redis_transaction.c's */
};

/* Takes what the settings say; nothing is connected yet. Returns 0, or -1 with the reason. */
int redis_client_init(struct redis_client *talk, const struct store_settings *settings,
                      const struct store_url *url, struct why *why);

/* The same with a server whose pool the caller has; it is borrowed. -1: no memory. */
int redis_client_init_pool(struct redis_client *talk, struct redis_pool *pool, const char *prefix,
                           int64_t timeout);
void redis_client_clear(struct redis_client *talk);

/* The key of a subject; malloc'd, NULL when there is no memory. */
char *redis_client_key(const struct redis_client *talk, const char *subject);

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
int redis_client_connect(struct redis_client *talk, struct why *why);
int redis_client_queue(struct redis_client *talk, const struct redis_command *command);
int redis_client_flush(struct redis_client *talk, struct why *why);

/*
 * Before something new is asked on a connection that was kept: it ends where Sentinels name another
 * master by now, or cannot say. For some seconds after a failover the old master may take what is
 * lost when it becomes a replica.
 */
void redis_client_follow(struct redis_client *talk);

/* Ends the connection, with all that is queued. */
void redis_client_disconnect(struct redis_client *talk);

/* The next reply, an error reply too; NULL with the reason when there is none. */
redisReply *redis_client_reply(struct redis_client *talk, struct why *why);

/* Sends one command and returns its reply, an error reply too; NULL with the reason for none. */
redisReply *redis_client_answer(struct redis_client *talk, const struct redis_command *command,
                                struct why *why);

/* The same, but NULL with the reason for an error too. */
redisReply *redis_client_ask(struct redis_client *talk, const struct redis_command *command,
                             struct why *why);

#endif
