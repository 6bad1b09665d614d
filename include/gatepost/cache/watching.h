/*
 * How changes in the store are heard of, as its watch said last.
 */
#ifndef GATEPOST_CACHE_WATCHING_H
#define GATEPOST_CACHE_WATCHING_H

enum watching {
    WATCHING_LOST, /* changes may go unheard; so it begins */
    WATCHING_ALL,  /* every change is heard of */
    WATCHING_BLIND /* the store answers, but reports no changes */
};

#endif
