/*
 * The state of the filter as a person reads it.
 */
#ifndef GATEPOST_CTL_STATUS_SHOW_H
#define GATEPOST_CTL_STATUS_SHOW_H

#include "../ctl.h"

/*
 * Prints the answer to /status: first whether all is well, in one line, or what is not; then the
 * parts in groups. `problem` is what /readyz has to say, NULL for nothing.
 */
void status_show(json_t *status, const char *problem);

#endif
