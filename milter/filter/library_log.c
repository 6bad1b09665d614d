/*
 * syslog(3) as the libraries call it. Owns nothing but the two names.
 *
 * libmilter logs what goes wrong with a connection from the thread that serves it, and the C
 * library's syslog(3) waits for a slow reader: threads would pile up, each with its session. A
 * definition in the program comes before the C library's.
 */
#include <stdarg.h>

#include "gatepost/base/log.h"

/* Declared by other names: <syslog.h> may have made macros or inline functions of them. */
void library_syslog(int priority, const char *format, ...) __asm__("syslog")
    __attribute__((format(printf, 2, 3)));
void library_syslog_chk(int priority, int flag, const char *format, ...) __asm__("__syslog_chk")
    __attribute__((format(printf, 3, 4)));

void library_syslog(int priority, const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_library(priority, format, args);
    va_end(args);
}

/* The same where the library was built with _FORTIFY_SOURCE. */
void library_syslog_chk(int priority, int flag, const char *format, ...) {
    va_list args;
    (void)flag;
    va_start(args, format);
    log_library(priority, format, args);
    va_end(args);
}
