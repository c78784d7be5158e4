/* SPDX-License-Identifier: MIT */
/*
 * replies.h - results that have come and that nobody has asked for yet.
 *
 * Found by task id, bounded in number and bytes: when there are too many, the oldest go.
 */
#ifndef CONEY_LIB_REPLIES_H
#define CONEY_LIB_REPLIES_H

#include "message/result.h"
#include <coney/client.h>

#include <stddef.h>

enum { REPLIES_MAX = 1000, REPLIES_BUCKETS = 256 };
#define REPLIES_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct reply; /* one kept result */

struct replies {
    struct reply *oldest;
    struct reply *newest;
    struct reply *buckets[REPLIES_BUCKETS];
    size_t count;
    size_t bytes;
    size_t count_max;
    size_t bytes_max;
};

/* Whether a result carries everything that was read. */
enum result_details { RESULT_BARE, RESULT_WITH_DETAILS };

/* The public result of a message in any state, the caller's for coney_result_free(). NULL
 * when out of memory. */
struct coney_result *result_of_message(
        const struct result_message *m, enum result_details details);
/* Of a task of which nothing is known. */
struct coney_result *result_of_nothing(const char *id);

void replies_init(struct replies *r, size_t count_max, size_t bytes_max);
void replies_fini(struct replies *r);

/*
 * Keep what @m says if it is a task's last word (SUCCESS, FAILURE, REVOKED); others, and
 * a second result of the same task, are passed over. CONEY_ENOMEM.
 */
enum coney_rc replies_put(
        struct replies *r, const struct result_message *m) CONEY_MUST_CHECK;
/* The result of the task @id, the caller's for coney_result_free(); NULL: not there. */
struct coney_result *replies_take(struct replies *r, const char *id);

#endif /* CONEY_LIB_REPLIES_H */
