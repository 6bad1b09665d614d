/*
 * What every unit test includes: cmocka and its prerequisites, in the order that it wants.
 */
#ifndef GATEPOST_TESTS_UNIT_UNIT_H
#define GATEPOST_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

#endif
