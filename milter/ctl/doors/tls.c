/*
 * TLS with a door. Owns the verification of its certificate: trusted by the CAs of this host, in
 * time, and in the right name, each found out however the others turn out. The only file of
 * gatepostctl that knows OpenSSL.
 */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "../memory.h"
#include "gatepost/base/clock.h"
#include "gatepost/core/textbuf.h"

struct tls {
    SSL_CTX *context;
    SSL *ssl;
};

/* Takes note of what is wrong and lets the verification go on to what else is. */
static int note_error(int good, X509_STORE_CTX *store) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_seen *seen = SSL_get_app_data(ssl);
    int error = X509_STORE_CTX_get_error(store);
    if (good)
        return 1;
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        seen->wrong_name = true;
    else if (error == X509_V_ERR_CERT_HAS_EXPIRED && X509_STORE_CTX_get_error_depth(store) == 0)
        seen->expired = true;
    else if (seen->untrusted[0] == '\0')
        snprintf(seen->untrusted, sizeof seen->untrusted, "%s",
                 X509_verify_cert_error_string(error));
    return 1;
}

/* The name to ask for and to compare with the certificate. */
static bool expect_host(SSL *ssl, const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

static void put_name(struct textbuf *buf, const GENERAL_NAME *name) {
    char address[INET6_ADDRSTRLEN];
    if (name->type != GEN_DNS && name->type != GEN_IPADD)
        return;
    const ASN1_STRING *octets = GENERAL_NAME_get0_value(name, NULL); /* both are such */
    const unsigned char *data = ASN1_STRING_get0_data(octets);
    int len = ASN1_STRING_length(octets);
    textbuf_puts(buf, buf->len > 0 ? ", " : "");
    if (name->type == GEN_DNS)
        textbuf_put_reply(buf, (const char *)data, (size_t)len < 100 ? (size_t)len : 100);
    else if (inet_ntop(len == 4 ? AF_INET : AF_INET6, len == 4 || len == 16 ? data : NULL, address,
                       sizeof address) != NULL)
        textbuf_puts(buf, address);
}

/* Its alternative names, or what it is called where there are none. */
static void note_names(X509 *certificate, struct tls_seen *seen) {
    struct textbuf buf;
    textbuf_init(&buf, seen->names, sizeof seen->names);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        put_name(&buf, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    if (buf.len == 0)
        X509_NAME_oneline(X509_get_subject_name(certificate), seen->names, (int)sizeof seen->names);
}

static void note_certificate(SSL *ssl, struct tls_seen *seen) {
    struct tm tm;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    seen->version = SSL_get_version(ssl);
    if (certificate == NULL)
        return;
    note_names(certificate, seen);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1)
        seen->expires = (int64_t)timegm(&tm);
    seen->verified = SSL_get_verify_result(ssl) == X509_V_OK && seen->expires != 0 &&
                     !seen->expired && !seen->wrong_name && seen->untrusted[0] == '\0';
    X509_free(certificate);
}

/* Why OpenSSL cannot go on; its queue of errors is empty then. */
static enum tls_result explain(SSL *ssl, int rc, struct why *why) {
    int kind = SSL_get_error(ssl, rc);
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    int system = errno;
    bool eof = kind == SSL_ERROR_ZERO_RETURN || (kind == SSL_ERROR_SYSCALL && error == 0) ||
               (ERR_GET_LIB(error) == ERR_LIB_SSL &&
                ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
    ERR_clear_error();
    if (eof) {
        why_set(why, "it hung up in the TLS handshake%s%s", system != 0 ? ": " : "",
                system != 0 ? strerror(system) : "");
        return TLS_HUNG_UP;
    }
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        reason = "it does not speak TLS";
    why_set(why, "%s", reason != NULL ? reason : "the TLS handshake failed");
    return TLS_FAILED;
}

static enum tls_result shake_hands(SSL *ssl, int fd, int64_t deadline, struct why *why) {
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_connect(ssl);
        if (rc == 1)
            return TLS_DONE;
        int wants = SSL_get_error(ssl, rc);
        if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE)
            return explain(ssl, rc, why);
        struct pollfd pfd = {.fd = fd, .events = wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT};
        int64_t left = deadline - clock_now_ms();
        if (left <= 0 || poll(&pfd, 1, (int)left) == 0) {
            why_set(why, "no end of the TLS handshake in time");
            return TLS_LATE;
        }
    }
}

enum tls_result tls_begin(int fd, const char *host, int64_t deadline, struct tls **out,
                          struct tls_seen *seen, struct why *why) {
    struct tls *tls = xcalloc(1, sizeof *tls);
    enum tls_result result = TLS_FAILED;
    *seen = (struct tls_seen){.verified = false};
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context != NULL && SSL_CTX_set_default_verify_paths(tls->context) == 1)
        tls->ssl = SSL_new(tls->context);
    if (tls->ssl == NULL || !expect_host(tls->ssl, host) || SSL_set_fd(tls->ssl, fd) != 1) {
        why_set(why, "TLS cannot be started here");
    } else {
        SSL_set_app_data(tls->ssl, seen);
        SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, note_error);
        result = shake_hands(tls->ssl, fd, deadline, why);
    }
    if (result != TLS_DONE) {
        tls_free(tls);
        return result;
    }
    note_certificate(tls->ssl, seen);
    *out = tls;
    return TLS_DONE;
}

void tls_free(struct tls *tls) {
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

/* What read(2) and write(2) would have said. */
static ssize_t translate(struct tls *tls, int rc, short *events) {
    int kind = rc > 0 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, rc);
    ERR_clear_error();
    switch (kind) {
    case SSL_ERROR_NONE:
        return rc;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        *events = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        errno = EAGAIN;
        return -1;
    default: /* many a server leaves without a word of TLS */
        errno = ECONNRESET;
        return -1;
    }
}

ssize_t tls_read(struct tls *tls, void *octets, size_t size, short *events) {
    ERR_clear_error();
    return translate(tls, SSL_read(tls->ssl, octets, (int)size), events);
}

ssize_t tls_write(struct tls *tls, const void *octets, size_t size, short *events) {
    ERR_clear_error();
    return translate(tls, SSL_write(tls->ssl, octets, (int)size), events);
}
