/*
 * What the service manager (systemd) is told, where there is one and this program was built for it.
 */
#ifndef GATEPOST_BASE_SERVICE_MANAGER_H
#define GATEPOST_BASE_SERVICE_MANAGER_H

/* One or more assignments as of sd_notify(3), "READY=1". */
void service_manager_tell(const char *state);

/* Milliseconds between two signs of life, or -1 when nobody waits for them. */
int service_manager_interval(void);

#endif
