/* SPDX-License-Identifier: MIT */
/* answer_lines.c - lines read, fields given. */
#include "answer_lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS_MAX = 8 };

int answer_lines(size_t count, void (*answer)(char **fields))
{
    char line[512];

    assert(count > 0 && count <= FIELDS_MAX);
    while (fgets(line, sizeof(line), stdin)) {
        char *rest = line;
        char *fields[FIELDS_MAX];
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < count; i++)
            fields[i] = i + 1 < count ? strsep(&rest, "\t") : rest;
        if (!fields[count - 1]) {
            fprintf(stderr, "a line of less than %zu fields\n", count);
            return 1;
        }
        answer(fields);
    }
    return 0;
}
