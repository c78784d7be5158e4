/* SPDX-License-Identifier: MIT */
/* canvas.h - what a program's canvas is inside. Private to the room. */
#ifndef CONEY_LIB_CANVAS_H
#define CONEY_LIB_CANVAS_H

#include "lib/client_impl.h"
#include <coney/canvas.h>

#include <jansson.h>

struct coney_canvas {
    json_t *signature;        /* owned; NULL only with an error */
    struct coney_error error; /* the first mistake; CONEY_OK: none */
    char *results;            /* owned; NULL: not sent yet */
};

/* A plan's messages, ready to be published in its order. */
struct batch {
    struct outgoing **messages; /* owned, as is each of them */
    size_t count;
    json_t *results;              /* owned: the tuple */
    struct redis_commands stored; /* what the result store must know before they go */
};

/*
 * Make all messages of @canvas. Takes and releases the lock. @out is the caller's, for
 * batch_fini(), whatever is returned. Errors as of coney_canvas_send().
 */
enum coney_rc batch_prepare(struct coney_client *c, const struct coney_canvas *canvas,
        enum coney_reply reply, struct batch *out,
        struct coney_error *err) CONEY_MUST_CHECK;
void batch_fini(struct batch *l);

#endif /* CONEY_LIB_CANVAS_H */
