/*
 * The place of a unix socket of the filter: what may stand there, and whom the socket belongs to.
 * What is wrong is logged as event=start-failed, with the setting.
 */
#ifndef GATEPOST_FILTER_UNIX_PLACE_H
#define GATEPOST_FILTER_UNIX_PLACE_H

#include "privileges.h"

/* A socket as the configuration names it; the texts are the caller's. */
struct unix_place {
    const char *setting, *value;       /* "socket", "unix:/run/gatepost/gatepost.sock" */
    const char *group_setting, *group; /* "": the group stays as it is */
    bool group_given;                  /* in the file: it must exist */
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
int unix_place_take(const struct unix_place *place, gid_t group, const struct config *config,
                    const struct privileges *privileges);

#endif
