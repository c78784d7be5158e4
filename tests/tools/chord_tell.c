/* SPDX-License-Identifier: MIT */
/* chord_tell GROUP TASK INDEX RESULT [again] - the command that tells redis of a part. */
#include "message/task.h"
#include "queue/chord.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct redis_commands c;

    if (argc < 5)
        return EXIT_FAILURE;
    const struct chord_keys keys = {.group = argv[1], .expires_s = 60};
    const struct chord_part part = {.task_id = argv[2],
            .index = strtoll(argv[3], NULL, 10),
            .result = {argv[4], strlen(argv[4])},
            .status = "SUCCESS",
            .size = TASK_NONE,
            .again = argc > 5};
    redis_commands_init(&c);
    if (chord_tell(&keys, &part, &c) != CONEY_OK)
        return EXIT_FAILURE;
    fwrite(buffer_data(&c.bytes), 1, buffer_len(&c.bytes), stdout);
    redis_commands_fini(&c);
    return EXIT_SUCCESS;
}
