/*
 * The form of an account. Owns the names of its members; what holds is write/self.h's.
 */
#include "account_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatepost/base/json_text.h"
#include "gatepost/base/sha256.h"
#include "gatepost/core/timestamp.h"

static json_t *time_json(int64_t time) {
    char text[TIMESTAMP_SIZE];
    return json_text(timestamp_format(time, text));
}

/* SUBJECT:FIELD; null where nobody has set anything. */
static json_t *origin_json(const struct policy_origin *from) {
    char *text;
    if (from->subject == NULL || from->field == NULL)
        return json_null();
    if (asprintf(&text, "%s:%s", from->subject, from->field) < 0)
        return NULL;
    json_t *json = json_text(text);
    free(text);
    return json;
}

/* What will change by itself. */
static void add_pending(json_t *pending, const char *group, const char *name, const char *becomes,
                        int64_t at) {
    char field[400];
    snprintf(field, sizeof field, "%s%s%s", group, group[0] == '\0' ? "" : ".", name);
    json_t *one = json_object();
    json_object_set_new(one, "field", json_text(field));
    json_object_set_new(one, "becomes", json_text(becomes));
    json_object_set_new(one, "at", time_json(at));
    json_array_append_new(pending, one);
}

static json_t *words_json(bool first, const char *first_word, bool second,
                          const char *second_word) {
    json_t *words = json_array();
    if (first)
        json_array_append_new(words, json_string(first_word));
    if (second)
        json_array_append_new(words, json_string(second_word));
    return words;
}

static json_t *protocol_json(const struct self_protocol *protocol) {
    json_t *json = json_object(), *services = json_array();
    for (size_t i = 0; i < protocol->n_services; i++)
        json_array_append_new(services, json_text(protocol->services[i]));
    json_object_set_new(json, "status", json_string(protocol->on ? "on" : "off"));
    json_object_set_new(json, "set", protocol->set_off ? json_string("off") : json_null());
    json_object_set_new(json, "from", origin_json(&protocol->from));
    json_object_set_new(json, "services", services);
    json_object_set_new(json, "may", words_json(protocol->may_off, "off", protocol->may_on, "on"));
    json_object_set_new(json, "last_use", json_object());
    if (protocol->malformed)
        json_object_set_new(json, "malformed", json_true());
    return json;
}

static json_t *protocols_json(const struct self_view *view, json_t *pending) {
    json_t *all = json_object();
    for (size_t i = 0; i < view->n_protocols; i++) {
        const struct self_protocol *protocol = &view->protocols[i];
        json_object_set_new(all, protocol->name, protocol_json(protocol));
        if (protocol->set_off && protocol->until != 0)
            add_pending(pending, "protocols", protocol->name, "on", protocol->until);
    }
    return all;
}

/* The host's and his own; what has lapsed is not shown. */
static json_t *ips_json(const struct self_view *view, int64_t now, json_t *own, json_t *pending) {
    json_t *all = json_object();
    for (size_t i = 0; i < view->n_ips; i++) {
        const struct self_ip *ip = &view->ips[i];
        const char *block = strncmp(ip->field, "ip:", 3) == 0 ? ip->field + 3 : ip->field;
        bool comes = !ip->malformed && ip->from > now;
        if (!ip->counts && !comes && !(ip->own && ip->malformed))
            continue;
        json_object_set_new(all, block, json_octets(ip->note.text, ip->note.len));
        if (ip->own)
            json_array_append_new(own, json_text(block));
        if (ip->own && comes)
            add_pending(pending, "ips", block, "listed", ip->from);
    }
    return all;
}

static void add_setting(json_t *json, const char *name, const struct self_setting *setting,
                        const char *restrict_word, const char *open_word, json_t *pending) {
    json_object_set_new(json, name, json_text(setting->value));
    json_object_set_new(json_object_get(json, "set"), name,
                        setting->set ? json_string(restrict_word) : json_null());
    json_object_set_new(json_object_get(json, "from"), name, origin_json(&setting->from));
    json_object_set_new(
        json_object_get(json, "may"), name,
        words_json(setting->may_restrict, restrict_word, setting->may_unset, open_word));
    if (setting->set && setting->until != 0)
        add_pending(pending, "", name, open_word, setting->until);
}

json_t *account_view_json(const struct self_view *view, int64_t now) {
    json_t *json = json_object(), *pending = json_array(), *own = json_array();
    json_object_set_new(json, "account", json_text(view->account));
    json_object_set_new(json, "set", json_object());
    json_object_set_new(json, "from", json_object());
    json_object_set_new(json, "may", json_object());
    add_setting(json, "source", &view->source, "authorized", "any", pending);
    add_setting(json, "password", &view->password, "application", "any", pending);
    json_object_set_new(json, "ips", ips_json(view, now, own, pending));
    json_object_set_new(json_object_get(json, "set"), "ips", own);
    json_object_set_new(json_object_get(json, "may"), "ips", json_boolean(view->may_add_ips));
    json_object_set_new(json, "protocols", protocols_json(view, pending));
    json_object_set_new(json, "pending", pending);
    return json;
}

int account_view_tag(const struct self_view *view, const json_t *shown,
                     char out[static ACCOUNT_TAG_SIZE]) {
    char hash[SHA256_TEXT_SIZE];
    char *text = json_dump_malloc(shown, JSON_COMPACT | JSON_SORT_KEYS);
    int rc = text == NULL ? -1 : sha256_text(text, strlen(text), hash);
    free(text);
    if (rc == 0)
        snprintf(out, ACCOUNT_TAG_SIZE, "\"%016" PRIx64 "%.16s\"", view->state, hash);
    return rc;
}

void account_view_use(json_t *shown, const char *service, int64_t last) {
    const char *name;
    json_t *protocol, *one;
    size_t i;
    json_object_foreach(json_object_get(shown, "protocols"), name, protocol) {
        json_t *used = json_object_get(protocol, "last_use");
        json_array_foreach(json_object_get(protocol, "services"), i, one) {
            char text[TIMESTAMP_SIZE];
            const char *before = json_string_value(json_object_get(used, service));
            timestamp_format(last, text);
            /* RFC 3339 in UTC: in the order of their text */
            if (strcmp(json_string_value(one), service) == 0 &&
                (before == NULL || strcmp(before, text) < 0))
                json_object_set_new(used, service, json_text(text));
        }
    }
}
