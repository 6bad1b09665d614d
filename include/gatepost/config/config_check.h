/*
 * Checks of single configuration values. Each returns 0, or -1 with the reason in `why`, one line
 * that says what would be right. Pure but for nothing: no file is opened here.
 */
#ifndef GATEPOST_CONFIG_CONFIG_CHECK_H
#define GATEPOST_CONFIG_CONFIG_CHECK_H

#include <stddef.h>

#include "gatepost/core/why.h"

typedef int config_check(const char *value, struct why *why);

config_check check_socket, check_octal_mode, check_store, check_duration, check_period,
    check_verdict, check_store_error, check_mode, check_need, check_unknown, check_helo, check_log,
    check_log_format, check_log_level, check_http_listen, check_doors_listen,
    check_passwords_listen, check_use_store, check_use_kept, check_service, check_door,
    check_listener_tls, check_backend, check_netblock, check_address, check_nameserver, check_name,
    check_protocol_name, check_refusal_reason, check_template, check_domain, check_delimiters,
    check_plain, check_path, check_origin, check_suggested_ip;

/*
 * A name server as the configuration writes it, ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT. Returns
 * 0 and "ADDRESS:PORT" or "[ADDRESS]:PORT" in `out`, or -1.
 */
int nameserver_format(const char *value, char *out, size_t out_size);

#endif
