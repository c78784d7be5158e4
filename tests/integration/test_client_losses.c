/* SPDX-License-Identifier: MIT */
/*
 * test_client_losses.c - libconey on a real broker that refuses, blocks, goes and comes.
 *
 * coney-test: timeout=180
 */
#include "client_bench.h"

#include <sys/wait.h>

/* --- what goes wrong -------------------------------------------------------------- */

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

/* --- running ---------------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_wrong_password_is_said_at_once),
            cmocka_unit_test(without_a_broker_a_send_ends_in_time),
            cmocka_unit_test(a_full_queue_is_not_taken),
            cmocka_unit_test(a_blocked_broker_is_named_as_the_reason),
            cmocka_unit_test(an_idle_connection_that_was_lost_is_made_again),
            cmocka_unit_test_setup(losing_the_connection_loses_no_message, empty_queues),
            cmocka_unit_test(a_forked_child_leaves_the_parents_client_alone),
            cmocka_unit_test(results_come_again_after_the_connection_was_lost),
            cmocka_unit_test(a_broker_that_restarts_gets_the_message_afterwards),
    };
    return cmocka_run_group_tests(tests, declare, forget);
}
