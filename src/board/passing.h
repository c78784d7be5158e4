/* SPDX-License-Identifier: MIT */
/*
 * passing.h - records too large for a ring, as sealed memfds over a socket pair.
 *
 * The sender seals the memfd against every change, so the receiver may check it and then
 * read it. Messages arrive in the order they were sent, each with the tag of its record.
 */
#ifndef CONEY_BOARD_PASSING_H
#define CONEY_BOARD_PASSING_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdint.h>

/* The memory and file name of every memfd of ours, in /proc. */
#define PASSING_MEMFD_NAME "coney-record"

/* Send @record. CONEY_ELIMIT: the socket takes nothing now; CONEY_EIO, CONEY_ENOMEM. */
enum coney_rc passing_send(int socket, uint64_t tag, struct bytes record,
        struct coney_error *err) CONEY_MUST_CHECK;
/*
 * Receive the record @tag of exactly @len bytes into @out, which is cleared before. It
 * must be there already. CONEY_EINVAL: it isn't, or isn't as announced; CONEY_ENOMEM;
 * CONEY_ELIMIT: @out's maximum. The message is gone in every case.
 */
enum coney_rc passing_receive(int socket, uint64_t tag, uint64_t len, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_BOARD_PASSING_H */
