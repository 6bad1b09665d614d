/*
 * How often somebody may change an account. Each address that asks is counted for itself: a thief
 * who asks without end cannot keep the owner from taking back what he has opened. Of bounded
 * memory: what was changed longest ago is forgotten first.
 */
#ifndef GATEPOST_SETTINGS_RATE_H
#define GATEPOST_SETTINGS_RATE_H

#include <stddef.h>
#include <stdint.h>

/* So many facts changed at once; another one for each RATE_INTERVAL milliseconds that have passed.
 */
#define RATE_BURST 60
#define RATE_INTERVAL 1000

struct rate;

/* To be freed by the caller; NULL when there is no memory. */
struct rate *rate_new(void);
void rate_free(struct rate *rate);

/*
 * Takes one change of an account by `client`, an address or "", at `now` (milliseconds, as
 * clock_now_ms() has them). Returns 0, or the seconds after which one will be taken again. Any
 * thread.
 */
unsigned rate_take(struct rate *rate, const char *account, const char *client, int64_t now);

/*
 * Counts `n` more, for what a change that was taken has come to: it is done, and so this is never
 * refused; the next one has to wait for it.
 */
void rate_spend(struct rate *rate, const char *account, const char *client, size_t n, int64_t now);

#endif
