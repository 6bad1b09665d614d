/*
 * TLS for Redis. Owns the verification of the server's certificate, which hiredis leaves to its
 * user; without HAVE_HIREDIS_SSL nothing is here, and the URL has been refused before.
 */
#include "tls.h"

#include <stdlib.h>

#ifdef HAVE_HIREDIS_SSL

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "gatepost/base/clock.h"
#include "gatepost/base/regular_file.h"
#include "gatepost/base/waiting.h"

struct redis_tls {
    SSL_CTX *context;
    bool certificate; /* to show the server */
};

/* The first error that OpenSSL has queued, which says what was wrong; the queue is empty then. */
static const char *first_error(void) {
    unsigned long error = ERR_get_error();
    ERR_clear_error();
    /* of the system: a file that cannot be read */
    if (ERR_SYSTEM_ERROR(error))
        return strerror(ERR_GET_REASON(error));
    const char *reason = ERR_reason_error_string(error);
    return reason != NULL ? reason : "it cannot be read";
}

static int refuse(const char *setting, const char *file, struct why *why) {
    return why_set(why, "%s %s: %s", setting, file, first_error());
}

/* OpenSSL would wait for a FIFO. True: it may have a look at the file. */
static bool is_readable(const char *setting, const char *path, struct why *why) {
    struct why reason;
    FILE *file = path[0] == '\0' ? NULL : regular_file_open(path, NULL, &reason);
    if (file != NULL)
        fclose(file);
    else if (path[0] != '\0')
        why_set(why, "%s %s", setting, reason.text);
    return file != NULL || path[0] == '\0';
}

static int read_files(SSL_CTX *context, const struct store_settings *settings, struct why *why) {
    if (!is_readable("store_tls_ca", settings->tls_ca, why) ||
        !is_readable("store_tls_cert", settings->tls_cert, why) ||
        !is_readable("store_tls_key", settings->tls_key, why))
        return -1;
    if (settings->tls_ca[0] == '\0' && SSL_CTX_set_default_verify_paths(context) != 1)
        return why_set(why, "the CA certificates of this host cannot be read: set store_tls_ca");
    if (settings->tls_ca[0] != '\0' && SSL_CTX_load_verify_file(context, settings->tls_ca) != 1)
        return refuse("store_tls_ca", settings->tls_ca, why);
    if (settings->tls_cert[0] == '\0')
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, settings->tls_cert) != 1)
        return refuse("store_tls_cert", settings->tls_cert, why);
    if (SSL_CTX_use_PrivateKey_file(context, settings->tls_key, SSL_FILETYPE_PEM) != 1)
        return refuse("store_tls_key", settings->tls_key, why);
    return 0;
}

int redis_tls_open(const struct store_settings *settings, struct redis_tls **out, struct why *why) {
    /* At exit a thread may still be at a handshake: OpenSSL is not to be taken from under it. */
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    struct redis_tls *tls = calloc(1, sizeof *tls);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int rc = -1;
    ERR_clear_error();
    if (tls == NULL || context == NULL ||
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        why_set(why, "TLS: no memory");
    else
        rc = read_files(context, settings, why);
    if (rc != 0) {
        SSL_CTX_free(context);
        free(tls);
        return -1;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    tls->context = context;
    tls->certificate = settings->tls_cert[0] != '\0';
    *out = tls;
    return 0;
}

void redis_tls_free(struct redis_tls *tls) {
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* The name to ask for and to compare with the certificate. */
static bool expect_host(SSL *ssl, const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/* What to do about a certificate that is not taken. */
static const char *advice(long verified) {
    switch (verified) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "set store_tls_ca to the CA that signed it";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "name the server in `store` as its certificate does";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "renew it, or look at the clock of this host";
    default:
        return "see the certificate of the server";
    }
}

/* A failed handshake, for somebody who has to mend it. */
static void explain(const char *host, SSL *ssl, const redisContext *conn, struct why *why) {
    long verified = SSL_get_verify_result(ssl);
    unsigned long error = ERR_peek_error();
    if (verified != X509_V_OK)
        why_set(why, "TLS: the certificate of %s: %s: %s", host,
                X509_verify_cert_error_string(verified), advice(verified));
    else if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
             ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        why_set(why,
                "TLS: the server does not speak TLS on this port: name its tls-port in `store`");
    else
        why_set(why, "TLS: %s",
                error != 0       ? first_error()
                : conn->err != 0 ? conn->errstr
                                 : "the server hung up");
    ERR_clear_error();
}

/* Does the rest of the handshake; the connection owns `ssl`. */
static int shake_hands(redisContext *conn, SSL *ssl, int64_t deadline) {
    int rc;
    while ((rc = SSL_connect(ssl)) != 1) {
        int wants = SSL_get_error(ssl, rc);
        if ((wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) ||
            waiting_fd(conn->fd, wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline) <= 0)
            return -1;
    }
    return 0;
}

/* Of a connection that blocks OpenSSL waits for whole records, however slowly they come. */
static bool never_block(redisContext *conn) {
    int flags = fcntl(conn->fd, F_GETFL);
    conn->flags &= ~REDIS_BLOCK;
    return flags >= 0 && fcntl(conn->fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

int redis_tls_start(struct redis_tls *tls, redisContext *conn, const char *host, int64_t deadline,
                    struct why *why) {
    if (clock_now_ms() >= deadline)
        return why_set(why, "TLS: no time left within store_timeout");
    SSL *ssl = SSL_new(tls->context);
    ERR_clear_error();
    if (ssl == NULL || !expect_host(ssl, host) || !never_block(conn)) {
        why_set(why, "TLS: cannot start it");
        SSL_free(ssl);
        return -1;
    }
    bool owned = redisInitiateSSL(conn, ssl) == REDIS_OK;
    if (owned && shake_hands(conn, ssl, deadline) == 0)
        return 0;
    if (clock_now_ms() >= deadline)
        why_set(why, "TLS: no answer within store_timeout: is this the tls-port of the server?");
    else
        explain(host, ssl, conn, why);
    if (!owned)
        SSL_free(ssl);
    return -1;
}

const char *redis_tls_hint(const struct redis_tls *tls) {
    return tls->certificate ? "it may not trust store_tls_cert"
                            : "it may demand a certificate: set store_tls_cert and store_tls_key";
}

#else

int redis_tls_open(const struct store_settings *settings, struct redis_tls **out, struct why *why) {
    (void)settings, (void)out;
    return why_set(why, "TLS: not supported by this build");
}

void redis_tls_free(struct redis_tls *tls) {
    (void)tls;
}

int redis_tls_start(struct redis_tls *tls, redisContext *conn, const char *host, int64_t deadline,
                    struct why *why) {
    (void)tls, (void)conn, (void)host, (void)deadline;
    return why_set(why, "TLS: not supported by this build");
}

const char *redis_tls_hint(const struct redis_tls *tls) {
    (void)tls;
    return "";
}

#endif
