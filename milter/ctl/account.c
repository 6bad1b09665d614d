/*
 * The commands about whole accounts: list, delete. Owns which subjects are accounts; what one may
 * do is shown by show.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "print.h"
#include "write/write.h"

int ctl_account_list(struct ctl *ctl, int argc, char **argv) {
    struct ctl_names names;
    char *pattern = xasprintf("account:%s", argc > 0 ? argv[0] : "*");
    int status = ctl_open_writer(ctl);
    if (status == CTL_DONE)
        status = ctl_names_read(ctl, pattern, &names);
    free(pattern);
    if (status != CTL_DONE)
        return status;
    json_t *list = ctl->json ? json_array() : NULL;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.names[i] + strlen("account:");
        if (list != NULL) {
            json_array_append_new(list, json_text(name));
        } else {
            ctl_puts(stdout, name);
            putchar('\n');
        }
    }
    if (names.odd > 0)
        ctl_warn("%zu keys have a NUL octet in their names and are not listed", names.odd);
    ctl_names_clear(&names);
    return list != NULL ? ctl_print_json(list) : CTL_DONE;
}

/*
 * A key that no look-up asks for, such as one in upper case, can go only by its own name: this is
 * tried when there is no such account.
 */
static int exists(struct ctl *ctl, const char *subject, bool *there) {
    struct store_hash hash;
    struct why why;
    if (ctl_read_hash(ctl, subject, &hash, &why) != 0)
        return ctl_fail(ctl, "%s", why.text);
    *there = hash.answer != STORE_ABSENT;
    store_hash_clear(&hash);
    return CTL_DONE;
}

int ctl_account_delete(struct ctl *ctl, int argc, char **argv) {
    char *subject;
    bool there = false;
    (void)argc;
    int status = ctl_open_writer(ctl);
    if (status != CTL_DONE)
        return status;
    char *literal = xasprintf("account:%s", argv[0]);
    status = exists(ctl, literal, &there);
    if (status == CTL_DONE && there)
        status = ctl_write_drop(ctl, literal);
    free(literal);
    if (status != CTL_DONE || there)
        return status;
    status = ctl_name_account(ctl, argv[0], &subject);
    if (status != CTL_DONE)
        return status;
    status = ctl_write_drop(ctl, subject);
    free(subject);
    return status;
}
