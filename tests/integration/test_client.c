/* SPDX-License-Identifier: MIT */
/*
 * test_client.c - libconey against a real broker: confirms, refusals, losses, results.
 *
 * coney-test: timeout=180
 *
 * A peer of our own, on a thread and a session of its own, stands for the worker: it
 * takes messages off a queue, remembers them, and answers those that want an answer.
 */
#include "amqp/session.h"
#include "base/clock.h"
#include "message/result.h"
#include "message/task.h"
#include "queue/names.h"
#include "support/test.h"
#include <coney/client.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAKEN_MAX = 20000, WAIT_MS = 30000 };

static char *config_path;

/* --- the broker -----------------------------------------------------------------------
 */

static const char *env(const char *name)
{
    const char *value = getenv(name);
    assert_non_null(value);
    return value;
}

static void broker(const char *verb, const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof(command), "'%s/scripts/broker' %s '%s' %s >/dev/null",
            env("CONEY_SOURCE_DIR"), verb, env("CONEY_BROKER_NAME"), arguments);
    assert_int_equal(system(command), 0);
}

static char *write_config(const char *prefix)
{
    char text[1024];
    snprintf(text, sizeof(text),
            "broker:\n  urls: [\"%s\"]\n  password_file: \"%s\"\n  tls: {ca: \"%s\"}\n"
            "  prefix: %s\n"
            "tasks:\n  test.low: {queue: low, expires: 1h}\n",
            env("CONEY_BROKER_URL"), env("CONEY_BROKER_PASSWORD_FILE"), env("CONEY_CA"),
            prefix);
    return test_file(text);
}

static void remove_file(char *path)
{
    unlink(path);
    free(path);
}

/* --- the peer -------------------------------------------------------------------------
 */

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

static void peer_reply(const struct envelope *e)
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

static void peer_take(struct session_event *ev)
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

static void peer_consume(void)
{
    struct consume consume = {.queue = peer.queue, .consumer_tag = "", .no_ack = true};
    assert_int_equal(session_channel_open(peer.session, &peer.channel), CONEY_OK);
    assert_int_equal(session_consume(peer.session, peer.channel, &consume, 1), CONEY_OK);
}

static void peer_event(struct session_event *ev)
{
    if (ev->type == SESSION_UP)
        peer_consume();
    else if (ev->type == SESSION_REPLY)
        peer.is_ready = true;
    else if (ev->type == SESSION_DELIVERY)
        peer_take(ev);
}

static void *peer_run(void *argument)
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

static bool peer_has(size_t count)
{
    pthread_mutex_lock(&peer.lock);
    bool has = peer.is_ready && peer.count >= count;
    pthread_mutex_unlock(&peer.lock);
    return has;
}

/* Wait until the peer consumes and has taken @count messages. */
static void peer_await(size_t count)
{
    int64_t end_ms = clock_mono_ms() + WAIT_MS;
    while (!peer_has(count) && clock_mono_ms() < end_ms)
        usleep(2000);
    assert_true(peer_has(count));
}

static void peer_start(const char *queue, enum peer_answer answer)
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

static void peer_stop(void)
{
    pthread_mutex_lock(&peer.lock);
    peer.is_stopping = true;
    pthread_mutex_unlock(&peer.lock);
    pthread_join(peer.thread, NULL);
    session_free(peer.session);
    envelope_fini(&peer.last);
    pthread_mutex_destroy(&peer.lock);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static size_t peer_distinct(void)
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
static void peer_await_distinct(size_t count)
{
    int64_t end_ms = clock_mono_ms() + WAIT_MS;
    while (peer_distinct() < count && clock_mono_ms() < end_ms)
        usleep(20000);
    assert_int_equal(peer_distinct(), count);
}

/* --- the client -----------------------------------------------------------------------
 */

static struct coney_client *new_client(unsigned timeout_ms, coney_outcome_fn on_outcome)
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

static void assert_sent(struct coney_client *client, const struct coney_message *m)
{
    struct coney_error err;
    if (coney_send(client, m, NULL, &err) != CONEY_OK)
        fail_msg("%s: %s", coney_rc_name(err.rc), err.text);
}

static void assert_flushed(struct coney_client *client)
{
    struct coney_error err;
    if (coney_flush(client, WAIT_MS, &err) != CONEY_OK)
        fail_msg("%s: %s", coney_rc_name(err.rc), err.text);
}

static struct coney_message message_to(const char *queue)
{
    struct coney_message m;
    coney_message_init(&m, "test.task");
    m.queue = queue;
    return m;
}

/* --- sending --------------------------------------------------------------------------
 */

static void a_message_arrives_as_it_was_said(void **state)
{
    (void)state;
    struct coney_client *client = new_client(10000, NULL);
    const struct coney_header headers[] = {{"tenant", "42"}, {"trace", "a=b"}};
    struct coney_message m;
    char id[CONEY_ID_SIZE];
    peer_start("coney.low", PEER_SILENT);
    coney_message_init(&m, "test.low");
    m.args = "[1, \"two\", {\"three\": null}]";
    m.kwargs = "{\"k\": [true]}";
    m.priority = 7;
    m.headers = headers;
    m.header_count = 2;
    assert_int_equal(coney_send(client, &m, id, NULL), CONEY_OK);
    peer_await(1);

    struct task_request *r = NULL;
    struct message_limits limits = message_limits_default();
    assert_int_equal(task_decode(&peer.last, &limits, &r, NULL), CONEY_OK);
    assert_string_equal(r->task, "test.low");
    assert_string_equal(r->id, id);
    assert_string_equal(r->body.data,
            "[[1, \"two\", {\"three\": null}], {\"k\": [true]}, {\"callbacks\": null, "
            "\"errbacks\": null, \"chain\": null, \"chord\": null}]");
    int64_t left_us = r->expires_us - clock_wall_us();
    assert_in_range(left_us, INT64_C(3590) * 1000000, INT64_C(3600) * 1000000);
    assert_null(peer.last.properties.expiration);
    assert_int_equal(peer.last.properties.priority, 7);
    assert_int_equal(peer.last.properties.delivery_mode, DELIVERY_PERSISTENT);
    assert_string_equal(table_text(&peer.last.headers, "tenant").data, "42");
    assert_string_equal(table_text(&peer.last.headers, "trace").data, "a=b");
    assert_null(r->reply_to);
    task_request_free(r);
    peer_stop();
    coney_client_free(client);
}

static void a_missing_queue_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct coney_client *client = new_client(10000, NULL);
    struct coney_message m = message_to("coney.hihg");
    struct coney_error err;
    assert_int_equal(coney_send(client, &m, NULL, &err), CONEY_EUNROUTABLE);
    assert_string_equal(err.text, "there is no queue 'coney.hihg'");
    m.queue = "high"; /* a class of ours */
    assert_sent(client, &m);
    coney_client_free(client);
}

static void a_delay_spends_its_seconds_in_the_levels_and_the_rest_with_the_worker(
        void **state)
{
    (void)state;
    struct coney_client *client = new_client(10000, NULL);
    struct coney_message m = message_to("coney.default");
    peer_start("coney.default", PEER_SILENT);
    m.countdown_ms = 1700;
    int64_t sent_us = clock_wall_us();
    assert_sent(client, &m);
    peer_await(1);

    struct task_request *r = NULL;
    struct message_limits limits = message_limits_default();
    assert_int_equal(task_decode(&peer.last, &limits, &r, NULL), CONEY_OK);
    assert_in_range(r->eta_us - sent_us, 1700000, 1800000);
    assert_true(peer.last_at_us - sent_us >= 1000000);
    assert_true(peer.last_at_us < r->eta_us);
    assert_non_null(table_find(&peer.last.headers, "x-death"));
    task_request_free(r);
    peer_stop();
    coney_client_free(client);
}

static unsigned outcomes[16];

static void count_outcome(
        void *user, const char *id, enum coney_rc rc, const struct coney_error *err)
{
    (void)user;
    assert_true(strlen(id) > 0);
    assert_int_equal(err->rc, rc);
    outcomes[rc]++;
}

static void a_delay_without_levels_fails_alone(void **state)
{
    (void)state;
    char *kept = config_path;
    config_path = write_config("elsewhere");
    struct coney_client *client = new_client(10000, count_outcome);
    struct coney_message m = message_to("coney.low"), late = message_to("coney.low");
    struct coney_error err;
    late.countdown_ms = 5000;
    memset(outcomes, 0, sizeof(outcomes));
    peer_start("coney.low", PEER_SILENT);

    assert_int_equal(coney_send(client, &late, NULL, &err), CONEY_ENOTFOUND);
    assert_non_null(strstr(err.text, "elsewhere.v1.delay.02"));
    for (int i = 0; i < 100; i++)
        assert_int_equal(
                coney_send_async(client, i == 50 ? &late : &m, NULL, NULL), CONEY_OK);
    assert_int_equal(coney_flush(client, WAIT_MS, &err), CONEY_ENOTFOUND);
    assert_non_null(strstr(err.text, "elsewhere.v1.delay.02"));
    assert_int_equal(outcomes[CONEY_OK], 99);
    assert_int_equal(outcomes[CONEY_ENOTFOUND], 1);
    assert_int_equal(coney_flush(client, WAIT_MS, &err), CONEY_OK);
    peer_await_distinct(99);
    peer_stop();
    coney_client_free(client);
    remove_file(config_path);
    config_path = kept;
}

static void thousands_are_sent_without_waiting_for_each(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct coney_client *client = new_client(30000, count_outcome);
    struct coney_message m = message_to("coney.low");
    memset(outcomes, 0, sizeof(outcomes));
    peer_start("coney.low", PEER_SILENT);
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(coney_send_async(client, &m, NULL, NULL), CONEY_OK);
    assert_flushed(client);
    print_message(
            "%d confirmed in %lld ms\n", COUNT, (long long)(clock_mono_ms() - start_ms));
    assert_int_equal(outcomes[CONEY_OK], COUNT);
    peer_await_distinct(COUNT);
    peer_stop();
    coney_client_free(client);
}

static void *send_fifty(void *argument)
{
    struct coney_client *client = argument;
    struct coney_message m = message_to("coney.high");
    intptr_t sent = 0;
    for (int i = 0; i < 50; i++)
        sent += coney_send(client, &m, NULL, NULL) == CONEY_OK;
    return (void *)sent;
}

static void many_threads_share_a_client(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct coney_client *client = new_client(30000, NULL);
    pthread_t threads[THREADS];
    peer_start("coney.high", PEER_SILENT);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_fifty, client), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *sent;
        pthread_join(threads[i], &sent);
        assert_int_equal((intptr_t)sent, 50);
    }
    peer_await(THREADS * 50);
    peer_stop();
    coney_client_free(client);
}

/* --- what goes wrong ------------------------------------------------------------------
 */

static void a_wrong_password_is_said_at_once(void **state)
{
    (void)state;
    struct coney_client *client = NULL;
    struct coney_client_options options;
    struct coney_message m = message_to("coney.high");
    struct coney_error err;
    coney_client_options_init(&options);
    options.config_file = config_path;
    options.password = "no-secret-of-ours";
    assert_int_equal(coney_client_new(&options, &client, &err), CONEY_OK);
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(coney_send(client, &m, NULL, &err), CONEY_EREFUSED);
    assert_true(clock_mono_ms() - start_ms < 10000);
    assert_non_null(strstr(err.text, "not sent"));
    assert_null(strstr(err.text, "no-secret-of-ours"));
    coney_client_free(client);
}

static void without_a_broker_a_send_ends_in_time(void **state)
{
    (void)state;
    struct coney_client *client = NULL;
    struct coney_client_options options;
    struct coney_message m = message_to("coney.high");
    struct coney_error err;
    coney_client_options_init(&options);
    options.config_file = config_path;
    options.url = "amqp://coney@127.0.0.1:1/";
    options.timeout_ms = 700;
    assert_int_equal(coney_client_new(&options, &client, &err), CONEY_OK);
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(coney_send(client, &m, NULL, &err), CONEY_ECLOSED);
    assert_in_range(clock_mono_ms() - start_ms, 690, 3000);
    assert_non_null(strstr(err.text, "127.0.0.1:1"));
    coney_client_free(client);
}

static void a_full_queue_is_not_taken(void **state)
{
    (void)state;
    struct coney_client *client = NULL;
    struct coney_client_options options;
    struct coney_error err;
    coney_client_options_init(&options);
    options.config_file = config_path;
    options.attempts = 3;
    assert_int_equal(coney_client_new(&options, &client, &err), CONEY_OK);
    broker("ctl", "set_policy full '^coney.default$' '{\"max-length\": 1}'");
    enum coney_rc rc = CONEY_OK;
    struct coney_message m = message_to("coney.default");
    /* A quorum queue may take a few more than it should. */
    for (int i = 0; i < 20 && rc == CONEY_OK; i++)
        rc = coney_send(client, &m, NULL, &err);
    broker("ctl", "clear_policy full");
    assert_int_equal(rc, CONEY_ENACKED);
    assert_non_null(strstr(err.text, "coney.default"));
    assert_non_null(strstr(err.text, "attempts: 3"));
    coney_client_free(client);
}

static void a_blocked_broker_is_named_as_the_reason(void **state)
{
    (void)state;
    struct coney_client *client = new_client(1500, NULL);
    struct coney_message m = message_to("coney.high");
    struct coney_error err;
    assert_sent(client, &m);
    broker("ctl", "set_vm_memory_high_watermark absolute 1MB");
    /* The first publish under the alarm is what makes the broker say so. */
    enum coney_rc first = coney_send(client, &m, NULL, &err);
    enum coney_rc second = coney_send(client, &m, NULL, &err);
    broker("ctl", "set_vm_memory_high_watermark 0.4");
    assert_int_equal(first, CONEY_ETIMEOUT);
    assert_int_equal(second, CONEY_ENACKED);
    assert_non_null(strstr(err.text, "takes nothing"));
    coney_client_free(client);
}

static void an_idle_connection_that_was_lost_is_made_again(void **state)
{
    (void)state;
    struct coney_client *client = new_client(20000, NULL);
    struct coney_message m = message_to("coney.high");
    for (int i = 0; i < 3; i++) {
        assert_sent(client, &m);
        broker("ctl", "close_all_connections test");
        assert_sent(client, &m);
    }
    coney_client_free(client);
}

static void *close_connections(void *argument)
{
    for (int i = 0; i < 3; i++)
        broker("ctl", "close_all_connections test");
    __atomic_store_n((bool *)argument, true, __ATOMIC_RELEASE);
    return NULL;
}

static void losing_the_connection_loses_no_message(void **state)
{
    (void)state;
    struct coney_client *client = new_client(30000, NULL);
    struct coney_message m = message_to("coney.low");
    pthread_t closer;
    size_t count = 0;
    bool is_over = false;
    assert_int_equal(pthread_create(&closer, NULL, close_connections, &is_over), 0);
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE) && count < TAKEN_MAX / 2) {
        assert_int_equal(coney_send_async(client, &m, NULL, NULL), CONEY_OK);
        count++;
        if (count % 10 == 0)
            usleep(5000); /* not to fill the queue before the closer is done */
    }
    pthread_join(closer, NULL);
    assert_flushed(client);
    peer_start("coney.low", PEER_SILENT);
    peer_await_distinct(count);
    print_message("%zu sent, %zu arrived\n", count, peer.count);
    peer_stop();
    coney_client_free(client);
}

static void a_broker_that_restarts_gets_the_message_afterwards(void **state)
{
    (void)state;
    struct coney_client *client = new_client(60000, NULL);
    struct coney_message m = message_to("coney.high");
    assert_sent(client, &m);
    broker("restart", "");
    assert_sent(client, &m);
    coney_client_free(client);
}

static void a_forked_child_leaves_the_parents_client_alone(void **state)
{
    (void)state;
    struct coney_client *client = new_client(10000, NULL);
    struct coney_message m = message_to("coney.high");
    assert_sent(client, &m);
    pid_t child = fork();
    if (child == 0) {
        struct coney_error err;
        enum coney_rc rc = coney_send(client, &m, NULL, &err);
        coney_client_free(client);
        _exit(rc == CONEY_EINVAL && strstr(err.text, "fork") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_sent(client, &m);
    coney_client_free(client);
}

/* --- results --------------------------------------------------------------------------
 */

static void a_result_is_the_workers_answer(void **state)
{
    (void)state;
    struct coney_client *client = new_client(10000, NULL);
    struct coney_message m = message_to("coney.high");
    struct coney_result *result = NULL;
    struct coney_error err;
    char id[CONEY_ID_SIZE], failing[CONEY_ID_SIZE];
    peer_start("coney.high", PEER_ANSWERS);
    assert_int_equal(coney_wait(client, "x", 0, &result, &err), CONEY_EINVAL);

    m.reply = CONEY_REPLY_WANTED;
    m.args = "[2, 3]";
    assert_int_equal(coney_send(client, &m, id, &err), CONEY_OK);
    m.task = "test.fail";
    assert_int_equal(coney_send(client, &m, failing, &err), CONEY_OK);
    assert_int_equal(coney_wait(client, failing, WAIT_MS, &result, &err), CONEY_OK);
    assert_int_equal(result->status, CONEY_FAILURE);
    assert_string_equal(result->error_type, "ValueError");
    assert_string_equal(result->error_text, "boom");
    coney_result_free(result);
    assert_int_equal(coney_wait(client, id, WAIT_MS, &result, &err), CONEY_OK);
    assert_int_equal(result->status, CONEY_SUCCESS);
    assert_string_equal(result->value, "[2,3]");
    coney_result_free(result);
    assert_int_equal(coney_wait(client, id, 50, &result, &err), CONEY_ETIMEOUT);
    peer_stop();
    coney_client_free(client);
}

static void *send_and_wait(void *argument)
{
    struct coney_client *client = argument;
    struct coney_message m = message_to("coney.high");
    intptr_t right = 0;
    m.reply = CONEY_REPLY_WANTED;
    for (int i = 0; i < 20; i++) {
        struct coney_result *result = NULL;
        char id[CONEY_ID_SIZE], args[32];
        snprintf(args, sizeof(args), "[%d]", i);
        m.args = args;
        if (coney_send(client, &m, id, NULL) == CONEY_OK &&
                coney_wait(client, id, WAIT_MS, &result, NULL) == CONEY_OK)
            right += strcmp(result->value, args) == 0;
        coney_result_free(result);
    }
    return (void *)right;
}

static void each_thread_gets_its_own_results(void **state)
{
    (void)state;
    enum { THREADS = 6 };
    struct coney_client *client = new_client(30000, NULL);
    pthread_t threads[THREADS];
    peer_start("coney.high", PEER_ANSWERS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_and_wait, client), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *right;
        pthread_join(threads[i], &right);
        assert_int_equal((intptr_t)right, 20);
    }
    peer_stop();
    coney_client_free(client);
}

static void results_come_again_after_the_connection_was_lost(void **state)
{
    (void)state;
    struct coney_client *client = new_client(20000, NULL);
    peer_start("coney.high", PEER_ANSWERS);
    struct coney_message m = message_to("coney.high");
    struct coney_result *result = NULL;
    char id[CONEY_ID_SIZE];
    m.reply = CONEY_REPLY_WANTED;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(coney_send(client, &m, id, NULL), CONEY_OK);
        assert_int_equal(coney_wait(client, id, WAIT_MS, &result, NULL), CONEY_OK);
        coney_result_free(result);
        pthread_mutex_lock(&peer.lock);
        peer.is_ready = false;
        pthread_mutex_unlock(&peer.lock);
        broker("ctl", "close_all_connections test");
        peer_await(0);
    }
    peer_stop();
    coney_client_free(client);
}

/* --- running --------------------------------------------------------------------------
 */

static int declare(void **state)
{
    char command[1024];
    (void)state;
    config_path = write_config("coney");
    snprintf(command, sizeof(command),
            "'%s/tests/topology_declare' declare '%s' >/dev/null", env("CONEY_BUILD_DIR"),
            config_path);
    return system(command);
}

static int forget(void **state)
{
    (void)state;
    remove_file(config_path);
    return 0;
}

/* Each test begins with empty queues. */
static int empty_queues(void **state)
{
    (void)state;
    broker("ctl", "purge_queue coney.high");
    broker("ctl", "purge_queue coney.default");
    broker("ctl", "purge_queue coney.low");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_message_arrives_as_it_was_said),
            cmocka_unit_test(a_missing_queue_is_an_error_that_names_it),
            cmocka_unit_test(
                    a_delay_spends_its_seconds_in_the_levels_and_the_rest_with_the_worker),
            cmocka_unit_test(a_delay_without_levels_fails_alone),
            cmocka_unit_test(thousands_are_sent_without_waiting_for_each),
            cmocka_unit_test_setup(many_threads_share_a_client, empty_queues),
            cmocka_unit_test(a_wrong_password_is_said_at_once),
            cmocka_unit_test(without_a_broker_a_send_ends_in_time),
            cmocka_unit_test(a_full_queue_is_not_taken),
            cmocka_unit_test(a_blocked_broker_is_named_as_the_reason),
            cmocka_unit_test(an_idle_connection_that_was_lost_is_made_again),
            cmocka_unit_test_setup(losing_the_connection_loses_no_message, empty_queues),
            cmocka_unit_test(a_forked_child_leaves_the_parents_client_alone),
            cmocka_unit_test_setup(a_result_is_the_workers_answer, empty_queues),
            cmocka_unit_test(each_thread_gets_its_own_results),
            cmocka_unit_test(results_come_again_after_the_connection_was_lost),
            cmocka_unit_test(a_broker_that_restarts_gets_the_message_afterwards),
    };
    return cmocka_run_group_tests(tests, declare, forget);
}
