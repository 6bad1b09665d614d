/*
 * The text of gatepost.conf, for config_schema.c alone.
 */
#ifndef GATEPOST_CONFIG_CONFIG_TEXT_H
#define GATEPOST_CONFIG_CONFIG_TEXT_H

#include "gatepost/core/why.h"

/* The whole file, terminated and malloc'd; NULL with the reason. */
char *config_text_read(const char *path, struct why *why);

/*
 * Makes up for two faults of libconfuse: it counts the lines of comments twice, so they become
 * spaces; and it takes the end of the file for the end of a section. Returns the line of a section,
 * list or comment that is not closed, or 0.
 */
int config_text_prepare(char *text);

#endif
