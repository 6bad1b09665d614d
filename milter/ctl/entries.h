/*
 * Entries of an account and members of a network: how they are written, removed and shown.
 *
 * Functions that return a status say why it is not CTL_DONE.
 */
#ifndef GATEPOST_CTL_ENTRIES_H
#define GATEPOST_CTL_ENTRIES_H

#include "gatepost/base/json_text.h"
#include "policies.h"

/* A note without white space around it, which nobody means; owned by the caller. */
char *ctl_trim_note(const char *note);

/* Adds the entry that a field is, with a note and the end that --until gives. The status. */
int ctl_add_entry(struct ctl *ctl, const char *subject, const char *field, const char *note);

/*
 * Removes an entry or a member, in whatever spelling it is there; it must be there, or else the one
 * that is called `literal`, so that what cannot be read can go too. The status.
 */
int ctl_remove_entry(struct ctl *ctl, const char *subject, const char *field, const char *literal);

enum entry_list {
    ENTRIES_LISTED, /* `ip:` and `ip:spf:` */
    ENTRIES_AS,     /* `as:` */
};

/*
 * Appends the entries of all subjects to `list`, or prints them, a line each, when it is NULL.
 * Returns how many there are.
 */
size_t ctl_list_entries(const struct ctl *ctl, enum entry_list which,
                        const struct ctl_policies *policies, int indent, json_t *list);

/* The same of an account as the command line names it, as text or JSON. The status. */
int ctl_show_entries(struct ctl *ctl, enum entry_list which, const char *account);

/* The members of a network likewise, those of the configuration first. */
size_t ctl_list_members(const struct ctl *ctl, const char *subject, const struct store_hash *hash,
                        json_t *list);

#endif
