/*
 * A name server for the fuzz targets: everything it knows is cut from the fuzz input. It stands in
 * for dns.h (dns_open() and its siblings), answers at once and never asks anyone.
 *
 * The input is text. Its first line says who asks: one octet that chooses the client's address by
 * its low three bits and, by the next one, whether a trace is wanted, then HELO and sender, each
 * after a space; a missing word is an absent value. Every other line is a record: its type, its
 * name, its data. The type is one of T (TXT), A, Q (AAAA), M (MX), P (PTR), F (the query fails) and
 * Z (there is no memory); the low three bits of the name's first octet are the name, and so a query
 * finds the records whose name ends in the same bits as its own first octet. A backslash makes the
 * next octet data, even the end of a line.
 */
#ifndef GATEPOST_TESTS_FUZZ_FAKE_DNS_H
#define GATEPOST_TESTS_FUZZ_FAKE_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatepost/core/netblock.h"
#include "gatepost/dns/dns.h"

struct fake_scene {
    struct ip_address client;
    const char *helo;   /* NULL for none */
    const char *sender; /* likewise */
    bool trace;
};

/* Takes the input as what the DNS holds, and counts queries from 0 again; it is copied. */
void fake_dns_load(const uint8_t *data, size_t size, struct fake_scene *scene);

/* The queries since then. */
unsigned fake_dns_queries(void);

/* As dns_query() of the name server last loaded. */
enum dns_status fake_dns_query(const char *name, enum dns_type type, struct dns_answer **answer);

#endif
