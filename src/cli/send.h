/* SPDX-License-Identifier: MIT */
/* send.h - the command line of `coney send`, read and checked. Private to send*.c. */
#ifndef CONEY_CLI_SEND_H
#define CONEY_CLI_SEND_H

#include "base/arena.h"
#include <coney/client.h>

#include <stdbool.h>

enum { SEND_HEADERS_MAX = 64, SEND_COUNT_MAX = 100 * 1000 * 1000 };

struct send_options {
    struct coney_message message;
    struct coney_client_options client;
    struct coney_header headers[SEND_HEADERS_MAX];
    bool is_waiting;
    unsigned timeout_ms; /* of the wait for the result */
    unsigned count;
};

/*
 * Read @argv; what is not in it stays in @a. *@go is true when there is something to
 * send. Otherwise (help was asked for, or the line is wrong and that was said) the return
 * value is the exit code.
 */
int send_read_options(
        int argc, char **argv, struct arena *a, struct send_options *o, bool *go);

#endif /* CONEY_CLI_SEND_H */
