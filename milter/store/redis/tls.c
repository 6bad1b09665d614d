/*
 * TLS for Redis. Owns the verification of the server's certificate, which hiredis leaves to its
 * user; without HAVE_HIREDIS_SSL nothing is here, and the URL has been refused before.
 */
#include "tls.h"

#include <stdio.h>

#ifdef HAVE_HIREDIS_SSL

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "gatepost/base/clock.h"

static SSL_CTX *context; /* one for the process; NULL when it cannot be had */

static void make_context(void) {
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_default_verify_paths(context) != 1) {
        SSL_CTX_free(context);
        context = NULL;
    }
}

int redis_tls_prepare(struct why *why) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_context);
    if (context != NULL)
        return 0;
    return why_set(why, "TLS: cannot read the CA certificates of this host");
}

/* The name to ask for and to compare with the certificate. */
static bool expect_host(SSL *ssl, const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

int redis_tls_start(redisContext *conn, const char *host, int64_t deadline, struct why *why) {
    int64_t left = deadline - clock_now_ms();
    struct timeval limit = {.tv_sec = left / 1000, .tv_usec = (left % 1000) * 1000};
    if (left <= 0)
        return why_set(why, "TLS: no time left within store_timeout");
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || !expect_host(ssl, host) || redisSetTimeout(conn, limit) != REDIS_OK) {
        why_set(why, "TLS: cannot start it");
        SSL_free(ssl);
        return -1;
    }
    if (redisInitiateSSL(conn, ssl) == REDIS_OK)
        return 0; /* the connection owns it */
    long verified = SSL_get_verify_result(ssl);
    if (clock_now_ms() >= deadline)
        why_set(why, "TLS: no answer within store_timeout");
    else if (verified != X509_V_OK)
        why_set(why, "TLS: the certificate of %s: %s", host,
                X509_verify_cert_error_string(verified));
    else
        why_set(why, "TLS: %s", conn->errstr);
    SSL_free(ssl);
    return -1;
}

#else

int redis_tls_prepare(struct why *why) {
    return why_set(why, "TLS: not supported by this build");
}

int redis_tls_start(redisContext *conn, const char *host, int64_t deadline, struct why *why) {
    (void)conn, (void)host, (void)deadline;
    return why_set(why, "TLS: not supported by this build");
}

#endif
