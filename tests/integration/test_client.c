/* SPDX-License-Identifier: MIT */
/* test_client.c - libconey on a real broker while all is well: sending, and results. */
#include "client_bench.h"

/* --- sending ---------------------------------------------------------------------- */

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
    config_path = write_config("elsewhere", "");
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

/* --- results ---------------------------------------------------------------------- */

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
    assert_int_equal(result->status, CONEY_STATUS_FAILURE);
    assert_string_equal(result->error_type, "ValueError");
    assert_string_equal(result->error_text, "boom");
    coney_result_free(result);
    assert_int_equal(coney_wait(client, id, WAIT_MS, &result, &err), CONEY_OK);
    assert_int_equal(result->status, CONEY_STATUS_SUCCESS);
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

static void an_idle_client_keeps_its_connection_and_gets_its_results(void **state)
{
    (void)state;
    enum { IDLE_MS = 6000 }; /* the broker gives up after two silent heartbeats */
    char *kept = config_path;
    config_path = write_config("coney", "  heartbeat: 1s\n");
    struct coney_client *client = new_client(10000, NULL);
    struct coney_message m = message_to("coney.high");
    struct coney_result *result = NULL;
    char id[CONEY_ID_SIZE];
    m.reply = CONEY_REPLY_WANTED;
    assert_int_equal(coney_send(client, &m, id, NULL), CONEY_OK);
    usleep(IDLE_MS * 1000);
    /* Only now somebody answers: to the queue of a connection that must still be there.
     */
    peer_start("coney.high", PEER_ANSWERS);
    assert_int_equal(coney_wait(client, id, WAIT_MS, &result, NULL), CONEY_OK);
    coney_result_free(result);
    peer_stop();
    coney_client_free(client);
    remove_file(config_path);
    config_path = kept;
}

/* --- running ---------------------------------------------------------------------- */

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
            cmocka_unit_test_setup(a_result_is_the_workers_answer, empty_queues),
            cmocka_unit_test(each_thread_gets_its_own_results),
            cmocka_unit_test_setup(
                    an_idle_client_keeps_its_connection_and_gets_its_results,
                    empty_queues),
    };
    return cmocka_run_group_tests(tests, declare, forget);
}
