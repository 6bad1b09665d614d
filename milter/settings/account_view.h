/*
 * An account as JSON. Pure but for what it is given.
 */
#ifndef GATEPOST_SETTINGS_ACCOUNT_VIEW_H
#define GATEPOST_SETTINGS_ACCOUNT_VIEW_H

#include <jansson.h>

#include "gatepost/write/self.h"

/* What a view holds as JSON, without the record of use; NULL when there is no memory. */
json_t *account_view_json(const struct self_view *view, int64_t now);

/*
 * The entity tag of that, with its quotes: it changes when any fact that was read does, and when
 * what is shown does because time has passed. Returns 0, or -1 when there is no memory.
 */
#define ACCOUNT_TAG_SIZE 40
int account_view_tag(const struct self_view *view, const json_t *shown,
                     char out[static ACCOUNT_TAG_SIZE]);

/* Tells of one service that it was used last at this time. */
void account_view_use(json_t *shown, const char *service, int64_t last);

#endif
