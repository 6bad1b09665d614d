/*
 * The `store` URL. Owns its forms; pure, opens nothing.
 */
#include "gatepost/core/store_url.h"

#include <stdio.h>
#include <string.h>

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379

static int refuse(struct why *why, const char *reason) {
    return why_set(why, "%s", reason);
}

/* A decimal number from `low` to `high` that is all of `text`; -1 for anything else. */
static int number(const char *text, int low, int high) {
    int value = 0;
    if (text[0] == '\0' || strlen(text) > 6 || strspn(text, "0123456789") != strlen(text))
        return -1;
    for (; *text != '\0'; text++)
        value = value * 10 + (*text - '0');
    return value >= low && value <= high ? value : -1;
}

static int copy_path(const char *path, struct store_url *out, struct why *why) {
    if (path[0] != '/')
        return refuse(why, "the path must be absolute");
    if ((size_t)snprintf(out->path, sizeof out->path, "%s", path) >= sizeof out->path)
        return refuse(why, "the path is too long");
    return 0;
}

/* /PATH[?db=N] */
static int parse_unix(const char *rest, struct store_url *out, struct why *why) {
    out->kind = STORE_REDIS_UNIX;
    if (copy_path(rest, out, why) != 0)
        return -1;
    char *query = strchr(out->path, '?');
    if (query == NULL)
        return 0;
    *query++ = '\0';
    out->db = strncmp(query, "db=", 3) == 0 ? number(query + 3, 0, 65535) : -1;
    return out->db >= 0 ? 0 : refuse(why, "after '?' only db=NUMBER is supported");
}

/* HOST[:PORT], with [ADDRESS] for IPv6; changes `text`. 0, or -1. */
static int parse_seed(char *text, int default_port, struct store_seed *out) {
    char *host = text, *behind = text + strcspn(text, ":");
    if (text[0] == '[') {
        host = text + 1;
        behind = strchr(host, ']');
        if (behind == NULL)
            return -1;
        *behind++ = '\0';
    }
    out->port = default_port;
    if (*behind == ':') {
        *behind = '\0';
        out->port = number(behind + 1, 1, 65535);
    } else if (*behind != '\0') {
        return -1;
    }
    if (host[0] == '\0' || out->port < 0 || strlen(host) >= sizeof out->host)
        return -1;
    strcpy(out->host, host);
    return 0;
}

/* HOST[:PORT][,HOST[:PORT]]... */
static int parse_seeds(char *text, int default_port, struct store_url *out) {
    for (char *next; text != NULL; text = next) {
        next = strchr(text, ',');
        if (next != NULL)
            *next++ = '\0';
        if (out->n_seeds == STORE_SEEDS ||
            parse_seed(text, default_port, &out->seeds[out->n_seeds]) != 0)
            return -1;
        out->n_seeds++;
    }
    return 0;
}

/* HOST[:PORT][/DB] */
static int parse_single(char *rest, struct store_url *out) {
    struct store_seed seed;
    char *slash = strchr(rest, '/');
    out->kind = STORE_REDIS;
    if (slash != NULL) {
        *slash++ = '\0';
        out->db = *slash == '\0' ? 0 : number(slash, 0, 65535);
    }
    if (out->db < 0 || parse_seed(rest, REDIS_PORT, &seed) != 0)
        return -1;
    memcpy(out->host, seed.host, sizeof out->host);
    out->port = seed.port;
    return 0;
}

/* HOST[:PORT][,...]/NAME[/DB] */
static int parse_sentinel(char *rest, struct store_url *out) {
    out->kind = STORE_SENTINEL;
    char *name = strchr(rest, '/');
    if (name == NULL)
        return -1;
    *name++ = '\0';
    char *db = strchr(name, '/');
    if (db != NULL) {
        *db++ = '\0';
        out->db = number(db, 0, 65535);
    }
    if (out->db < 0 || name[0] == '\0' || strlen(name) >= sizeof out->master)
        return -1;
    strcpy(out->master, name);
    return parse_seeds(rest, SENTINEL_PORT, out);
}

/* HOST[:PORT][,...]; a cluster has no database but 0. */
static int parse_cluster(char *rest, struct store_url *out) {
    out->kind = STORE_CLUSTER;
    char *slash = strchr(rest, '/');
    if (slash != NULL) {
        *slash++ = '\0';
        if (*slash != '\0' && number(slash, 0, 0) != 0)
            return -1;
    }
    return parse_seeds(rest, REDIS_PORT, out);
}

static const char *behind(const char *text, const char *scheme) {
    size_t len = strlen(scheme);
    return strncmp(text, scheme, len) == 0 ? text + len : NULL;
}

/* The forms that name hosts; `rest` is what follows "//". */
static int parse_hosts(const char *rest, int parse(char *rest, struct store_url *out),
                       const char *form, struct store_url *out, struct why *why) {
    char text[sizeof out->seeds];
    if (strchr(rest, '@') != NULL)
        return refuse(why, "set user and password with store_user and store_password_file");
    if ((size_t)snprintf(text, sizeof text, "%s", rest) >= sizeof text)
        return refuse(why, "the URL is too long");
    if (parse(text, out) == 0)
        return 0;
    return why_set(why, "it must be %s", form);
}

/* The schemes whose URLs name hosts, each also as rediss... for TLS. */
static const struct scheme {
    const char *name;
    int (*parse)(char *rest, struct store_url *out);
    const char *form;
} schemes[] = {
    {"redis://", parse_single, "redis://HOST[:PORT][/DB]"},
    {"redis+sentinel://", parse_sentinel, "redis+sentinel://HOST[:PORT][,...]/NAME[/DB]"},
    {"redis+cluster://", parse_cluster, "redis+cluster://HOST[:PORT][,...]"}};

static int parse_scheme(const struct scheme *scheme, const char *rest, bool tls,
                        struct store_url *out, struct why *why) {
    char form[80];
    out->tls = tls;
#ifndef HAVE_HIREDIS_SSL
    if (tls)
        return refuse(why, "rediss:// needs a hiredis with TLS (1.0 or later, hiredis_ssl), which "
                           "this build has not: use a local stunnel, or redis+unix://");
#endif
    snprintf(form, sizeof form, "redis%s%s", tls ? "s" : "", scheme->form + strlen("redis"));
    return parse_hosts(rest, scheme->parse, form, out, why);
}

const char *store_url_file(const char *text) {
    return behind(text, "file:");
}

int store_url_parse(const char *text, struct store_url *out, struct why *why) {
    const char *rest;
    *out = (struct store_url){0};
    if ((rest = behind(text, "redis+unix://")) != NULL)
        return parse_unix(rest, out, why);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if ((rest = behind(text, schemes[i].name)) != NULL)
            return parse_scheme(&schemes[i], rest, false, out, why);
        if ((rest = behind(text, "rediss")) != NULL &&
            (rest = behind(rest, schemes[i].name + strlen("redis"))) != NULL)
            return parse_scheme(&schemes[i], rest, true, out, why);
    }
    if ((rest = store_url_file(text)) != NULL) {
        out->kind = STORE_FILE;
        return copy_path(rest, out, why);
    }
    return refuse(why, "it must begin with redis://, rediss://, redis+unix://, redis+sentinel://, "
                       "redis+cluster:// or file:");
}

char *key_prefix_beside(const char *key_prefix, const char *name) {
    const char *colon = strrchr(key_prefix, ':');
    size_t head = colon == NULL ? strlen(key_prefix) : (size_t)(colon - key_prefix);
    char *prefix;
    int len = asprintf(&prefix, "%.*s-%s:%s", (int)head, key_prefix, name,
                       colon == NULL ? "" : colon + 1);
    return len < 0 ? NULL : prefix;
}
