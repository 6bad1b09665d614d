/*
 * Messages in progress in all sessions of the process, for a stop that lets them finish. Any
 * thread.
 */
#ifndef GATEPOST_SESSION_UNDER_WAY_H
#define GATEPOST_SESSION_UNDER_WAY_H

/* A message has begun (1) or ended (-1). */
void under_way_count(int change);

long under_way_messages(void);

#endif
