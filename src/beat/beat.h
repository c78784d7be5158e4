/* SPDX-License-Identifier: MIT */
/* beat.h - `coney beat`: the process that publishes scheduled tasks. */
#ifndef CONEY_BEAT_BEAT_H
#define CONEY_BEAT_BEAT_H

struct beat_options {
    const char *config_path; /* NULL: the usual places */
};

/*
 * Run a beat until SIGTERM or SIGINT; SIGHUP reloads the schedule. Any number may run:
 * the one that holds the token publishes. The exit status: 0 when told to stop, 1 when
 * the system failed us, 78 (EX_CONFIG) when the configuration is no good.
 */
int beat_run(const struct beat_options *options);

#endif /* CONEY_BEAT_BEAT_H */
