/*
 * The store of self facts, for the files of self/. Private to it.
 */
#ifndef GATEPOST_WRITE_SELF_SELF_INSIDE_H
#define GATEPOST_WRITE_SELF_SELF_INSIDE_H

#include "gatepost/core/address.h"
#include "gatepost/write/self.h"
#include "self_facts.h"

struct self_store {
    const struct config *config;
    struct store *store;
    struct store_writer *writer;
};

#endif
