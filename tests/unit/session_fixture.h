/* SPDX-License-Identifier: MIT */
/* session_fixture.h - a session, the scripted broker it talks to, and patience. */
#ifndef CONEY_TESTS_SESSION_FIXTURE_H
#define CONEY_TESTS_SESSION_FIXTURE_H

#include "amqp/session.h"
#include "base/clock.h"
#include "scripted_peer.h"
#include "test.h"

#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 20000 };

struct fixture {
    struct session *session;
    struct rng rng;
    struct session_options options;
    char url_texts[4][64];
    const char *urls[4];
    int64_t deadline_ms;
    struct scripted_peer *peer;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rng_seed(&f->rng, 1);
    f->options = (struct session_options){.urls = f->urls,
            .user = "ada",
            .password = "S3CR3T",
            .mode = SESSION_ONCE,
            .connect_timeout_ms = 5000,
            .backoff_base_ms = 20,
            .backoff_cap_ms = 50};
    f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    session_free(f->session);
    if (f->peer)
        scripted_peer_free(f->peer);
    free(f);
    return 0;
}

static inline void add_url(struct fixture *f, const char *scheme, unsigned port)
{
    char *text = f->url_texts[f->options.url_count];
    snprintf(text, sizeof(f->url_texts[0]), "%s://127.0.0.1:%u", scheme, port);
    f->urls[f->options.url_count++] = text;
}

static inline void serve(struct fixture *f, peer_serve_fn *fn)
{
    f->peer = scripted_peer_new(fn, NULL);
    add_url(f, "amqp", scripted_peer_port(f->peer));
}

static inline void open_session(struct fixture *f)
{
    struct coney_error err;
    if (session_new(&f->options, &f->rng, &f->session, &err) != CONEY_OK)
        fail_msg("%s", err.text);
}

/* One turn of poll and step; false once patience is over. */
static inline bool turn(struct fixture *f)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms > f->deadline_ms)
        return false;
    int64_t until_ms = session_deadline_ms(f->session);
    if (until_ms > f->deadline_ms)
        until_ms = f->deadline_ms;
    struct pollfd p = {.fd = session_fd(f->session), .events = session_wants(f->session)};
    int wait_ms = until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
    int ready = poll(&p, 1, wait_ms);
    session_step(f->session, ready > 0 ? p.revents : 0, clock_mono_ms());
    return true;
}

/* The next event of @type; those of other types before it are dropped. */
static inline struct session_event await(struct fixture *f, enum session_event_type type)
{
    struct session_event ev;
    do {
        while (session_next_event(f->session, &ev)) {
            if (ev.type == type)
                return ev;
            session_event_fini(&ev);
        }
    } while (turn(f));
    fail_msg("event %d has not come", (int)type);
    return ev;
}

static inline void assert_down(
        struct fixture *f, enum coney_rc rc, const char *text, bool is_last)
{
    struct session_event ev = await(f, SESSION_DOWN);
    if (ev.error.rc != rc || !strstr(ev.error.text, text))
        fail_msg("%s \"%s\" is not %s \"%s\"", coney_rc_name(ev.error.rc), ev.error.text,
                coney_rc_name(rc), text);
    assert_int_equal(ev.retry_ms < 0, is_last);
    assert_null(strstr(ev.error.text, "S3CR3T"));
    assert_false(session_is_up(f->session));
}

/* Steps of 10 ms under a test clock, without poll: deadlines pass at once. */
static inline void pass_time(struct fixture *f, int64_t *now_ms, int64_t by_ms)
{
    for (int64_t end = *now_ms + by_ms; *now_ms < end; *now_ms += 10)
        session_step(f->session, 0, *now_ms);
}

static inline void log_in_and_wait(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    if (peer_log_in(fd, 60))
        peer_await_end(fd);
}

static inline void hang_up(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)fd;
    (void)n;
}

static inline unsigned dead_port(void)
{
    struct scripted_peer *p = scripted_peer_new(hang_up, NULL);
    unsigned port = scripted_peer_port(p);
    scripted_peer_free(p);
    return port;
}

#endif /* CONEY_TESTS_SESSION_FIXTURE_H */
