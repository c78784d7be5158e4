/* SPDX-License-Identifier: MIT */
/*
 * descendants.c - /proc/self/task/TID/children and kill.
 *
 * The kernel hands an orphan to any thread of the subreaper, so every thread's list is
 * read.
 */
#include "worker/descendants.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct pid_list {
    pid_t *items; /* owned */
    size_t count;
    size_t capacity;
};

enum coney_rc descendants_adopt(struct coney_error *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long)getpid());
    if (access(path, R_OK) != 0)
        return error_set_errno(err, "%s", path);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L) != 0)
        return error_set_errno(err, "PR_SET_CHILD_SUBREAPER");
    return CONEY_OK;
}

void descendants_kill_group(pid_t leader)
{
    /* The leader too, by its own number: in its first moments it leads no group yet. */
    kill(leader, SIGKILL);
    kill(-leader, SIGKILL);
}

static enum coney_rc append(struct pid_list *l, pid_t pid)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        pid_t *grown = realloc(l->items, capacity * sizeof(*grown));
        if (!grown)
            return CONEY_ENOMEM;
        l->items = grown;
        l->capacity = capacity;
    }
    l->items[l->count++] = pid;
    return CONEY_OK;
}

static enum coney_rc append_children(struct pid_list *l, const char *tid)
{
    char path[320];
    long pid;
    enum coney_rc rc = CONEY_OK;

    snprintf(path, sizeof(path), "/proc/self/task/%s/children", tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return CONEY_OK; /* the thread has ended; its children are another's now */
    while (rc == CONEY_OK && fscanf(file, "%ld", &pid) == 1)
        rc = append(l, (pid_t)pid);
    fclose(file);
    return rc;
}

enum coney_rc descendants_list(pid_t **pids, size_t *count, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    struct pid_list l = {0};
    struct dirent *entry;

    DIR *threads = opendir("/proc/self/task");
    if (!threads)
        return error_set_errno(err, "/proc/self/task");
    while (rc == CONEY_OK && (entry = readdir(threads)))
        if (entry->d_name[0] != '.')
            rc = append_children(&l, entry->d_name);
    closedir(threads);
    if (rc != CONEY_OK) {
        free(l.items);
        return error_set_nomem(err);
    }
    *pids = l.items;
    *count = l.count;
    return CONEY_OK;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a;
    pid_t y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

static bool is_orphan(pid_t pid, pid_t session, const pid_t *known, size_t count)
{
    if (count > 0 && bsearch(&pid, known, count, sizeof(*known), compare_pids))
        return false;
    return getsid(pid) != session;
}

static void put_down(pid_t pid)
{
    /* Its group first: a child it forks this moment is in it and dies too. It can't have
     * joined ours from another session; but that mistake would be our last. */
    pid_t group = getpgid(pid);
    if (group > 1 && group != getpgrp())
        kill(-group, SIGKILL);
    kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, WNOHANG);
}

size_t descendants_sweep(pid_t *known, size_t count)
{
    pid_t *children = NULL;
    size_t child_count = 0;
    size_t found = 0;
    pid_t session = getsid(0);

    if (descendants_list(&children, &child_count, NULL) != CONEY_OK)
        return 1; /* unknown: try again */
    if (count > 0)
        qsort(known, count, sizeof(*known), compare_pids);
    for (size_t i = 0; i < child_count; i++) {
        if (!is_orphan(children[i], session, known, count))
            continue;
        put_down(children[i]);
        found++;
    }
    free(children);
    return found;
}
