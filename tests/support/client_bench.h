/* SPDX-License-Identifier: MIT */
/*
 * client_bench.h - what the tests of libconey share: a client, and a peer that stands for
 * the worker. On a thread and a session of its own it takes messages off a queue,
 * remembers them, and answers those that want an answer.
 */
#ifndef CONEY_TESTS_CLIENT_BENCH_H
#define CONEY_TESTS_CLIENT_BENCH_H

#include "amqp/session.h"
#include "base/clock.h"
#include "message/result.h"
#include "message/task.h"
#include "test.h"
#include <coney/client.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAKEN_MAX = 20000, WAIT_MS = 30000 };

static char *config_path;

/* --- the broker ------------------------------------------------------------------- */

static inline const char *env(const char *name)
{
    const char *value = getenv(name);
    assert_non_null(value);
    return value;
}

static inline void broker(const char *verb, const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof(command), "'%s/scripts/broker' %s '%s' %s >/dev/null",
            env("CONEY_SOURCE_DIR"), verb, env("CONEY_BROKER_NAME"), arguments);
    assert_int_equal(system(command), 0);
}

static inline char *write_config(const char *prefix, const char *broker_keys)
{
    char text[1024];
    snprintf(text, sizeof(text),
            "broker:\n  urls: [\"%s\"]\n  password_file: \"%s\"\n  tls: {ca: \"%s\"}\n"
            "  prefix: %s\n%s"
            "tasks:\n  test.low: {queue: low, expires: 1h}\n",
            env("CONEY_BROKER_URL"), env("CONEY_BROKER_PASSWORD_FILE"), env("CONEY_CA"),
            prefix, broker_keys);
    return test_file(text);
}

static inline void remove_file(char *path)
{
    unlink(path);
    free(path);
}

/* --- the peer --------------------------------------------------------------------- */

enum peer_answer { PEER_SILENT, PEER_ANSWERS };

struct peer {
    const char *queue;
    enum peer_answer answer;
    struct session *session;
    struct rng rng;
    struct amqp_channel channel;
    pthread_t thread;
    pthread_mutex_t lock;
    size_t count;
    bool is_ready;
    bool is_stopping;
    char ids[TAKEN_MAX][40];
    struct envelope last; /* owned */
    int64_t last_at_us;
};

static struct peer peer;

static inline void peer_reply(const struct envelope *e)
{
    struct task_request *r = NULL;
    struct message_limits limits = message_limits_default();
    struct envelope out;
    assert_int_equal(task_decode(e, &limits, &r, NULL), CONEY_OK);
    if (r->reply_to) {
        struct result result = {.task_id = r->id, .status = RESULT_SUCCESS};
        result.value = r->args;
        if (strcmp(r->task, "test.fail") == 0)
            result = (struct result){.task_id = r->id,
                    .status = RESULT_FAILURE,
                    .exc_type = "ValueError",
                    .exc_text = "boom"};
        assert_int_equal(result_encode(&result, &out, NULL), CONEY_OK);
        struct publish p = {.exchange = "", .routing_key = r->reply_to, .envelope = &out};
        assert_int_equal(session_publish(peer.session, peer.channel, &p, 0), CONEY_OK);
        envelope_fini(&out);
    }
    task_request_free(r);
}

static inline void peer_take(struct session_event *ev)
{
    struct envelope *e = &ev->delivery.envelope;
    assert_true(peer.count < TAKEN_MAX);
    snprintf(peer.ids[peer.count], sizeof(peer.ids[0]), "%s", e->properties.message_id);
    peer.last_at_us = clock_wall_us();
    if (peer.answer == PEER_ANSWERS)
        peer_reply(e);
    envelope_fini(&peer.last);
    peer.last = *e;
    *e = (struct envelope){.arena = NULL};
    peer.count++;
}

static inline void peer_consume(void)
{
    struct consume consume = {.queue = peer.queue, .consumer_tag = "", .no_ack = true};
    assert_int_equal(session_channel_open(peer.session, &peer.channel), CONEY_OK);
    assert_int_equal(session_consume(peer.session, peer.channel, &consume, 1), CONEY_OK);
}

static inline void peer_event(struct session_event *ev)
{
    if (ev->type == SESSION_UP)
        peer_consume();
    else if (ev->type == SESSION_REPLY)
        peer.is_ready = true;
    else if (ev->type == SESSION_DELIVERY)
        peer_take(ev);
}

static inline void *peer_run(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&peer.lock);
    while (!peer.is_stopping) {
        struct session_event ev;
        struct pollfd fd = {
                .fd = session_fd(peer.session), .events = session_wants(peer.session)};
        pthread_mutex_unlock(&peer.lock);
        poll(&fd, 1, 5);
        pthread_mutex_lock(&peer.lock);
        session_step(peer.session, fd.revents, clock_mono_ms());
        while (session_next_event(peer.session, &ev)) {
            peer_event(&ev);
            session_event_fini(&ev);
        }
    }
    pthread_mutex_unlock(&peer.lock);
    return NULL;
}

static inline bool peer_has(size_t count)
{
    pthread_mutex_lock(&peer.lock);
    bool has = peer.is_ready && peer.count >= count;
    pthread_mutex_unlock(&peer.lock);
    return has;
}

/* Wait until the peer consumes and has taken @count messages. */
static inline void peer_await(size_t count)
{
    int64_t end_ms = clock_mono_ms() + WAIT_MS;
    while (!peer_has(count) && clock_mono_ms() < end_ms)
        usleep(2000);
    assert_true(peer_has(count));
}

static inline void peer_start(const char *queue, enum peer_answer answer)
{
    const char *url = env("CONEY_BROKER_PLAIN_AUTH_URL");
    struct session_options options = {.urls = &url,
            .url_count = 1,
            .backoff_cap_ms = 500,
            .connection_name = "peer"};
    memset(&peer, 0, sizeof(peer));
    peer.queue = queue;
    peer.answer = answer;
    rng_seed_random(&peer.rng);
    pthread_mutex_init(&peer.lock, NULL);
    assert_int_equal(session_new(&options, &peer.rng, &peer.session, NULL), CONEY_OK);
    assert_int_equal(pthread_create(&peer.thread, NULL, peer_run, NULL), 0);
    peer_await(0);
}

static inline void peer_stop(void)
{
    pthread_mutex_lock(&peer.lock);
    peer.is_stopping = true;
    pthread_mutex_unlock(&peer.lock);
    pthread_join(peer.thread, NULL);
    session_free(peer.session);
    envelope_fini(&peer.last);
    pthread_mutex_destroy(&peer.lock);
}

static inline int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static inline size_t peer_distinct(void)
{
    size_t distinct = 0;
    pthread_mutex_lock(&peer.lock);
    qsort(peer.ids, peer.count, sizeof(peer.ids[0]), compare_ids);
    for (size_t i = 0; i < peer.count; i++)
        distinct += i == 0 || strcmp(peer.ids[i], peer.ids[i - 1]) != 0;
    pthread_mutex_unlock(&peer.lock);
    return distinct;
}

/* Wait until the peer has taken @count different messages, however often each. */
static inline void peer_await_distinct(size_t count)
{
    int64_t end_ms = clock_mono_ms() + WAIT_MS;
    while (peer_distinct() < count && clock_mono_ms() < end_ms)
        usleep(20000);
    assert_int_equal(peer_distinct(), count);
}

/* --- the client ------------------------------------------------------------------- */

static inline struct coney_client *new_client(
        unsigned timeout_ms, coney_outcome_fn on_outcome)
{
    struct coney_client *client = NULL;
    struct coney_client_options options;
    struct coney_error err;
    coney_client_options_init(&options);
    options.config_file = config_path;
    options.timeout_ms = timeout_ms;
    options.on_outcome = on_outcome;
    if (coney_client_new(&options, &client, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return client;
}

static inline void assert_sent(struct coney_client *client, const struct coney_message *m)
{
    struct coney_error err;
    if (coney_send(client, m, NULL, &err) != CONEY_OK)
        fail_msg("%s: %s", coney_rc_name(err.rc), err.text);
}

static inline void assert_flushed(struct coney_client *client)
{
    struct coney_error err;
    if (coney_flush(client, WAIT_MS, &err) != CONEY_OK)
        fail_msg("%s: %s", coney_rc_name(err.rc), err.text);
}

static inline struct coney_message message_to(const char *queue)
{
    struct coney_message m;
    coney_message_init(&m, "test.task");
    m.queue = queue;
    return m;
}

static inline int declare(void **state)
{
    char command[1024];
    (void)state;
    config_path = write_config("coney", "");
    snprintf(command, sizeof(command),
            "'%s/tests/topology_declare' declare '%s' >/dev/null", env("CONEY_BUILD_DIR"),
            config_path);
    return system(command);
}

static inline int forget(void **state)
{
    (void)state;
    remove_file(config_path);
    return 0;
}

/* Each test begins with empty queues. */
static inline int empty_queues(void **state)
{
    (void)state;
    broker("ctl", "purge_queue coney.high");
    broker("ctl", "purge_queue coney.default");
    broker("ctl", "purge_queue coney.low");
    return 0;
}

#endif /* CONEY_TESTS_CLIENT_BENCH_H */
