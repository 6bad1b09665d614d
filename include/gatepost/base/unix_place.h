/*
 * The place of a unix socket: what may stand there, and whom the socket belongs to. What is wrong
 * is logged as event=start-failed, with the setting.
 */
#ifndef GATEPOST_BASE_UNIX_PLACE_H
#define GATEPOST_BASE_UNIX_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "gatepost/core/why.h"

/* What is found there. */
struct place {
    char directory[120]; /* that it lies in */
    mode_t mode;         /* of the directory */
    int error;           /* errno of the directory; 0 where there is one */
    bool socket;         /* an old socket stands there */
};

/*
 * Looks at the place of an absolute path, of at most 107 octets. Nothing but an old socket may
 * stand there. Returns 0, or -1 with the reason, which names the directory if that is at fault.
 */
int place_look(const char *path, struct place *out, struct why *why);

/* A socket as the configuration names it; the texts are the caller's. */
struct unix_place {
    const char *setting, *value;       /* "socket", "unix:/run/gatepost/gatepost.sock" */
    const char *group_setting, *group; /* "": the group stays as it is */
    bool group_given;                  /* in the file: it must exist */
    bool give;                         /* to another user: */
    uid_t owner;
    const char *owner_name; /* as the setting `user` has it */
};

/*
 * An old socket may stand there, and nothing else; its directory must be there. Returns 0 and the
 * group that the socket shall have, (gid_t)-1 for none, or -1.
 */
int unix_place_prepare(const struct unix_place *place, gid_t *group);

/*
 * The socket has been made: gives it its group and its owner. Returns a descriptor (O_PATH) that
 * stands for its file, or -1.
 */
int unix_place_take(const struct unix_place *place, gid_t group);

#endif
