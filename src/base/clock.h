/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the two clocks, read at the edge only.
 *
 * Deadlines and waits are on the monotonic clock (CLOCK_BOOTTIME, which also counts time
 * asleep), in milliseconds; what is written down for others is wall time, in microseconds
 * since 1970-01-01 UTC. Cores take such values as arguments and never call these.
 */
#ifndef CONEY_BASE_CLOCK_H
#define CONEY_BASE_CLOCK_H

#include <stdint.h>

/* No deadline, no time: later than every other, in either unit. */
#define CLOCK_NEVER INT64_MAX

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_us(void);

#endif /* CONEY_BASE_CLOCK_H */
