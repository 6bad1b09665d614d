/*
 * The face of the policy store. Owns the `store` URL and the choice of the kind; each kind has a
 * file of its own.
 */
#include "gatepost/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number from `low` to `high` that is all of `text`; -1 for anything else. */
static int number(const char *text, int low, int high) {
    int value = 0;
    if (text[0] == '\0' || strlen(text) > 6 || strspn(text, "0123456789") != strlen(text))
        return -1;
    for (; *text != '\0'; text++)
        value = value * 10 + (*text - '0');
    return value >= low && value <= high ? value : -1;
}

static int copy_path(const char *path, struct store_url *out, char *why, size_t why_size) {
    if (path[0] != '/') {
        snprintf(why, why_size, "the path must be absolute");
        return -1;
    }
    if ((size_t)snprintf(out->path, sizeof out->path, "%s", path) >= sizeof out->path) {
        snprintf(why, why_size, "the path is too long");
        return -1;
    }
    return 0;
}

/* /PATH[?db=N] */
static int parse_unix(const char *rest, struct store_url *out, char *why, size_t why_size) {
    out->kind = STORE_REDIS_UNIX;
    if (copy_path(rest, out, why, why_size) != 0)
        return -1;
    char *query = strchr(out->path, '?');
    if (query == NULL)
        return 0;
    *query++ = '\0';
    out->db = strncmp(query, "db=", 3) == 0 ? number(query + 3, 0, 65535) : -1;
    if (out->db < 0) {
        snprintf(why, why_size, "behind '?' only db=NUMBER is known");
        return -1;
    }
    return 0;
}

/* HOST[:PORT][/DB] with [ADDRESS] for IPv6 */
static int parse_tcp(const char *rest, struct store_url *out, char *why, size_t why_size) {
    char text[300];
    out->kind = STORE_REDIS;
    out->port = 6379;
    if (strchr(rest, '@') != NULL) {
        snprintf(why, why_size, "user and password belong into store_user and store_password_file");
        return -1;
    }
    if ((size_t)snprintf(text, sizeof text, "%s", rest) >= sizeof text) {
        snprintf(why, why_size, "the URL is too long");
        return -1;
    }
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash++ = '\0';
        out->db = *slash == '\0' ? 0 : number(slash, 0, 65535);
    }
    char *host = text, *behind = text + strcspn(text, ":");
    if (text[0] == '[') {
        host = text + 1;
        behind = strchr(host, ']');
        if (behind != NULL)
            *behind++ = '\0';
    }
    if (behind != NULL && *behind == ':') {
        *behind = '\0';
        out->port = number(behind + 1, 1, 65535);
        behind = host + strlen(host);
    }
    if (behind == NULL || *behind != '\0' || host[0] == '\0' || out->port < 0 || out->db < 0) {
        snprintf(why, why_size, "it must be redis://HOST[:PORT][/DB]");
        return -1;
    }
    snprintf(out->host, sizeof out->host, "%.255s", host);
    return 0;
}

static const char *behind(const char *text, const char *scheme) {
    size_t len = strlen(scheme);
    return strncmp(text, scheme, len) == 0 ? text + len : NULL;
}

int store_url_parse(const char *text, struct store_url *out, char *why, size_t why_size) {
    static const char *const later[] = {"rediss://", "redis+sentinel://", "redis+cluster://"};
    const char *rest;
    *out = (struct store_url){0};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        if (behind(text, later[i]) != NULL) {
            snprintf(why, why_size, "%s is not yet supported", later[i]);
            return -1;
        }
    }
    if ((rest = behind(text, "redis+unix://")) != NULL)
        return parse_unix(rest, out, why, why_size);
    if ((rest = behind(text, "redis://")) != NULL)
        return parse_tcp(rest, out, why, why_size);
    if ((rest = behind(text, "file:")) != NULL) {
        out->kind = STORE_FILE;
        return copy_path(rest, out, why, why_size);
    }
    snprintf(why, why_size, "it must begin with redis://, redis+unix:// or file:");
    return -1;
}

int store_open(const struct store_settings *settings, struct store **out, char *why,
               size_t why_size) {
    struct store_url url;
    if (store_url_parse(settings->url, &url, why, why_size) != 0)
        return -1;
    if (url.kind == STORE_FILE)
        return store_file_open(settings, &url, out, why, why_size);
    return store_redis_open(settings, &url, out, why, why_size);
}

void store_free(struct store *store) {
    if (store != NULL)
        store->ops->free(store);
}

int store_get(struct store *store, const char *const *subjects, size_t n, struct store_hash *hashes,
              char *why, size_t why_size) {
    for (size_t i = 0; i < n; i++)
        hashes[i] = (struct store_hash){.answer = STORE_UNANSWERED};
    return store->ops->get(store, subjects, n, hashes, why, why_size);
}

int store_walk(struct store *store, const char *subject, store_take_field *take, void *context,
               char *why, size_t why_size) {
    return store->ops->walk(store, subject, take, context, why, why_size);
}

int store_watch(struct store *store, store_told *told, void *context, char *why, size_t why_size) {
    return store->ops->watch(store, told, context, why, why_size);
}

void store_unwatch(struct store *store) {
    store->ops->unwatch(store);
}

void store_hash_clear(struct store_hash *hash) {
    free(hash->fields);
    if (hash->owner_free != NULL)
        hash->owner_free(hash->owner);
    *hash = (struct store_hash){.answer = STORE_UNANSWERED};
}

bool store_is_up(struct store *store) {
    (void)store;
    return true;
}
