/*
 * The office. Owns which Redis user writes, how many connections there are, and how long what a
 * reload has replaced lives.
 */
#include "office.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/core/store_url.h"

struct inside {
    pthread_mutex_t lock;
    unsigned references;
    struct desk *free_desks;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct office *current; /* under lock */

static struct inside *inside_of(struct office *office) {
    return office->inside;
}

static void desk_free(struct desk *desk) {
    self_store_free(desk->self);
    password_store_free(desk->passwords);
    use_store_free(desk->use);
    free(desk);
}

static void office_free(struct office *office) {
    struct inside *inside = inside_of(office);
    while (inside != NULL && inside->free_desks != NULL) {
        struct desk *desk = inside->free_desks;
        inside->free_desks = desk->next;
        desk_free(desk);
    }
    if (inside != NULL)
        pthread_mutex_destroy(&inside->lock);
    free(inside);
    tokens_free(office->tokens);
    config_free(office->config);
    free(office);
}

static struct store_settings settings_of(const struct config *config) {
    bool own = config->settings.store_password_file[0] != '\0';
    return (struct store_settings){.url = config->store,
                                   .user = own ? config->settings.store_user : config->store_user,
                                   .password_file = own ? config->settings.store_password_file
                                                        : config->store_password_file,
                                   .key_prefix = config->key_prefix,
                                   .tls_ca = config->store_tls_ca,
                                   .tls_cert = config->store_tls_cert,
                                   .tls_key = config->store_tls_key,
                                   .timeout = config->store_timeout};
}

/* The password's file is read here, not at the first request. */
int office_check_store(const struct config *config, struct why *why) {
    struct store_settings settings = settings_of(config);
    struct password_store *store = NULL;
    if (store_url_file(config->store) != NULL)
        return 0;
    int rc = password_store_open(&settings, &store, why);
    password_store_free(store);
    return rc;
}

int office_open(struct config *config, struct office **out, struct why *why) {
    struct office *office = calloc(1, sizeof *office);
    struct inside *inside = calloc(1, sizeof *inside);
    if (office == NULL || inside == NULL) {
        free(office);
        free(inside);
        config_free(config);
        return why_set(why, "no memory");
    }
    pthread_mutex_init(&inside->lock, NULL);
    inside->references = 1;
    office->inside = inside;
    office->config = config;
    if (tokens_read(config, &office->tokens, why) != 0 || office_check_store(config, why) != 0) {
        office_free(office);
        return -1;
    }
    *out = office;
    return 0;
}

static struct office *acquire(struct office *office) {
    if (office != NULL) {
        pthread_mutex_lock(&inside_of(office)->lock);
        inside_of(office)->references++;
        pthread_mutex_unlock(&inside_of(office)->lock);
    }
    return office;
}

void office_release(struct office *office) {
    if (office == NULL)
        return;
    pthread_mutex_lock(&inside_of(office)->lock);
    bool last = --inside_of(office)->references == 0;
    pthread_mutex_unlock(&inside_of(office)->lock);
    if (last)
        office_free(office);
}

void office_publish(struct office *office) {
    pthread_mutex_lock(&lock);
    struct office *last = current;
    current = office;
    pthread_mutex_unlock(&lock);
    office_release(last);
}

struct office *office_current(void) {
    pthread_mutex_lock(&lock);
    struct office *office = acquire(current);
    pthread_mutex_unlock(&lock);
    return office;
}

/* ---- desks ---- */

static int open_stores(struct desk *desk, const struct config *config, struct why *why) {
    struct store_settings settings = settings_of(config);
    bool is_file = store_url_file(config->store) != NULL;
    if (self_store_open(config, &settings, &desk->self, why) != 0 ||
        (!is_file && password_store_open(&settings, &desk->passwords, why) != 0))
        return -1;
    if (config->use_store[0] != '\0')
        settings.url = config->use_store;
    return config->record_use ? use_store_open(&settings, &desk->use, why) : 0;
}

struct desk *office_take_desk(struct office *office, struct why *why) {
    struct inside *inside = inside_of(office);
    pthread_mutex_lock(&inside->lock);
    struct desk *desk = inside->free_desks;
    if (desk != NULL)
        inside->free_desks = desk->next;
    pthread_mutex_unlock(&inside->lock);
    if (desk != NULL)
        return desk;
    desk = calloc(1, sizeof *desk);
    if (desk == NULL) {
        why_set(why, "no memory");
    } else if (open_stores(desk, office->config, why) != 0) {
        desk_free(desk);
        desk = NULL;
    }
    return desk;
}

void office_give_back(struct office *office, struct desk *desk) {
    struct inside *inside = inside_of(office);
    if (desk == NULL)
        return;
    pthread_mutex_lock(&inside->lock);
    desk->next = inside->free_desks;
    inside->free_desks = desk;
    pthread_mutex_unlock(&inside->lock);
}
