/*
 * What a host offers. Owns the signs of it.
 */
#include "offered.h"

#include <stdbool.h>
#include <string.h>

#include "gatepost/base/json_text.h"
#include "gatepost/core/netblock.h"

static bool has_section(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->rules.n_protocols; i++)
        if (strcmp(config->rules.protocols[i].name, name) == 0)
            return true;
    return false;
}

static bool has_listener(const struct config *config, const json_t *services) {
    const json_t *service;
    size_t i;
    json_array_foreach(services, i, service) {
        for (size_t j = 0; j < config->n_listeners; j++)
            if (strcmp(config->listeners[j].rules.service, json_string_value(service)) == 0)
                return true;
    }
    return false;
}

/* Has somebody named it, and not all that is left by "protocol:*"? */
static bool is_set_by_name(const json_t *protocol) {
    static const char rest[] = ":protocol:*";
    const char *from = json_string_value(json_object_get(protocol, "from"));
    if (json_string_value(json_object_get(protocol, "set")) != NULL)
        return true;
    return from != NULL && (strlen(from) < sizeof rest ||
                            strcmp(from + strlen(from) - (sizeof rest - 1), rest) != 0);
}

void offered_mark(json_t *shown, const struct config *config) {
    const char *name;
    json_t *protocol;
    json_object_foreach(json_object_get(shown, "protocols"), name, protocol) {
        bool offered = has_section(config, name) ||
                       has_listener(config, json_object_get(protocol, "services")) ||
                       json_object_size(json_object_get(protocol, "last_use")) > 0 ||
                       is_set_by_name(protocol);
        json_object_set_new(protocol, "offered", json_boolean(offered));
    }
}

void offered_suggest(json_t *shown, const struct config *config) {
    const struct config_list *list = &config->settings.suggested_ips;
    const json_t *listed = json_object_get(shown, "ips");
    json_t *suggested = json_object();
    for (size_t i = 0; i < list->n; i++) {
        struct netblock block;
        struct why why;
        char text[NETBLOCK_TEXT_SIZE];
        size_t len = strcspn(list->items[i], " ");
        if (netblock_parse(list->items[i], len, &block, &why) == 0 && /* checked before */
            json_object_get(listed, netblock_format(&block, text)) == NULL)
            json_object_set_new(
                suggested, text,
                json_text(list->items[i] + len + strspn(list->items[i] + len, " ")));
    }
    json_object_set_new(shown, "suggested", suggested);
}
