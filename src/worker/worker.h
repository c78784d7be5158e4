/* SPDX-License-Identifier: MIT */
/* worker.h - `coney worker`: the master process. */
#ifndef CONEY_WORKER_WORKER_H
#define CONEY_WORKER_WORKER_H

struct worker_options {
    const char *config_path; /* NULL: the usual places */
    const char *runner_path; /* NULL: beside this program, else in libexec */
};

/*
 * Run a worker until it is told to stop. SIGTERM or SIGINT drains: nothing new is
 * started, what runs may end within worker.drain_timeout, the rest is handed back; a
 * second one stops at once. SIGHUP reloads. The exit status: 0 after a drain, 1 when jobs
 * had to be stopped or the system failed us, 78 (EX_CONFIG) when the configuration or a
 * plugin is no good.
 */
int worker_run(const struct worker_options *options);

#endif /* CONEY_WORKER_WORKER_H */
