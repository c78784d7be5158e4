/* SPDX-License-Identifier: MIT */
/*
 * codec.h - commands into bytes, and bytes into replies (RESP 2).
 *
 * hiredis does both, and nothing else here: its connections block or own their socket,
 * and that of Debian 12 knows no TLS.
 */
#ifndef CONEY_REDIS_CODEC_H
#define CONEY_REDIS_CODEC_H

#include "redis/reply.h"

/* Commands that leave together; each gets one reply. */
struct redis_commands {
    struct buffer bytes;
    size_t count;
};

void redis_commands_init(struct redis_commands *c);
void redis_commands_fini(struct redis_commands *c);
/* Add one of @argc words. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc redis_commands_add(struct redis_commands *c, size_t argc,
        const struct bytes *words) CONEY_MUST_CHECK;
/* The same for words without a zero in them, of which there are at most eight. */
enum coney_rc redis_commands_add_texts(
        struct redis_commands *c, size_t argc, const char *const *words) CONEY_MUST_CHECK;

struct redis_reader;

/* Refuses a reply of which more than @reply_max bytes wait to be complete. NULL when out
 * of memory. */
struct redis_reader *redis_reader_new(size_t reply_max);
void redis_reader_free(struct redis_reader *r);
/* CONEY_ENOMEM. */
enum coney_rc redis_reader_feed(
        struct redis_reader *r, const void *data, size_t len) CONEY_MUST_CHECK;
/* The next whole reply, the caller's; NULL when there is none yet. CONEY_ESYNTAX: this is
 * not redis; CONEY_ELIMIT; CONEY_ENOMEM. After a failure there is nothing more to read.
 */
enum coney_rc redis_reader_next(struct redis_reader *r, struct redis_reply **out,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_REDIS_CODEC_H */
