/*
 * Redis for tools. Owns the one connection and the words of a command; knows nothing of what is
 * asked.
 */
#include "redis_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/clock.h"
#include "gatepost/core/store_key.h"
#include "gatepost/store/redis/errors.h"

int redis_client_init(struct redis_client *talk, const struct store_settings *settings,
                      const struct store_url *url, struct why *why) {
    *talk = (struct redis_client){.timeout = settings->timeout};
    talk->prefix = strdup(settings->key_prefix);
    if (talk->prefix == NULL)
        return why_set(why, "no memory");
    int rc = redis_endpoint_open(settings, url, &talk->server, why);
    talk->pool = talk->server.pool;
    return rc;
}

int redis_client_init_pool(struct redis_client *talk, struct redis_pool *pool, const char *prefix,
                           int64_t timeout) {
    *talk = (struct redis_client){.pool = pool, .timeout = timeout};
    talk->prefix = strdup(prefix);
    return talk->prefix == NULL ? -1 : 0;
}

void redis_client_clear(struct redis_client *talk) {
    redis_client_disconnect(talk);
    redis_endpoint_clear(&talk->server);
    free(talk->prefix);
}

char *redis_client_key(const struct redis_client *talk, const char *subject) {
    return store_key_make(talk->prefix, subject);
}

void redis_command_add_octets(struct redis_command *command, const char *word, size_t len) {
    if (command->n == command->room && !command->failed) {
        size_t room = command->room == 0 ? 16 : command->room * 2;
        const char **words = realloc(command->words, room * sizeof *words);
        if (words != NULL)
            command->words = words;
        size_t *lens = realloc(command->lens, room * sizeof *lens);
        if (lens != NULL)
            command->lens = lens;
        command->failed = words == NULL || lens == NULL;
        command->room = command->failed ? command->room : room;
    }
    if (command->failed)
        return;
    command->words[command->n] = word;
    command->lens[command->n++] = len;
}

void redis_command_add(struct redis_command *command, const char *word) {
    redis_command_add_octets(command, word, strlen(word));
}

void redis_command_begin(struct redis_command *command, const char *name) {
    command->n = 0;
    redis_command_add(command, name);
}

void redis_command_clear(struct redis_command *command) {
    free(command->words);
    free(command->lens);
    *command = (struct redis_command){0};
}

int redis_client_queue(struct redis_client *talk, const struct redis_command *command) {
    if (command->failed)
        return -1;
    return redisAppendCommandArgv(talk->conn, (int)command->n, command->words, command->lens) ==
                   REDIS_OK
               ? 0
               : -1;
}

void redis_client_disconnect(struct redis_client *talk) {
    if (talk->conn != NULL)
        redisFree(talk->conn);
    talk->conn = NULL;
    talk->transacts = false;
}

int redis_client_connect(struct redis_client *talk, struct why *why) {
    int64_t deadline = clock_now_ms() + talk->timeout;
    if (talk->conn != NULL)
        return 0;
    if (redis_endpoint_need(&talk->server, deadline, why) != 0)
        return -1;
    talk->conn = redis_pool_connect(talk->pool, true, deadline, why);
    talk->at = redis_pool_server(talk->pool);
    return talk->conn == NULL ? -1 : 0;
}

void redis_client_follow(struct redis_client *talk) {
    struct why why;
    if (talk->conn == NULL || talk->server.sentinel == NULL)
        return;
    int rc = redis_endpoint_need(&talk->server, clock_now_ms() + talk->timeout, &why);
    struct redis_server now = redis_pool_server(talk->pool);
    if (rc != 0 || now.port != talk->at.port || strcmp(now.host, talk->at.host) != 0)
        redis_client_disconnect(talk);
}

int redis_client_flush(struct redis_client *talk, struct why *why) {
    int rc = redis_conn_flush(talk->conn, clock_now_ms() + talk->timeout, why);
    if (rc != 0)
        redis_client_disconnect(talk);
    return rc;
}

redisReply *redis_client_reply(struct redis_client *talk, struct why *why) {
    redisReply *reply = redis_conn_read(talk->conn, clock_now_ms() + talk->timeout, why);
    if (reply == NULL)
        redis_client_disconnect(talk);
    return reply;
}

redisReply *redis_client_answer(struct redis_client *talk, const struct redis_command *command,
                                struct why *why) {
    if (redis_client_connect(talk, why) != 0)
        return NULL;
    if (redis_client_queue(talk, command) != 0) {
        why_set(why, "no memory");
        return NULL;
    }
    if (redis_client_flush(talk, why) != 0)
        return NULL;
    return redis_client_reply(talk, why);
}

redisReply *redis_client_ask(struct redis_client *talk, const struct redis_command *command,
                             struct why *why) {
    redisReply *reply = redis_client_answer(talk, command, why);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        redis_error_judge(reply->str, command->words[0], NULL, why);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}
