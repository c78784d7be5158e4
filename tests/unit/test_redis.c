/* SPDX-License-Identifier: MIT */
/*
 * test_redis.c - a connection to redis against scripted servers on loopback: the login,
 * answers in order, what is published, and every way in which it is lost.
 */
#include "base/clock.h"
#include "base/error.h"
#include "redis/redis.h"
#include "scripted_peer.h"
#include "test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 20000 };

/* A server that answers from a script: "<expected words>=<bytes of the answer>". */
struct line {
    const char *expected; /* as the words arrive, each with a space behind it */
    const char *answer;   /* NULL: hang up */
};

struct script {
    struct line lines[16]; /* of each connection */
};

struct fixture {
    struct redis *redis;
    struct rng rng;
    struct redis_options options;
    struct script script;
    struct scripted_peer *peer;
    char url[128];
    int64_t deadline_ms;
};

static bool read_byte(int fd, char *c)
{
    return recv(fd, c, 1, 0) == 1;
}

static bool read_number(int fd, char mark, long *value)
{
    char text[16];
    size_t len = 0;
    char c;
    if (!read_byte(fd, &c) || c != mark)
        return false;
    while (read_byte(fd, &c) && c != '\n' && len < sizeof(text) - 1)
        text[len++] = c;
    text[len] = '\0';
    *value = strtol(text, NULL, 10);
    return true;
}

/* One command, its words each with a space behind. */
static bool read_command(int fd, char *words, size_t size)
{
    long count, len;
    size_t used = 0;
    if (!read_number(fd, '*', &count))
        return false;
    for (long i = 0; i < count; i++) {
        if (!read_number(fd, '$', &len) || used + (size_t)len + 2 >= size)
            return false;
        for (long k = 0; k < len + 2; k++)
            if (!read_byte(fd, &words[used + (size_t)k]))
                return false;
        used += (size_t)len;
        words[used++] = ' ';
    }
    words[used] = '\0';
    return true;
}

static void serve(void *ctx, int fd, unsigned n)
{
    const struct script *s = ctx;
    char words[4096];
    (void)n;
    for (const struct line *l = s->lines; l->expected; l++) {
        if (!read_command(fd, words, sizeof(words)))
            return;
        if (strcmp(words, l->expected) != 0)
            fprintf(stderr, "got \"%s\" instead of \"%s\"\n", words, l->expected);
        if (!l->answer || strcmp(words, l->expected) != 0)
            return;
        if (send(fd, l->answer, strlen(l->answer), MSG_NOSIGNAL) < 0)
            return;
    }
    peer_await_end(fd);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rng_seed(&f->rng, 1);
    f->options = (struct redis_options){.url = f->url,
            .mode = DIAL_FOREVER,
            .connect_timeout_ms = 5000,
            .backoff_base_ms = 10,
            .backoff_cap_ms = 20};
    f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    redis_free(f->redis);
    if (f->peer)
        scripted_peer_free(f->peer);
    free(f);
    return 0;
}

static void open_redis(struct fixture *f)
{
    struct coney_error err;
    f->peer = scripted_peer_new(serve, &f->script);
    snprintf(f->url, sizeof(f->url), "redis://127.0.0.1:%u/3",
            scripted_peer_port(f->peer));
    assert_int_equal(redis_new(&f->options, &f->rng, &f->redis, &err), CONEY_OK);
}

/* The next event, which must be of @type. */
static struct redis_event await(struct fixture *f, enum redis_event_type type)
{
    struct redis_event ev;
    while (!redis_next_event(f->redis, &ev)) {
        struct pollfd fd = {.fd = redis_fd(f->redis), .events = redis_wants(f->redis)};
        int64_t now_ms = clock_mono_ms();
        int64_t wait_ms = redis_deadline_ms(f->redis) - now_ms;
        assert_true(now_ms < f->deadline_ms);
        poll(&fd, 1, wait_ms < 0 ? 0 : wait_ms > 100 ? 100 : (int)wait_ms);
        redis_step(f->redis, fd.revents, clock_mono_ms());
    }
    if (ev.type != type)
        fail_msg("event %d instead of %d: %s", (int)ev.type, (int)type, ev.error.text);
    return ev;
}

static void send_words(
        struct fixture *f, const char *const *words, size_t count, uint64_t cookie)
{
    struct redis_commands c;
    redis_commands_init(&c);
    assert_int_equal(redis_commands_add_texts(&c, count, words), CONEY_OK);
    assert_int_equal(redis_send(f->redis, &c, cookie, clock_mono_ms()), CONEY_OK);
    redis_commands_fini(&c);
}

static void send_get(struct fixture *f, uint64_t cookie)
{
    const char *const words[] = {"GET", "k"};
    send_words(f, words, 2, cookie);
}

static void assert_down(struct fixture *f, enum coney_rc rc, const char *text)
{
    struct redis_event ev = await(f, REDIS_DOWN);
    assert_int_equal(ev.error.rc, rc);
    if (!strstr(ev.error.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, ev.error.text);
    assert_in_range(ev.retry_ms, 5, 20);
    assert_false(redis_is_up(f->redis));
}

#define LOGIN                 \
    {"SELECT 3 ", "+OK\r\n"}, \
    {                         \
        "PING ", "+PONG\r\n"  \
    }

/* --- login ---------------------------------------------------------------------------
 */

static void it_logs_in_by_name_and_password(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{{"AUTH ada S3CR3T ", "+OK\r\n"},
            {"CLIENT SETNAME coney ", "-NOPERM\r\n"}, LOGIN}};
    f->options.user = "ada";
    f->options.password = "S3CR3T";
    f->options.name = "coney";
    open_redis(f);
    await(f, REDIS_UP);
    assert_true(redis_is_up(f->redis));
    assert_non_null(strstr(redis_peer(f->redis), "127.0.0.1:"));
}

static void a_wrong_password_is_said_clearly_and_not_repeated(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){
            {{"AUTH S3CR3T ",
                     "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
                    {"SELECT 3 ", "-NOAUTH Authentication required.\r\n"},
                    {"PING ", "-NOAUTH Authentication required.\r\n"}}};
    f->options.password = "S3CR3T";
    open_redis(f);
    struct redis_event ev = await(f, REDIS_DOWN);
    assert_int_equal(ev.error.rc, CONEY_EREFUSED);
    assert_non_null(strstr(ev.error.text, "the login is refused: WRONGPASS"));
    assert_null(strstr(ev.error.text, "S3CR3T"));
}

static void a_password_that_is_missing_is_asked_for(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{{"SELECT 3 ", "-NOAUTH Authentication required.\r\n"},
            {"PING ", "-NOAUTH Authentication required.\r\n"}}};
    open_redis(f);
    assert_down(f, CONEY_EREFUSED, "a password is needed");
}

static void a_server_that_still_loads_is_not_up(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{{"SELECT 3 ", "+OK\r\n"},
            {"PING ", "-LOADING Redis is loading the dataset in memory\r\n"}}};
    open_redis(f);
    for (int i = 0; i < 3; i++)
        assert_down(f, CONEY_EIO, "LOADING");
}

static void a_peer_that_is_no_redis_is_refused(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{{"SELECT 3 ", "HTTP/1.1 400 Bad Request\r\n"}}};
    open_redis(f);
    assert_down(f, CONEY_ESYNTAX, "not redis's protocol");
}

static void a_server_that_does_not_answer_the_login_is_given_up(void **state)
{
    struct fixture *f = *state;
    f->options.connect_timeout_ms = 50;
    f->script = (struct script){{{"SELECT 3 ", "+OK\r\n"}, {"PING ", ""}}};
    open_redis(f);
    assert_down(f, CONEY_ETIMEOUT, "no answer to the login in 50 ms");
}

/* --- answers -------------------------------------------------------------------------
 */

static void answers_come_in_order_with_their_cookies(void **state)
{
    struct fixture *f = *state;
    const char *const words[] = {"INCR", "k"};
    struct redis_commands c;
    f->script = (struct script){{LOGIN, {"GET k ", "$-1\r\n:7\r\n"}, {"INCR k ", ""},
            {"INCR k ", ":8\r\n"}, {"GET k ", "-ERR\r\n"}}};
    open_redis(f);
    await(f, REDIS_UP);
    send_get(f, 11);
    redis_commands_init(&c);
    assert_int_equal(redis_commands_add_texts(&c, 2, words), CONEY_OK);
    assert_int_equal(redis_commands_add_texts(&c, 2, words), CONEY_OK);
    assert_int_equal(redis_send(f->redis, &c, 12, clock_mono_ms()), CONEY_OK);
    redis_commands_fini(&c);
    send_get(f, 13);
    assert_int_equal(redis_unanswered(f->redis), 3);

    struct redis_event ev = await(f, REDIS_ANSWERED);
    assert_int_equal(ev.cookie, 11);
    assert_int_equal(ev.reply->count, 1);
    assert_int_equal(ev.reply->items[0]->type, REDIS_NIL);
    redis_event_fini(&ev);
    ev = await(f, REDIS_ANSWERED);
    assert_int_equal(ev.cookie, 12);
    assert_int_equal(ev.reply->count, 2);
    assert_int_equal(ev.reply->items[0]->integer, 7);
    assert_int_equal(ev.reply->items[1]->integer, 8);
    redis_event_fini(&ev);
    ev = await(f, REDIS_ANSWERED);
    assert_int_equal(ev.cookie, 13);
    assert_int_equal(ev.reply->items[0]->type, REDIS_ERROR);
    redis_event_fini(&ev);
}

static void what_is_published_comes_between_the_answers(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{LOGIN,
            {"SUBSCRIBE c ", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
                             "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"},
            {"UNSUBSCRIBE c ", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"}}};
    open_redis(f);
    await(f, REDIS_UP);
    assert_int_equal(redis_subscribe(f->redis, "c", 5, clock_mono_ms()), CONEY_OK);
    struct redis_event ev = await(f, REDIS_ANSWERED);
    assert_int_equal(ev.cookie, 5);
    redis_event_fini(&ev);
    ev = await(f, REDIS_MESSAGE);
    assert_string_equal(ev.channel.data, "c");
    assert_string_equal(ev.payload.data, "hi");
    redis_event_fini(&ev);
    assert_int_equal(redis_unsubscribe(f->redis, "c", 6, clock_mono_ms()), CONEY_OK);
    ev = await(f, REDIS_ANSWERED);
    assert_int_equal(ev.cookie, 6);
    redis_event_fini(&ev);
}

/* --- losses --------------------------------------------------------------------------
 */

static void who_waits_for_an_answer_hears_of_the_loss_first(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{LOGIN, {"GET k ", NULL}}};
    open_redis(f);
    for (int i = 0; i < 3; i++) {
        await(f, REDIS_UP);
        send_get(f, 1);
        send_get(f, 2);
        for (uint64_t cookie = 1; cookie <= 2; cookie++) {
            struct redis_event ev = await(f, REDIS_ANSWERED);
            assert_int_equal(ev.cookie, cookie);
            assert_null(ev.reply);
            assert_int_equal(ev.error.rc, CONEY_ECLOSED);
        }
        assert_down(f, CONEY_ECLOSED, "");
    }
}

static void nothing_can_be_sent_while_it_is_down(void **state)
{
    struct fixture *f = *state;
    struct redis_commands c;
    const char *const words[] = {"GET", "k"};
    f->script = (struct script){{LOGIN}};
    open_redis(f);
    redis_commands_init(&c);
    assert_int_equal(redis_commands_add_texts(&c, 2, words), CONEY_OK);
    assert_int_equal(redis_send(f->redis, &c, 1, clock_mono_ms()), CONEY_ECLOSED);
    assert_int_equal(redis_subscribe(f->redis, "c", 1, clock_mono_ms()), CONEY_ECLOSED);
    redis_commands_fini(&c);
}

static void a_full_output_is_a_limit_and_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct redis_commands c;
    const char *const words[] = {"GET", "a key that is too long for so small an output"};
    f->options.output_max = 60;
    f->script = (struct script){{LOGIN, {"GET k ", "$-1\r\n"}}};
    open_redis(f);
    await(f, REDIS_UP);
    redis_commands_init(&c);
    assert_int_equal(redis_commands_add_texts(&c, 2, words), CONEY_OK);
    assert_int_equal(redis_send(f->redis, &c, 1, clock_mono_ms()), CONEY_ELIMIT);
    redis_commands_fini(&c);
    send_get(f, 2);
    struct redis_event ev = await(f, REDIS_ANSWERED);
    assert_int_equal(ev.cookie, 2);
    redis_event_fini(&ev);
}

static void an_answer_that_does_not_come_in_time_costs_the_connection(void **state)
{
    struct fixture *f = *state;
    f->options.answer_timeout_ms = 50;
    f->script = (struct script){{LOGIN, {"GET k ", ""}}};
    open_redis(f);
    await(f, REDIS_UP);
    send_get(f, 1);
    struct redis_event ev = await(f, REDIS_ANSWERED);
    assert_null(ev.reply);
    assert_down(f, CONEY_ETIMEOUT, "no answer in 50 ms");
}

static void a_silence_is_ended_by_a_heartbeat(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_ms = 20;
    f->options.answer_timeout_ms = 60;
    f->script = (struct script){
            {LOGIN, {"PING ", "+PONG\r\n"}, {"PING ", "+PONG\r\n"}, {"PING ", ""}}};
    open_redis(f);
    await(f, REDIS_UP);
    int64_t since_ms = clock_mono_ms();
    assert_down(f, CONEY_ETIMEOUT, "no answer in 60 ms");
    assert_true(clock_mono_ms() - since_ms >= 3 * 20 + 60);
}

static void its_owner_may_give_it_up(void **state)
{
    struct fixture *f = *state;
    struct coney_error why;
    f->script = (struct script){{LOGIN, {"GET k ", "-READONLY You can't write\r\n"}}};
    open_redis(f);
    for (int i = 0; i < 3; i++) {
        await(f, REDIS_UP);
        send_get(f, 1);
        struct redis_event ev = await(f, REDIS_ANSWERED);
        assert_true(redis_reply_is_ailing(ev.reply->items[0]));
        error_set(&why, CONEY_EIO, "it is read only");
        redis_event_fini(&ev);
        redis_renounce(f->redis, &why);
        assert_down(f, CONEY_EIO, "it is read only");
    }
}

static void an_answer_to_nothing_is_refused(void **state)
{
    struct fixture *f = *state;
    f->script = (struct script){{LOGIN, {"GET k ", "$-1\r\n+OK\r\n"}}};
    open_redis(f);
    await(f, REDIS_UP);
    send_get(f, 1);
    struct redis_event ev = await(f, REDIS_ANSWERED);
    redis_event_fini(&ev);
    assert_down(f, CONEY_ESYNTAX, "an answer to nothing");
}

static void once_means_one_attempt(void **state)
{
    struct fixture *f = *state;
    f->options.mode = DIAL_ONCE;
    f->script = (struct script){{LOGIN, {"GET k ", NULL}}};
    open_redis(f);
    await(f, REDIS_UP);
    send_get(f, 1);
    await(f, REDIS_ANSWERED);
    struct redis_event ev = await(f, REDIS_DOWN);
    assert_int_equal(ev.retry_ms, -1);
    redis_step(f->redis, 0, clock_mono_ms());
    assert_int_equal(redis_deadline_ms(f->redis), CLOCK_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                    it_logs_in_by_name_and_password, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_wrong_password_is_said_clearly_and_not_repeated, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_password_that_is_missing_is_asked_for, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_server_that_still_loads_is_not_up, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_peer_that_is_no_redis_is_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_server_that_does_not_answer_the_login_is_given_up, set_up,
                    tear_down),
            cmocka_unit_test_setup_teardown(
                    answers_come_in_order_with_their_cookies, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    what_is_published_comes_between_the_answers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    who_waits_for_an_answer_hears_of_the_loss_first, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    nothing_can_be_sent_while_it_is_down, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_full_output_is_a_limit_and_costs_nothing, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    an_answer_that_does_not_come_in_time_costs_the_connection, set_up,
                    tear_down),
            cmocka_unit_test_setup_teardown(
                    a_silence_is_ended_by_a_heartbeat, set_up, tear_down),
            cmocka_unit_test_setup_teardown(its_owner_may_give_it_up, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    an_answer_to_nothing_is_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(once_means_one_attempt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
