/*
 * The names of sessions in the log and in replies. Any thread.
 */
#ifndef GATEPOST_SESSION_SESSION_ID_H
#define GATEPOST_SESSION_SESSION_ID_H

#define SESSION_ID_SIZE 24

/* The next number of this process, from 1. */
unsigned session_id_next(void);

/* The name of that number; unique over restarts too. */
void session_id_format(unsigned number, char out[static SESSION_ID_SIZE]);

#endif
