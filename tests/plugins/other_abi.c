/* SPDX-License-Identifier: MIT */
/* other_abi.c - a plugin built for a later, incompatible version of the header. */
#include <coney/task.h>

const struct coney_plugin coney_plugin = {
        CONEY_TASK_ABI + 98, 4096, 4096, 0, "later", NULL, 0, NULL, NULL};
