/* SPDX-License-Identifier: MIT */
/* link_fixture.h - a link under a test clock, fed with a scripted broker's bytes. */
#ifndef CONEY_TESTS_LINK_FIXTURE_H
#define CONEY_TESTS_LINK_FIXTURE_H

#include "amqp/frame.h"
#include "amqp/link.h"
#include "scripted_peer.h"
#include "test.h"

#include <string.h>

struct link_fixture {
    struct link *link;
    struct link_options options;
    uint32_t generation;
    int64_t now_ms;
    struct peer_bytes in; /* what the broker will say next */
};

static inline struct link_options link_fixture_options(struct link_fixture *f)
{
    return (struct link_options){.host = "rabbit:5672",
            .user = "ada",
            .password = "S3CR3T",
            .vhost = "/",
            .heartbeat_s = 20,
            .frame_max = 131072,
            .body_max = 1024 * 1024,
            .output_max = 64 * 1024 * 1024,
            .headers_depth_max = 32,
            .generation = &f->generation};
}

static inline void link_fixture_open(struct link_fixture *f)
{
    assert_int_equal(link_new(&f->options, f->now_ms, &f->link), CONEY_OK);
}

static inline void link_fixture_init(struct link_fixture *f)
{
    *f = (struct link_fixture){.now_ms = 1000};
    f->options = link_fixture_options(f);
}

static inline void link_fixture_fini(struct link_fixture *f)
{
    link_free(f->link);
    peer_bytes_fini(&f->in);
    f->link = NULL;
}

/* Everything that the link wants to send is sent. */
static inline void link_fixture_sent(struct link_fixture *f)
{
    link_output_sent(f->link, link_output(f->link).len, f->now_ms);
}

/* Give the link @len bytes at once. */
static inline void link_fixture_feed(struct link_fixture *f, const void *data, size_t len)
{
    uint8_t *space;
    assert_int_equal(link_input_reserve(f->link, len, &space), CONEY_OK);
    if (len > 0)
        memcpy(space, data, len);
    link_input_commit(f->link, len, f->now_ms);
    link_process(f->link);
}

/* Give it what was prepared in f->in. */
static inline void link_fixture_hear(struct link_fixture *f)
{
    link_fixture_feed(f, f->in.data, f->in.len);
    f->in.len = 0;
}

static inline void link_fixture_log_in(struct link_fixture *f)
{
    link_fixture_open(f);
    peer_handshake(&f->in, 60);
    link_fixture_hear(f);
    assert_int_equal(link_phase(f->link), LINK_UP);
    link_fixture_sent(f);
}

/* A channel whose open-ok has come. */
static inline struct amqp_channel link_fixture_channel(struct link_fixture *f)
{
    struct amqp_channel ch;
    assert_int_equal(link_channel_open(f->link, &ch), CONEY_OK);
    peer_method(&f->in, ch.number, 20, 11, "S", "");
    link_fixture_hear(f);
    link_fixture_sent(f);
    return ch;
}

static inline struct amqp_channel link_fixture_confirm_channel(struct link_fixture *f)
{
    struct amqp_channel ch = link_fixture_channel(f);
    assert_int_equal(link_confirm_select(f->link, ch), CONEY_OK);
    peer_method(&f->in, ch.number, 85, 11, "");
    link_fixture_hear(f);
    link_fixture_sent(f);
    return ch;
}

static inline void link_fixture_publish(
        struct link_fixture *f, struct amqp_channel ch, const char *id, uint64_t cookie)
{
    struct envelope e = {
            .properties = properties_none(), .body = {.data = "body", .len = 4}};
    struct publish p = {
            .exchange = "", .routing_key = "key", .mandatory = true, .envelope = &e};
    e.properties.message_id = id;
    assert_int_equal(link_publish(f->link, ch, &p, cookie), CONEY_OK);
}

/* The next event, which must be of @type. */
static inline struct session_event link_fixture_event(
        struct link_fixture *f, enum session_event_type type)
{
    struct session_event ev;
    assert_true(link_next_event(f->link, &ev));
    assert_int_equal(ev.type, type);
    return ev;
}

static inline void link_fixture_no_event(struct link_fixture *f)
{
    struct session_event ev;
    assert_false(link_next_event(f->link, &ev));
}

static inline void link_fixture_outcome(
        struct link_fixture *f, uint64_t cookie, enum publish_outcome outcome)
{
    struct session_event ev = link_fixture_event(f, SESSION_PUBLISHED);
    assert_int_equal(ev.cookie, cookie);
    assert_int_equal(ev.outcome, outcome);
}

/* Whether the output holds this method; *@payload is what follows its number. */
static inline bool link_fixture_says(struct link_fixture *f, unsigned channel,
        unsigned class_id, unsigned method_id, struct bytes *payload)
{
    struct bytes out = link_output(f->link);
    struct frame frame;
    size_t used;

    if (out.len >= 8 && memcmp(out.data, "AMQP", 4) == 0) {
        out.data = (const uint8_t *)out.data + 8;
        out.len -= 8;
    }
    while (frame_parse(out, 1 << 20, &frame, &used, NULL) == CONEY_OK && used > 0) {
        const uint8_t *p = frame.payload.data;
        if (frame.type == FRAME_METHOD && frame.channel == channel &&
                frame_get_u16(p) == class_id && frame_get_u16(p + 2) == method_id) {
            if (payload)
                *payload = (struct bytes){.data = p + 4, .len = frame.payload.len - 4};
            return true;
        }
        out.data = (const uint8_t *)out.data + used;
        out.len -= used;
    }
    return false;
}

#endif /* CONEY_TESTS_LINK_FIXTURE_H */
