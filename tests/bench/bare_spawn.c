/* SPDX-License-Identifier: MIT */
/*
 * bare_spawn.c - nothing but processes: what any worker that starts a program for each
 * task can reach at best.
 *
 *     bare_spawn COUNT PARALLEL PROGRAM
 *
 * Starts PROGRAM COUNT times, PARALLEL of them at a time. Prints, as JSON, how long it
 * took.
 */
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool start(char *program)
{
    char *const argv[] = {program, NULL};
    pid_t pid;
    int error = posix_spawn(&pid, program, NULL, NULL, argv, environ);
    if (error != 0)
        fprintf(stderr, "bare_spawn: %s: %s\n", program, strerror(error));
    return error == 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bare_spawn COUNT PARALLEL PROGRAM\n");
        return 64;
    }
    const long count = strtol(argv[1], NULL, 10), parallel = strtol(argv[2], NULL, 10);
    double begun_s = now_s();
    for (long started = 0, ended = 0; ended < count;) {
        if (started < count && started - ended < parallel) {
            if (!start(argv[3]))
                return 1;
            started++;
        } else if (wait(NULL) > 0) {
            ended++;
        }
    }
    printf("{\"sent\": %ld, \"seconds\": %.6f}\n", count, now_s() - begun_s);
    return 0;
}
