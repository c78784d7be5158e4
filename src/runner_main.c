/* SPDX-License-Identifier: MIT */
/* runner_main.c - the program coney-runner; everything is in src/runner. */
#include "runner/runner.h"

int main(int argc, char **argv)
{
    return runner_main(argc, argv);
}
