/* SPDX-License-Identifier: MIT */
/*
 * wire.h - a session for a verb: connected, with one channel, and waited for.
 *
 * A verb has nothing else to do, so each call here returns when it is done, has failed or
 * is out of time. Nothing is tried twice: who sits at a terminal tries again himself.
 */
#ifndef CONEY_CLI_WIRE_H
#define CONEY_CLI_WIRE_H

#include "amqp/session.h"

#include <signal.h>

struct wire;

/* Connect (each URL is tried once) and open a channel. @rng is borrowed for the wire's
 * life. @err says what is wrong, beginning with the host. On success *@out is the
 * caller's. */
enum coney_rc wire_open(const struct session_options *options, struct rng *rng,
        struct wire **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Say goodbye and wait for the answer, but not for long. NULL is ignored. */
void wire_close(struct wire *w);

struct session *wire_session(struct wire *w);
struct amqp_channel wire_channel(const struct wire *w);

/* From now on the signals that are not in @mask end a wait (with CONEY_ETIMEOUT). The
 * caller has blocked them, so that none is missed between two waits. */
void wire_set_mask(struct wire *w, const sigset_t *mask);

/*
 * The next event that is none of the connection's own affairs, at the latest at
 * @deadline_ms (clock_mono_ms(); CLOCK_NEVER). What it owns is the caller's.
 * CONEY_ETIMEOUT; else the connection or the channel is gone, and @err says why.
 */
enum coney_rc wire_next(struct wire *w, int64_t deadline_ms, struct session_event *ev,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Wait for the SESSION_REPLY of the call with @cookie. As wire_next(). */
enum coney_rc wire_await(
        struct wire *w, uint64_t cookie, struct coney_error *err) CONEY_MUST_CHECK;

/* Publish and wait until the broker has taken it or not. No publish may be on its way
 * already. As wire_next(), and what session_publish() says. */
enum coney_rc wire_publish(struct wire *w, const struct publish *p,
        enum publish_outcome *outcome, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_CLI_WIRE_H */
