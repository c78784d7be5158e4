/* SPDX-License-Identifier: MIT */
/*
 * throttle.h - how long to wait before another runner is started.
 *
 * A runner that ends before it has finished its first job points at something that the
 * next one will meet too (a broken plugin, no memory), so the starts of the whole pool
 * are held back: 1 s, doubling to 60 s. It is told the time and reads no clock.
 */
#ifndef CONEY_WORKER_THROTTLE_H
#define CONEY_WORKER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum { THROTTLE_BASE_MS = 1000, THROTTLE_CAP_MS = 60 * 1000 };

/* All zero: nothing has failed. */
struct throttle {
    int64_t delay_ms; /* 0: open */
    int64_t failed_ms;
};

/*
 * A runner that was started at @started_ms has failed before its first job. Those that
 * were already running at the failure before belong to the same wave: it counts once.
 */
void throttle_fail(struct throttle *t, int64_t started_ms, int64_t now_ms);
/* A runner has finished its first job; opens, unless it is older than the failure. */
void throttle_succeed(struct throttle *t, int64_t started_ms);
/* When the next runner may be started; 0: at once. */
int64_t throttle_next_ms(const struct throttle *t);
/* Runners are being started one at a time, each after the hello of the one before. */
bool throttle_is_wary(const struct throttle *t);

#endif /* CONEY_WORKER_THROTTLE_H */
