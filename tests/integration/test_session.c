/* SPDX-License-Identifier: MIT */
/* test_session.c - sessions against a real broker, over TLS unless it says otherwise. */
#include "integration/broker_session.h"

/* --- coming up ------------------------------------------------------------------------
 */

static void a_session_comes_up_over_tls(void **state)
{
    struct fixture *f = *state;
    go_up(f);
    assert_non_null(strstr(session_peer(f->session), "(TLSv1."));
    assert_non_null(strstr(session_broker(f->session), "RabbitMQ "));
    printf("    %s at %s\n", session_broker(f->session), session_peer(f->session));
}

static void a_session_comes_up_in_the_clear_when_asked_to(void **state)
{
    struct fixture *f = *state;
    f->urls[0] = env("CONEY_BROKER_PLAIN_URL");
    go_up(f);
    assert_null(strstr(session_peer(f->session), "TLS"));
}

static void a_certificate_is_a_login(void **state)
{
    struct fixture *f = *state;
    f->options.auth = SESSION_AUTH_EXTERNAL;
    f->options.password = NULL;
    f->options.tls.cert_file = env("CONEY_CLIENT_CERT");
    f->options.tls.key_file = env("CONEY_CLIENT_KEY");
    go_up(f);
    declare(f, f->queue);
    delete_queue(f, f->queue);
}

static void a_wrong_password_is_refused_with_the_users_name(void **state)
{
    struct fixture *f = *state;
    f->options.password = "wrong-S3CR3T";
    assert_refused(
            f, "login of user \"coney\" refused (403): wrong user name or password");
}

static void an_unknown_ca_is_refused(void **state)
{
    struct fixture *f = *state;
    f->options.tls.ca_file = env("CONEY_OTHER_CA");
    assert_refused(f, "certificate of \"localhost\" refused: ");
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    struct fixture *f = *state;
    f->options.tls.server_name = "rabbit.example";
    assert_refused(f,
            "certificate of \"rabbit.example\" refused: it is made out to another "
            "host");
}

static void a_virtual_host_that_does_not_exist_is_named(void **state)
{
    struct fixture *f = *state;
    snprintf(f->url, sizeof(f->url), "%snosuch", env("CONEY_BROKER_URL"));
    f->urls[0] = f->url;
    assert_refused(f, "virtual host \"nosuch\" refused to user \"coney\" (530)");
}

static void tls_on_the_plain_port_is_refused_and_the_other_way_round(void **state)
{
    struct fixture *f = *state;
    snprintf(f->url, sizeof(f->url), "amqps%s",
            strstr(env("CONEY_BROKER_PLAIN_URL"), "://"));
    f->urls[0] = f->url;
    assert_refused(f, "this port does not speak TLS");
    session_free(f->session);
    f->session = NULL;
    snprintf(f->url, sizeof(f->url), "amqp%s", strstr(env("CONEY_BROKER_URL"), "://"));
    open_session(f);
    struct session_event ev = expect(f, SESSION_DOWN);
    assert_int_not_equal(ev.error.rc, CONEY_OK);
    assert_non_null(strstr(ev.error.text, "TLS"));
    printf("    %s\n", ev.error.text);
}

/* --- topology -------------------------------------------------------------------------
 */

static void queues_and_exchanges_are_made_bound_purged_and_deleted(void **state)
{
    struct fixture *f = *state;
    struct exchange_declare x = {
            .exchange = "session.x", .type = "topic", .auto_delete = true};
    struct exchange_declare y = {
            .exchange = "session.y", .type = "topic", .auto_delete = true};
    struct queue_declare anonymous = {.queue = "", .exclusive = true};
    struct binding inner = {.to = "session.y", .from = "session.x", .key = "#"};
    struct binding outer = {.to = f->queue, .from = "session.y", .key = "a.*"};

    go_up(f);
    declare(f, f->queue);
    assert_int_equal(session_declare_exchange(f->session, f->ch, &x, 11), CONEY_OK);
    assert_int_equal(session_declare_exchange(f->session, f->ch, &y, 12), CONEY_OK);
    assert_int_equal(session_bind_exchange(f->session, f->ch, &inner, 13), CONEY_OK);
    assert_int_equal(session_bind_queue(f->session, f->ch, &outer, 14), CONEY_OK);
    for (uint64_t cookie = 11; cookie <= 14; cookie++)
        assert_int_equal(expect(f, SESSION_REPLY).cookie, cookie);
    struct envelope e = message("m", "through both");
    struct publish p = {.exchange = "session.x", .routing_key = "a.b", .envelope = &e};
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    assert_int_equal(session_publish(f->session, f->ch, &p, 15), CONEY_OK);
    assert_int_equal(expect(f, SESSION_PUBLISHED).outcome, PUBLISH_ACKED);
    assert_int_equal(session_purge_queue(f->session, f->ch, f->queue, 16), CONEY_OK);
    assert_int_equal(expect(f, SESSION_REPLY).message_count, 1);
    assert_int_equal(session_declare_queue(f->session, f->ch, &anonymous, 17), CONEY_OK);
    assert_non_null(strstr(expect(f, SESSION_REPLY).name, "amq.gen-"));
    delete_queue(f, f->queue);
}

static void arguments_reach_the_broker_with_their_types(void **state)
{
    struct fixture *f = *state;
    struct arena *a = arena_new(0);
    struct table arguments = {.fields = NULL};
    struct queue_declare d = {
            .queue = f->queue, .durable = true, .arguments = &arguments};

    go_up(f);
    assert_int_equal(table_set_text(&arguments, a, "x-queue-type", "quorum"), CONEY_OK);
    assert_int_equal(
            table_set_integer(&arguments, a, "x-message-ttl", 268435456000), CONEY_OK);
    assert_int_equal(session_declare_queue(f->session, f->ch, &d, 1), CONEY_OK);
    expect(f, SESSION_REPLY);
    assert_int_equal(table_set_integer(&arguments, a, "x-message-ttl", 1), CONEY_OK);
    assert_int_equal(session_declare_queue(f->session, f->ch, &d, 2), CONEY_OK);
    struct session_event ev = expect(f, SESSION_CHANNEL_CLOSED);
    assert_int_equal(ev.code, 406);
    assert_int_equal(ev.cookie, 2);
    assert_int_equal(ev.error.rc, CONEY_EREFUSED);
    assert_non_null(strstr(ev.error.text, "x-message-ttl"));
    assert_non_null(strstr(ev.error.text, "268435456000"));
    assert_int_equal(session_channel_open(f->session, &f->ch), CONEY_OK);
    delete_queue(f, f->queue);
    arena_free(a);
}

static void a_channel_that_fails_hurts_no_other(void **state)
{
    struct fixture *f = *state;
    struct amqp_channel bad[3];
    struct queue_declare missing = {.queue = "session.nosuch", .passive = true};
    struct envelope e = message("m", "x");
    struct publish p = {.exchange = "session.nosuch", .routing_key = "", .envelope = &e};

    go_up(f);
    declare(f, f->queue);
    for (int i = 0; i < 3; i++)
        assert_int_equal(session_channel_open(f->session, &bad[i]), CONEY_OK);
    assert_int_equal(session_declare_queue(f->session, bad[0], &missing, 77), CONEY_OK);
    struct session_event ev = expect(f, SESSION_CHANNEL_CLOSED);
    assert_int_equal(ev.channel.number, bad[0].number);
    assert_int_equal(ev.code, 404);
    assert_int_equal(ev.cookie, 77);
    assert_int_equal(ev.error.rc, CONEY_ENOTFOUND);

    assert_int_equal(session_ack(f->session, bad[1], 12345, false), CONEY_OK);
    ev = expect(f, SESSION_CHANNEL_CLOSED);
    assert_int_equal(ev.channel.number, bad[1].number);
    assert_int_equal(ev.code, 406);
    assert_int_equal(ev.cookie, 0);

    assert_int_equal(session_confirm_select(f->session, bad[2]), CONEY_OK);
    assert_int_equal(session_publish(f->session, bad[2], &p, 78), CONEY_OK);
    ev = expect(f, SESSION_PUBLISHED);
    assert_int_equal(ev.cookie, 78);
    assert_int_equal(ev.outcome, PUBLISH_UNKNOWN);
    assert_int_equal(expect(f, SESSION_CHANNEL_CLOSED).code, 404);

    for (int i = 0; i < 3; i++)
        assert_int_equal(session_ack(f->session, bad[i], 1, false), CONEY_ECLOSED);
    assert_true(session_channel_is_open(f->session, f->ch));
    delete_queue(f, f->queue);
}

/* --- messages -------------------------------------------------------------------------
 */

static void a_message_comes_back_as_it_was_sent(void **state)
{
    struct fixture *f = *state;
    struct envelope e;
    enum { SIZE = 700 * 1000 };
    char *body = malloc(SIZE);
    struct field list = {.key = {.data = "list", .len = 4}, .type = FIELD_ARRAY};
    struct field one = {.key = {.data = "", .len = 0}, .type = FIELD_I64};
    int64_t number;

    for (size_t i = 0; i < SIZE; i++)
        body[i] = (char)(i * 7 + i / 253);
    go_up(f);
    declare(f, f->queue);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.body = (struct bytes){.data = body, .len = SIZE};
    e.properties.content_type = "application/json";
    e.properties.correlation_id = "c";
    e.properties.reply_to = "r";
    e.properties.type = "t\xc3\xa4sk";
    e.properties.app_id = "app";
    e.properties.user_id = "coney";
    e.properties.timestamp_s = 1700000000;
    e.properties.priority = 7;
    e.properties.delivery_mode = DELIVERY_PERSISTENT;
    assert_int_equal(table_set_text(&e.headers, e.arena, "task", "add"), CONEY_OK);
    assert_int_equal(table_set_integer(&e.headers, e.arena, "retries", 3), CONEY_OK);
    assert_int_equal(table_set_void(&e.headers, e.arena, "eta"), CONEY_OK);
    assert_int_equal(table_set_bool(&e.headers, e.arena, "ok", true), CONEY_OK);
    one.value.integer = INT64_MIN;
    assert_int_equal(table_append(&list.value.table, e.arena, &one), CONEY_OK);
    assert_int_equal(table_set(&e.headers, e.arena, &list), CONEY_OK);
    assert_int_equal(publish(f, f->queue, &e, 5), CONEY_OK);
    assert_int_equal(expect(f, SESSION_PUBLISHED).outcome, PUBLISH_ACKED);
    consume(f, "tag");
    struct session_event ev = expect(f, SESSION_DELIVERY);
    const struct envelope *got = &ev.delivery.envelope;
    assert_string_equal(ev.delivery.exchange, "");
    assert_string_equal(ev.delivery.routing_key, f->queue);
    assert_string_equal(ev.delivery.consumer_tag, "tag");
    assert_false(ev.delivery.redelivered);
    assert_int_equal(got->body.len, SIZE);
    assert_memory_equal(got->body.data, body, SIZE);
    assert_string_equal(got->properties.type, "t\xc3\xa4sk");
    assert_string_equal(got->properties.user_id, "coney");
    assert_int_equal(got->properties.timestamp_s, 1700000000);
    assert_int_equal(got->properties.priority, 7);
    assert_null(got->properties.expiration);
    assert_int_equal(got->headers.count, 5);
    assert_string_equal(table_text(&got->headers, "task").data, "add");
    assert_true(table_integer(&got->headers, "retries", &number) && number == 3);
    assert_int_equal(table_find(&got->headers, "eta")->type, FIELD_VOID);
    assert_true(table_find(&got->headers, "list")->value.table.fields[0].value.integer ==
                INT64_MIN);
    session_event_fini(&ev);
    envelope_fini(&e);
    free(body);
    delete_queue(f, f->queue);
}

static void a_rejected_delivery_comes_again_and_an_acked_one_does_not(void **state)
{
    struct fixture *f = *state;
    struct envelope e = message("m", "x");

    go_up(f);
    declare(f, f->queue);
    assert_int_equal(publish(f, f->queue, &e, 0), CONEY_OK);
    consume(f, "tag");
    struct session_event ev = expect(f, SESSION_DELIVERY);
    assert_int_equal(
            session_nack(f->session, f->ch, ev.delivery.tag, false, true), CONEY_OK);
    session_event_fini(&ev);
    ev = expect(f, SESSION_DELIVERY);
    assert_true(ev.delivery.redelivered);
    assert_int_equal(session_ack(f->session, f->ch, ev.delivery.tag, false), CONEY_OK);
    session_event_fini(&ev);
    assert_int_equal(session_cancel(f->session, f->ch, "tag", 9), CONEY_OK);
    assert_int_equal(expect(f, SESSION_REPLY).cookie, 9);
    assert_int_equal(session_purge_queue(f->session, f->ch, f->queue, 10), CONEY_OK);
    assert_int_equal(expect(f, SESSION_REPLY).message_count, 0);
    delete_queue(f, f->queue);
}

static void prefetch_bounds_what_is_on_the_way(void **state)
{
    struct fixture *f = *state;
    struct envelope e = message("m", "x");
    struct queue_declare passive = {.queue = f->queue, .passive = true};

    go_up(f);
    declare(f, f->queue);
    for (int i = 0; i < 10; i++)
        assert_int_equal(publish(f, f->queue, &e, 0), CONEY_OK);
    assert_int_equal(session_qos(f->session, f->ch, 3), CONEY_OK);
    consume(f, "tag");
    for (int i = 0; i < 3; i++) {
        struct session_event ev = expect(f, SESSION_DELIVERY);
        session_event_fini(&ev);
    }
    assert_int_equal(session_declare_queue(f->session, f->ch, &passive, 4), CONEY_OK);
    struct session_event ev = expect(f, SESSION_REPLY);
    assert_int_equal(ev.message_count, 7);
    assert_int_equal(ev.consumer_count, 1);
    delete_queue(f, f->queue);
}

static void a_deleted_queue_cancels_its_consumer(void **state)
{
    struct fixture *f = *state;
    struct amqp_channel other;

    go_up(f);
    declare(f, f->queue);
    consume(f, "tag");
    assert_int_equal(session_channel_open(f->session, &other), CONEY_OK);
    assert_int_equal(session_delete_queue(f->session, other, f->queue, 0), CONEY_OK);
    struct session_event ev = expect(f, SESSION_CANCELLED);
    assert_int_equal(ev.channel.number, f->ch.number);
    assert_string_equal(ev.name, "tag");
}

static void an_unroutable_message_is_returned_before_its_confirm(void **state)
{
    struct fixture *f = *state;
    struct envelope a = message("a", "x");
    struct envelope b = message("b", "x");

    go_up(f);
    declare(f, f->queue);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    assert_int_equal(publish(f, f->queue, &a, 1), CONEY_OK);
    assert_int_equal(publish(f, "session.nosuch", &a, 2), CONEY_OK);
    assert_int_equal(publish(f, "session.nosuch", &b, 3), CONEY_OK);
    enum publish_outcome outcomes[4] = {PUBLISH_UNKNOWN};
    bool returned[4] = {false};
    for (int i = 0; i < 5; i++) {
        struct session_event ev = next(f);
        assert_in_range(ev.cookie, 1, 3);
        if (ev.type == SESSION_RETURNED) {
            assert_int_equal(ev.code, 312);
            assert_non_null(strstr(ev.error.text, "session.nosuch"));
            returned[ev.cookie] = true;
        } else {
            assert_int_equal(ev.type, SESSION_PUBLISHED);
            outcomes[ev.cookie] = ev.outcome;
            assert_int_equal(returned[ev.cookie], ev.outcome == PUBLISH_RETURNED);
        }
    }
    assert_int_equal(outcomes[1], PUBLISH_ACKED);
    assert_int_equal(outcomes[2], PUBLISH_RETURNED);
    assert_int_equal(outcomes[3], PUBLISH_RETURNED);
    delete_queue(f, f->queue);
}

static void a_full_queue_that_rejects_is_a_nack(void **state)
{
    struct fixture *f = *state;
    struct arena *a = arena_new(0);
    struct table arguments = {.fields = NULL};
    struct queue_declare d = {.queue = f->queue, .arguments = &arguments};
    struct envelope e = message("m", "x");

    go_up(f);
    assert_int_equal(table_set_integer(&arguments, a, "x-max-length", 1), CONEY_OK);
    assert_int_equal(
            table_set_text(&arguments, a, "x-overflow", "reject-publish"), CONEY_OK);
    assert_int_equal(session_declare_queue(f->session, f->ch, &d, 1), CONEY_OK);
    expect(f, SESSION_REPLY);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    assert_int_equal(publish(f, f->queue, &e, 1), CONEY_OK);
    assert_int_equal(expect(f, SESSION_PUBLISHED).outcome, PUBLISH_ACKED);
    assert_int_equal(publish(f, f->queue, &e, 2), CONEY_OK);
    assert_int_equal(expect(f, SESSION_PUBLISHED).outcome, PUBLISH_NACKED);
    delete_queue(f, f->queue);
    arena_free(a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(a_session_comes_up_over_tls),
            TEST(a_session_comes_up_in_the_clear_when_asked_to),
            TEST(a_certificate_is_a_login),
            TEST(a_wrong_password_is_refused_with_the_users_name),
            TEST(an_unknown_ca_is_refused),
            TEST(a_certificate_for_another_host_is_refused),
            TEST(a_virtual_host_that_does_not_exist_is_named),
            TEST(tls_on_the_plain_port_is_refused_and_the_other_way_round),
            TEST(queues_and_exchanges_are_made_bound_purged_and_deleted),
            TEST(arguments_reach_the_broker_with_their_types),
            TEST(a_channel_that_fails_hurts_no_other),
            TEST(a_message_comes_back_as_it_was_sent),
            TEST(a_rejected_delivery_comes_again_and_an_acked_one_does_not),
            TEST(prefetch_bounds_what_is_on_the_way),
            TEST(a_deleted_queue_cancels_its_consumer),
            TEST(an_unroutable_message_is_returned_before_its_confirm),
            TEST(a_full_queue_that_rejects_is_a_nack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
