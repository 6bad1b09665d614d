/*
 * What `gatepost -t` looks for beyond the file itself: what a start would stumble over.
 */
#ifndef GATEPOST_FILTER_TRY_H
#define GATEPOST_FILTER_TRY_H

#include "gatepost/config/config.h"

/*
 * Prints each problem to standard error, with its setting, and returns how many there are: a user
 * or group that does not exist, no directory for a socket or one that the user may not write in,
 * something else in a socket's place, an address that another program listens on, a store, token or
 * password file that cannot be opened, a network that nobody defines. A Redis that does not answer
 * is none, since it may come later, and it is waited for once; a directory below /run is none
 * either, since the service manager makes it, nor an address that a running filter has. Started by
 * root, it becomes the user of the configuration, to see what that one may do. Starts no threads.
 */
unsigned config_try(const struct config *config);

#endif
