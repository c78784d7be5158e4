/* SPDX-License-Identifier: MIT */
/* answer_lines.h - programs that answer questions of a line each, for tests in Python. */
#ifndef CONEY_TESTS_ANSWER_LINES_H
#define CONEY_TESTS_ANSWER_LINES_H

#include <stddef.h>

/* Call @answer with the @count fields, by tabs, of each line of standard input; the last
 * has the rest of the line. The status of the program: 1 when a line has fewer. */
int answer_lines(size_t count, void (*answer)(char **fields));

#endif /* CONEY_TESTS_ANSWER_LINES_H */
