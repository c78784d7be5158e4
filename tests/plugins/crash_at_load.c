/* SPDX-License-Identifier: MIT */
/* crash_at_load.c - a plugin that dies in its constructor, with a child left behind. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void crash(void)
{
    if (fork() == 0) {
        setsid();
        for (;;)
            pause();
    }
    signal(SIGABRT, SIG_DFL);
    abort();
}
