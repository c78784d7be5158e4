/* SPDX-License-Identifier: MIT */
/*
 * coney/canvas.h - tasks that belong together: chains, groups and chords, as Celery has
 * them, for Coney's and Celery's workers alike.
 *
 *     struct coney_message add, total;
 *     struct coney_canvas *parts[2], *canvas;
 *     char id[CONEY_ID_SIZE];
 *
 *     coney_message_init(&add, "shop.add");
 *     add.args = "[1, 2]";
 *     parts[0] = coney_signature(&add);
 *     add.args = "[3, 4]";
 *     parts[1] = coney_signature(&add);
 *     coney_message_init(&total, "shop.total");
 *     canvas = coney_chord(parts, 2, coney_signature(&total));
 *     rc = coney_canvas_send(client, canvas, CONEY_REPLY_NONE, id, &err);
 *     coney_canvas_free(canvas);
 *
 * What is put into a canvas is the canvas's from then on, and must not be used or freed
 * again. A mistake on the way is kept in what is being made, and told when it is sent;
 * NULL stands for no memory, and may be handed on like any other.
 *
 * A canvas is one thread's at a time. Source: celery/canvas.py of Celery 5; the messages
 * are those that its client sends.
 */
#ifndef CONEY_CANVAS_H
#define CONEY_CANVAS_H

#include <coney/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A signature, chain, group or chord. */
struct coney_canvas;

/*
 * What @message asks for, to be sent later, and perhaps by a worker: countdown_ms and
 * expires_ms count from then. Everything is copied. Arguments of whoever sends it (the
 * result of the task before it, the results of a chord's parts) come before its own.
 * reply is not looked at. Since 0.1.
 */
CONEY_API struct coney_canvas *coney_signature(const struct coney_message *message);

/* @canvas takes no arguments but its own, whatever comes before it. Since 0.1. */
CONEY_API void coney_immutable(struct coney_canvas *canvas);

/* One after the other; each gets the result of the one before it. When one fails those
 * after it never run, and have its failure as their result. Takes the @count @steps, of
 * which there must be one. Since 0.1. */
CONEY_API struct coney_canvas *coney_chain(
        struct coney_canvas *const *steps, size_t count);

/* All at the same time. Takes the @count @members, of which there must be one. Followed
 * by something in a chain it is a chord. Since 0.1. */
CONEY_API struct coney_canvas *coney_group(
        struct coney_canvas *const *members, size_t count);

/* All of @header at the same time, then @body with the list of their results, in order.
 * When a part fails the body never runs, and its result is a ChordError. Takes all of
 * them. Without a header the body runs at once. Needs results in redis. Since 0.1. */
CONEY_API struct coney_canvas *coney_chord(
        struct coney_canvas *const *header, size_t count, struct coney_canvas *body);

/*
 * Run @callback after each success of @canvas, with its result, or @errback after a
 * failure, with the id of what failed. Of a chain: its last step, any step; of a group:
 * each member; of a chord: its body. Takes the second. Since 0.1.
 */
CONEY_API void coney_link(struct coney_canvas *canvas, struct coney_canvas *callback);
CONEY_API void coney_link_error(
        struct coney_canvas *canvas, struct coney_canvas *errback);

/*
 * Send what is to run first, and wait until the broker has all of it, each message at
 * most options.timeout_ms. @id (NULL is fine) becomes the id of what coney_wait() would
 * be asked for: of a chain the last step, of a chord the body; of a group it is the
 * group's own, which has no result. Where no result store is configured, @reply says
 * whether the results of all its tasks come to this client.
 *
 * @canvas stays the caller's and may be sent again: with new ids, where its messages
 * named none. Before anything is sent it is looked at as a whole: CONEY_EINVAL,
 * CONEY_ESYNTAX and CONEY_ELIMIT (10000 tasks, 16 levels) mean that nothing was. Then the
 * size of chords is stored (CONEY_ECLOSED, CONEY_EREFUSED, CONEY_ETIMEOUT of the store).
 * Errors of a message are those of coney_send(); others of the canvas may have been sent.
 * CONEY_ENOMEM. Since 0.1.
 */
CONEY_API enum coney_rc coney_canvas_send(struct coney_client *client,
        struct coney_canvas *canvas, enum coney_reply reply, char id[CONEY_ID_SIZE],
        struct coney_error *err) CONEY_MUST_CHECK;

/* Where the results of what was sent last will be, as Celery's result_from_tuple() takes
 * it: JSON, [[id, parent], null], and for a group [[id, parent], [member, ...]]. The
 * canvas's, until it is sent again or freed; NULL when nothing was sent. Since 0.1. */
CONEY_API const char *coney_canvas_results(const struct coney_canvas *canvas);

/* With all that is in it. NULL is ignored. Since 0.1. */
CONEY_API void coney_canvas_free(struct coney_canvas *canvas);

#ifdef __cplusplus
}
#endif

#endif /* CONEY_CANVAS_H */
