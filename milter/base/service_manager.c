/*
 * The service manager, by libsystemd.
 */
#include "gatepost/base/service_manager.h"

#ifdef HAVE_LIBSYSTEMD
#include <stdint.h>

#include <systemd/sd-daemon.h>

void service_manager_tell(const char *state) {
    sd_notify(0, state);
}

int service_manager_interval(void) {
    uint64_t microseconds;
    return sd_watchdog_enabled(0, &microseconds) > 0 ? (int)(microseconds / 2000) : -1;
}
#else
void service_manager_tell(const char *state) {
    (void)state;
}

int service_manager_interval(void) {
    return -1;
}
#endif
