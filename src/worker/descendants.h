/* SPDX-License-Identifier: MIT */
/*
 * descendants.h - what a dead runner has left behind, found and killed.
 *
 * A runner is the parent of its descendants' orphans while it lives, and this process is
 * after that (both are child subreapers). So a child of ours that is no runner and lives
 * in another session was left by a dead one, whatever group or session it fled to.
 * Children in our own session belong to others in this process and are left alone.
 */
#ifndef CONEY_WORKER_DESCENDANTS_H
#define CONEY_WORKER_DESCENDANTS_H

#include <coney/error.h>

#include <stddef.h>
#include <sys/types.h>

/* Make this process the parent of orphans below it. CONEY_EIO: the kernel can't list
 * children (it needs CONFIG_PROC_CHILDREN). */
enum coney_rc descendants_adopt(struct coney_error *err) CONEY_MUST_CHECK;

/* Kill the group that @leader, not yet reaped, leads. */
void descendants_kill_group(pid_t leader);

/*
 * Kill the orphans among our children and reap those that are dead; @known are the living
 * runners, in any order (sorted on return). Never waits. Returns how many there were,
 * dead or dying: each may have had children that are ours now, so call again until it is
 * 0. While other children end, the kernel may overlook one: 0 twice is certain.
 */
size_t descendants_sweep(pid_t *known, size_t count);

/* The children of this process, dead or alive, unsorted; *@pids is the caller's to free.
 * CONEY_EIO, CONEY_ENOMEM. */
enum coney_rc descendants_list(
        pid_t **pids, size_t *count, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_DESCENDANTS_H */
