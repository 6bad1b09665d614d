/*
 * /v1/accounts/me/passwords: the user's own app passwords. Owns what may be asked of a new one; how
 * it is made is write/passwords.h's. The secret is in one answer, and nowhere else.
 */
#include "visit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/json_text.h"
#include "gatepost/base/keyed_hash.h"
#include "gatepost/base/log.h"
#include "gatepost/core/timestamp.h"
#include "gatepost/write/fact_check.h"
#include "patch.h"

/* Has this host any? False: it is answered. */
static bool have_passwords(const struct visit *visit) {
    if (visit->desk->passwords == NULL)
        answer_refusal(visit->response, 403, NULL,
                       "this host has no app passwords: its policy is in a file");
    return visit->desk->passwords != NULL;
}

/* ---- the list ---- */

struct listing {
    json_t *all, *last_use; /* by id */
    const struct decision_rules *rules;
    int64_t now;
    int good;
};

/* Is it good anywhere now? Its protocols may have become others since it was made. */
static bool is_good(const struct listing *listing, const struct app_password *password) {
    for (size_t i = 0; i < service_words.count; i++)
        if (app_password_covers(password, listing->rules, service_words.names[i], listing->now))
            return true;
    return false;
}

static json_t *part_json(struct app_password_part part) {
    return json_octets(part.text, part.len);
}

/* Names with commas between them. */
static json_t *names_json(struct app_password_part names) {
    json_t *all = json_array();
    while (names.len > 0) {
        const char *comma = memchr(names.text, ',', names.len);
        size_t len = comma == NULL ? names.len : (size_t)(comma - names.text);
        json_array_append_new(all, json_octets(names.text, len));
        len += comma != NULL;
        names = (struct app_password_part){names.text + len, names.len - len};
    }
    return all;
}

static json_t *time_or_null(int64_t time) {
    char text[TIMESTAMP_SIZE];
    return time == 0 ? json_null() : json_text(timestamp_format(time, text));
}

/* password_take; what cannot be read is good for nothing, and has no id to be named by */
static void take_password(void *context, const struct app_password *password) {
    struct listing *listing = context;
    if (password == NULL)
        return;
    listing->good += is_good(listing, password);
    if (listing->all == NULL)
        return;
    json_t *one = json_object(), *id = part_json(password->id);
    json_t *used = json_object_get(listing->last_use, json_string_value(id));
    json_object_set_new(one, "id", id);
    json_object_set_new(one, "protocols", names_json(password->protocols));
    json_object_set_new(one, "services", names_json(password->services));
    json_object_set_new(one, "note", part_json(password->note));
    json_object_set_new(one, "created", time_or_null(password->created));
    json_object_set_new(one, "from",
                        time_or_null(password->from > listing->now ? password->from : 0));
    json_object_set_new(one, "until", time_or_null(password->until));
    json_object_set_new(one, "last_use", used == NULL ? json_null() : json_incref(used));
    json_array_append_new(listing->all, one);
}

/* use_take */
static void take_use(void *context, const struct use_line *line) {
    json_t *last_use = context;
    if (strcmp(line->service, "password") == 0)
        json_object_set_new(last_use, line->block, time_or_null(line->last));
}

int visit_count_passwords(struct visit *visit, struct why *why) {
    struct listing listing = {.rules = &visit->config->rules, .now = visit->now};
    if (visit->desk->passwords == NULL)
        return 0;
    return password_list(visit->desk->passwords, visit->account, take_password, &listing, why) < 0
               ? -1
               : listing.good;
}

void visit_passwords(struct visit *visit) {
    struct listing listing = {.rules = &visit->config->rules, .now = visit->now};
    struct why why;
    if (!have_passwords(visit))
        return;
    listing.all = json_array();
    listing.last_use = json_object();
    if (visit->desk->use != NULL &&
        use_read(visit->desk->use, visit->account, take_use, listing.last_use, &why) < 0)
        log_event(LOG_WARNING, "use-unread", "account", visit->account, "problem", why.text,
                  (char *)NULL);
    if (password_list(visit->desk->passwords, visit->account, take_password, &listing, &why) < 0)
        visit_unavailable(visit, why.text);
    else
        answer_json(visit->response, 200,
                    json_pack("{s:O, s:b, s:i}", "passwords", listing.all, "may_add",
                              visit->config->settings.passwords, "max", APP_PASSWORDS_MAX));
    json_decref(listing.all);
    json_decref(listing.last_use);
}

/* ---- a new one ---- */

/* What is asked for; the lists are owned. */
struct wanted {
    char *protocols, *services;
    const char *note;
    int64_t until;
};

static int refuse(const struct visit *visit, unsigned status, const char *field,
                  const char *reason) {
    answer_refusal(visit->response, status, field, reason);
    return -1;
}

/* Adds a name; NULL when there is no memory. */
static char *join(char *list, const char *name) {
    size_t len = list == NULL ? 0 : strlen(list);
    char *joined = realloc(list, len + strlen(name) + 2);
    if (joined == NULL) {
        free(list);
        return NULL;
    }
    if (len > 0)
        joined[len++] = ',';
    strcpy(joined + len, name);
    return joined;
}

/* The services that a protocol has now: those of its section, or itself. */
static void join_services(struct wanted *wanted, const struct decision_rules *rules,
                          const char *protocol) {
    for (size_t i = 0; i < rules->n_protocols; i++) {
        if (strcmp(rules->protocols[i].name, protocol) != 0)
            continue;
        for (size_t j = 0; j < rules->protocols[i].n_services; j++)
            wanted->services = join(wanted->services, rules->protocols[i].services[j]);
        return;
    }
    wanted->services = join(wanted->services, protocol);
}

static int read_protocol(const struct visit *visit, struct wanted *wanted, const json_t *value) {
    const struct decision_rules *rules = &visit->config->rules;
    const char *name = json_string_value(value);
    struct why why;
    if (name == NULL)
        return refuse(visit, 422, "protocols", "it must be a list of names");
    if (strcmp(name, "*") == 0)
        return refuse(visit, 422, "protocols", "name the protocols that it shall be good for");
    if (strcmp(name, "webmail") == 0 || strcmp(name, "settings") == 0)
        return refuse(visit, 422, "protocols", "webmail takes no app passwords");
    if (fact_check_protocol(rules, name, &why) != FACT_GOOD)
        return refuse(visit, 422, "protocols", why.text);
    wanted->protocols = join(wanted->protocols, name);
    join_services(wanted, rules, name);
    return 0;
}

static int read_protocols(const struct visit *visit, struct wanted *wanted, const json_t *list) {
    const json_t *value;
    size_t i;
    if (json_array_size(list) == 0 || json_array_size(list) > PATCH_MEMBERS_MAX)
        return refuse(visit, 422, "protocols", "it must be a list of names");
    json_array_foreach(list, i, value) {
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(list, j), value))
                return refuse(visit, 422, "protocols", "a name is there twice");
        if (read_protocol(visit, wanted, value) != 0)
            return -1;
    }
    if (wanted->protocols != NULL && wanted->services != NULL)
        return 0;
    return refuse(visit, 503, NULL, "no memory");
}

static int read_note(const struct visit *visit, struct wanted *wanted, const json_t *value) {
    struct why why;
    wanted->note = value == NULL || json_is_null(value) ? "" : json_string_value(value);
    if (wanted->note == NULL)
        return refuse(visit, 422, "note", "it must be a text");
    return patch_is_note(wanted->note, &why) ? 0 : refuse(visit, 422, "note", why.text);
}

static int read_until(const struct visit *visit, struct wanted *wanted, const json_t *value) {
    const char *text = json_string_value(value);
    int64_t begins = visit->now + visit->loosen_after;
    if (value == NULL || json_is_null(value))
        return 0;
    if (text == NULL || timestamp_parse(text, strlen(text), &wanted->until) != 0)
        return refuse(visit, 422, "until", "it must be a UTC time like 2027-01-31T00:00:00Z");
    return wanted->until > begins
               ? 0
               : refuse(visit, 422, "until", "it would have ended before it is good");
}

static int read_wanted(const struct visit *visit, struct wanted *wanted, json_t *body) {
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value) {
        if (strcmp(name, "protocols") != 0 && strcmp(name, "note") != 0 &&
            strcmp(name, "until") != 0)
            return refuse(visit, 400, NULL, "the members are protocols, note and until");
    }
    return read_protocols(visit, wanted, json_object_get(body, "protocols")) != 0 ||
                   read_note(visit, wanted, json_object_get(body, "note")) != 0 ||
                   read_until(visit, wanted, json_object_get(body, "until")) != 0
               ? -1
               : 0;
}

/* One at a time of an account, so that nobody has one more than he may; few share a lock. */
#define LOCKS 64
static pthread_mutex_t making[LOCKS];
static pthread_once_t made_locks = PTHREAD_ONCE_INIT;

static void make_locks(void) {
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&making[i], NULL);
}

static int make(struct visit *visit, const struct new_password *password,
                char secret[static APP_PASSWORD_SHOWN_SIZE], char id[static PASSWORD_ID_SIZE],
                struct why *why) {
    pthread_mutex_t *lock = &making[keyed_hash(visit->account, strlen(visit->account)) % LOCKS];
    pthread_once(&made_locks, make_locks);
    pthread_mutex_lock(lock);
    int rc = password_add(visit->desk->passwords, password, secret, id, why);
    pthread_mutex_unlock(lock);
    return rc;
}

/* What log and history say of an app password: which, and what it is good for. */
static void tell(const struct visit *visit, const char *id, const char *old,
                 const char *new_value) {
    char field[80], who[CALLER_NAME_SIZE];
    int len = snprintf(field, sizeof field, "password:%.40s", id);
    const struct password_event event = {.account = visit->account,
                                         .id = id,
                                         .actor = caller_name(visit->caller, who, sizeof who),
                                         .client = visit_client(visit),
                                         .old = old,
                                         .new_value = new_value};
    struct why why;
    if (password_record(visit->desk->passwords, &event, &why) != 0)
        log_event(LOG_ERR, "change-unrecorded", "account", visit->account, "problem", why.text,
                  (char *)NULL);
    visit_log_change(visit, (struct store_text){field, (size_t)len},
                     (struct store_text){old, old == NULL ? 0 : strlen(old)},
                     (struct store_text){new_value, new_value == NULL ? 0 : strlen(new_value)});
}

static void add(struct visit *visit, const struct wanted *wanted) {
    int64_t wait = visit->loosen_after;
    struct new_password password = {.account = visit->account,
                                    .protocols = wanted->protocols,
                                    .services = wanted->services,
                                    .note = wanted->note,
                                    .now = visit->now,
                                    .from = wait == 0 ? 0 : visit->now + wait,
                                    .until = wanted->until};
    char secret[APP_PASSWORD_SHOWN_SIZE], id[PASSWORD_ID_SIZE];
    struct why why;
    int rc = make(visit, &password, secret, id, &why);
    if (rc == PASSWORDS_FULL) {
        refuse(visit, 422, "protocols", why.text);
    } else if (rc != 0) {
        visit_unavailable(visit, why.text);
    } else {
        tell(visit, id, NULL, wanted->protocols);
        json_t *body = json_pack("{s:s, s:s, s:o}", "id", id, "password", secret, "from",
                                 time_or_null(password.from));
        answer_json(visit->response, 201, body);
    }
    explicit_bzero(secret, sizeof secret);
}

void visit_new_password(struct visit *visit) {
    struct wanted wanted = {.until = 0};
    struct why why;
    if (!have_passwords(visit))
        return;
    if (!visit->config->settings.passwords) {
        refuse(visit, 403, NULL, "on this host app passwords are made by its administrators");
        return;
    }
    json_t *body = patch_object(visit->request->body, visit->request->body_len, &why);
    if (body == NULL)
        refuse(visit, 400, NULL, why.text);
    else if (read_wanted(visit, &wanted, body) == 0)
        add(visit, &wanted);
    json_decref(body);
    free(wanted.protocols);
    free(wanted.services);
}

/* ---- revoking ---- */

void visit_revoke_password(struct visit *visit) {
    char id[64];
    struct why why;
    if (!have_passwords(visit))
        return;
    int removed = 0;
    if (percent_decode(visit->id, visit->id_len, id, sizeof id) == 0)
        removed = password_remove(visit->desk->passwords, visit->account, id, &why);
    if (removed < 0) {
        visit_unavailable(visit, why.text);
    } else if (removed == 0) {
        refuse(visit, 404, NULL, "there is no app password of this id");
    } else {
        tell(visit, id, "good", NULL);
        answer_octets(visit->response, 204, "", NULL, 0);
    }
}
