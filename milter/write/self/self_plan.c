/*
 * Plans of self facts. Owns their memory.
 */
#include "self_plan.h"

#include <stdlib.h>

const char *self_plan_keep(struct self_plan *plan, char *text) {
    if (text != NULL && plan->n_texts == plan->texts_room) {
        size_t room = plan->texts_room == 0 ? 16 : plan->texts_room * 2;
        char **grown = realloc(plan->texts, room * sizeof *grown);
        if (grown == NULL) {
            free(text);
            return NULL;
        }
        plan->texts = grown;
        plan->texts_room = room;
    }
    if (text != NULL)
        plan->texts[plan->n_texts++] = text;
    return text;
}

int self_plan_want(struct self_plan *plan, const char *field, const char *value) {
    if (plan->n == plan->room) {
        size_t room = plan->room == 0 ? 16 : plan->room * 2;
        struct wanted_fact *grown = realloc(plan->wanted, room * sizeof *grown);
        if (grown == NULL)
            return -1;
        plan->wanted = grown;
        plan->room = room;
    }
    plan->wanted[plan->n++] = (struct wanted_fact){field, value};
    return 0;
}

void self_plan_clear(struct self_plan *plan) {
    for (size_t i = 0; i < plan->n_texts; i++)
        free(plan->texts[i]);
    free(plan->texts);
    free(plan->wanted);
    plan_clear(&plan->changes);
    *plan = (struct self_plan){0};
}
