/*
 * The first change of a policy file that does not exist.
 */
#ifndef GATEPOST_CTL_NEW_FILE_H
#define GATEPOST_CTL_NEW_FILE_H

#include "ctl.h"

/* Owns the path where the new file will be, that where it is made, and that as a store. */
struct new_file {
    char *path, *beside, *store;
};

/*
 * If the store is a policy file that does not exist, the configuration's store becomes an empty one
 * beside it, for the command that comes now. One whose history is still there is lost, not new.
 * Returns CTL_DONE, with `file` to be ended in every case, or an exit status.
 */
int new_file_begin(struct ctl *ctl, struct new_file *file);

/*
 * Gives the file its name if the command put something into it; else it goes. Whoever reads that
 * name never sees a file that is empty or half written. Returns `status`, or an exit status.
 */
int new_file_end(const struct ctl *ctl, struct new_file *file, int status);

#endif
