/*
 * The OpenAPI document, openapi.json, made part of the program by the Makefile.
 */
#ifndef GATEPOST_SETTINGS_OPENAPI_H
#define GATEPOST_SETTINGS_OPENAPI_H

extern const char openapi_text[];

#endif
