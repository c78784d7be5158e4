/* SPDX-License-Identifier: MIT */
/*
 * result_key.h - under which keys a key-value store holds what became of tasks.
 *
 * The key of a task is also the channel on which its meta is published.
 */
#ifndef CONEY_MESSAGE_RESULT_KEY_H
#define CONEY_MESSAGE_RESULT_KEY_H

#include "base/arena.h"

/* @prefix is what Celery calls global_keyprefix; NULL: none. It is set off by a "_"
 * unless it ends in one of ":_-." itself. NULL when out of memory. */
char *result_key_task(struct arena *a, const char *prefix, const char *task_id);
/* @part: "" for the group itself, ".j", ".t", ".s" for the parts of a chord. */
char *result_key_group(
        struct arena *a, const char *prefix, const char *group_id, const char *part);

#endif /* CONEY_MESSAGE_RESULT_KEY_H */
