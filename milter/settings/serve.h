/*
 * The running program: its socket, its signals, its reload and its stop.
 */
#ifndef GATEPOST_SETTINGS_SERVE_H
#define GATEPOST_SETTINGS_SERVE_H

#include "office.h"

/*
 * Listens as the configuration of the office says, publishes it, and serves until SIGTERM or
 * SIGINT. SIGHUP and SIGUSR1 read the configuration and the tokens again. Takes the office over.
 * Returns 0, or -1: the log has why.
 */
int serve_settings(struct office *office);

#endif
