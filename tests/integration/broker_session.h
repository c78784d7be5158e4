/* SPDX-License-Identifier: MIT */
/* broker_session.h - a session with the test's own broker, and calls that wait. */
#ifndef CONEY_TESTS_BROKER_SESSION_H
#define CONEY_TESTS_BROKER_SESSION_H

#include "amqp/session.h"
#include "base/clock.h"
#include "test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 60000 };

struct fixture {
    struct session *session;
    struct rng rng;
    struct session_options options;
    const char *urls[1];
    char url[256];
    struct amqp_channel ch;
    char queue[64];
};

static inline const char *env(const char *name)
{
    const char *value = getenv(name);
    if (!value)
        fail_msg("%s is not set; run this under tests/support/with-broker", name);
    return value;
}

static inline int set_up(void **state)
{
    static unsigned count;
    struct fixture *f = calloc(1, sizeof(*f));
    rng_seed_random(&f->rng);
    f->urls[0] = env("CONEY_BROKER_URL");
    f->options = (struct session_options){.urls = f->urls,
            .url_count = 1,
            .password = env("CONEY_BROKER_PASSWORD"),
            .tls = {.ca_file = env("CONEY_CA")},
            .mode = SESSION_ONCE,
            .connection_name = "test_session",
            .backoff_base_ms = 100,
            .backoff_cap_ms = 500};
    snprintf(f->queue, sizeof(f->queue), "session.%u", ++count);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    session_free(f->session);
    free(f);
    return 0;
}

static inline void open_session(struct fixture *f)
{
    struct coney_error err;
    if (session_new(&f->options, &f->rng, &f->session, &err) != CONEY_OK)
        fail_msg("%s", err.text);
}

static inline void turn(struct fixture *f, int64_t until_ms)
{
    int64_t deadline_ms = session_deadline_ms(f->session);
    if (deadline_ms > until_ms)
        deadline_ms = until_ms;
    int64_t wait_ms = deadline_ms - clock_mono_ms();
    struct pollfd p = {.fd = session_fd(f->session), .events = session_wants(f->session)};
    int ready = poll(&p, 1, wait_ms > 0 ? (int)wait_ms : 0);
    session_step(f->session, ready > 0 ? p.revents : 0, clock_mono_ms());
}

/* The next event, whatever it is. */
static inline struct session_event next(struct fixture *f)
{
    struct session_event ev;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (!session_next_event(f->session, &ev)) {
        if (clock_mono_ms() >= until_ms)
            fail_msg("no event in %d ms (%s)", PATIENCE_MS, session_peer(f->session));
        turn(f, until_ms);
    }
    return ev;
}

/* The next event, which must be of @type. */
static inline struct session_event expect(struct fixture *f, enum session_event_type type)
{
    struct session_event ev = next(f);
    if (ev.type != type)
        fail_msg("event %d (%s) instead of %d", (int)ev.type, ev.error.text, (int)type);
    return ev;
}

static inline void go_up(struct fixture *f)
{
    open_session(f);
    expect(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &f->ch), CONEY_OK);
}

static inline void assert_refused(struct fixture *f, const char *text)
{
    open_session(f);
    struct session_event ev = expect(f, SESSION_DOWN);
    assert_int_equal(ev.error.rc, CONEY_EREFUSED);
    assert_int_equal(ev.retry_ms, -1);
    if (!strstr(ev.error.text, text))
        fail_msg("\"%s\" does not say \"%s\"", ev.error.text, text);
    assert_null(strstr(ev.error.text, f->options.password));
    printf("    %s\n", ev.error.text);
}

static inline void declare(struct fixture *f, const char *queue)
{
    struct queue_declare d = {.queue = queue, .durable = true};
    assert_int_equal(session_declare_queue(f->session, f->ch, &d, 1), CONEY_OK);
    struct session_event ev = expect(f, SESSION_REPLY);
    assert_int_equal(ev.cookie, 1);
    assert_string_equal(ev.name, queue);
}

static inline void delete_queue(struct fixture *f, const char *queue)
{
    assert_int_equal(session_delete_queue(f->session, f->ch, queue, 2), CONEY_OK);
    assert_int_equal(expect(f, SESSION_REPLY).cookie, 2);
}

static inline void consume(struct fixture *f, const char *tag)
{
    struct consume c = {.queue = f->queue, .consumer_tag = tag};
    assert_int_equal(session_consume(f->session, f->ch, &c, 3), CONEY_OK);
    struct session_event ev = expect(f, SESSION_REPLY);
    assert_int_equal(ev.cookie, 3);
    assert_string_equal(ev.name, tag);
}

static inline struct envelope message(const char *id, const char *body)
{
    struct envelope e = {
            .properties = properties_none(), .body = {.data = body, .len = strlen(body)}};
    e.properties.message_id = id;
    e.properties.delivery_mode = DELIVERY_PERSISTENT;
    return e;
}

static inline enum coney_rc publish(
        struct fixture *f, const char *key, const struct envelope *e, uint64_t cookie)
{
    struct publish p = {
            .exchange = "", .routing_key = key, .mandatory = true, .envelope = e};
    return session_publish(f->session, f->ch, &p, cookie);
}

static inline void broker(const char *verb, const char *rest)
{
    char command[512];
    snprintf(command, sizeof(command), "%s/scripts/broker %s %s %s >/dev/null",
            env("CONEY_SOURCE_DIR"), verb, env("CONEY_BROKER_NAME"), rest);
    assert_int_equal(system(command), 0);
}

#endif /* CONEY_TESTS_BROKER_SESSION_H */
