/* SPDX-License-Identifier: MIT */
/* test_redis_codec.c - commands as bytes, replies from bytes in pieces of any size, and
 * what is no reply. */
#include "redis/codec.h"
#include "test.h"

#include <string.h>

static void a_command_is_its_words_with_their_lengths(void **state)
{
    (void)state;
    struct redis_commands c;
    const struct bytes words[] = {{"SET", 3}, {"k", 1}, {"a\0b\r\n", 5}, {NULL, 0}};
    const char *const ping[] = {"PING"};
    const char expected[] = "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n"
                            "*1\r\n$4\r\nPING\r\n";
    redis_commands_init(&c);
    assert_int_equal(redis_commands_add(&c, 4, words), CONEY_OK);
    assert_int_equal(redis_commands_add_texts(&c, 1, ping), CONEY_OK);
    assert_int_equal(c.count, 2);
    assert_int_equal(buffer_len(&c.bytes), sizeof(expected) - 1);
    assert_memory_equal(buffer_data(&c.bytes), expected, sizeof(expected) - 1);
    redis_commands_fini(&c);
}

static const char replies[] = "+OK\r\n-ERR no such thing\r\n:-9223372036854775808\r\n"
                              "$-1\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n"
                              "*3\r\n*2\r\n:1\r\n$1\r\nx\r\n*-1\r\n*0\r\n";

static struct redis_reply *expect(struct redis_reader *r, enum redis_type type)
{
    struct redis_reply *reply;
    assert_int_equal(redis_reader_next(r, &reply, NULL), CONEY_OK);
    assert_non_null(reply);
    assert_int_equal(reply->type, type);
    return reply;
}

static void check_replies(struct redis_reader *r)
{
    struct redis_reply *reply = expect(r, REDIS_STATUS);
    assert_string_equal(redis_reply_text(reply), "OK");
    redis_reply_free(reply);

    reply = expect(r, REDIS_ERROR);
    assert_true(redis_reply_is_error(reply, "ERR"));
    assert_false(redis_reply_is_error(reply, "ER"));
    redis_reply_free(reply);

    reply = expect(r, REDIS_INTEGER);
    assert_int_equal(reply->integer, INT64_MIN);
    redis_reply_free(reply);
    redis_reply_free(expect(r, REDIS_NIL));

    reply = expect(r, REDIS_TEXT);
    assert_int_equal(reply->text.len, 5);
    assert_memory_equal(reply->text.data, "a\0b\r\n", 6);
    redis_reply_free(reply);
    reply = expect(r, REDIS_TEXT);
    assert_int_equal(reply->text.len, 0);
    redis_reply_free(reply);

    reply = expect(r, REDIS_ARRAY);
    assert_int_equal(reply->count, 3);
    assert_int_equal(reply->items[0]->count, 2);
    assert_int_equal(reply->items[0]->items[0]->integer, 1);
    assert_string_equal(redis_reply_text(reply->items[0]->items[1]), "x");
    assert_int_equal(reply->items[1]->type, REDIS_NIL);
    assert_int_equal(reply->items[2]->count, 0);
    redis_reply_free(reply);

    assert_int_equal(redis_reader_next(r, &reply, NULL), CONEY_OK);
    assert_null(reply);
}

static void replies_come_in_pieces_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(replies) - 1; cut++) {
        struct redis_reader *r = redis_reader_new(1024);
        assert_int_equal(redis_reader_feed(r, replies, cut), CONEY_OK);
        assert_int_equal(
                redis_reader_feed(r, replies + cut, sizeof(replies) - 1 - cut), CONEY_OK);
        check_replies(r);
        redis_reader_free(r);
    }
}

/* A reader that is freed in the middle of a nested reply leaks nothing of it. */
static void a_reader_may_end_in_the_middle(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(replies) - 1; cut++) {
        struct redis_reader *r = redis_reader_new(1024);
        struct redis_reply *reply = NULL;
        assert_int_equal(redis_reader_feed(r, replies, cut), CONEY_OK);
        do {
            redis_reply_free(reply);
            assert_int_equal(redis_reader_next(r, &reply, NULL), CONEY_OK);
        } while (reply);
        redis_reader_free(r);
    }
}

static enum coney_rc read_all(const char *text, size_t reply_max, struct coney_error *err)
{
    struct redis_reader *r = redis_reader_new(reply_max);
    struct redis_reply *reply;
    enum coney_rc rc = redis_reader_feed(r, text, strlen(text));
    if (rc == CONEY_OK)
        rc = redis_reader_next(r, &reply, err);
    if (rc == CONEY_OK)
        redis_reply_free(reply);
    redis_reader_free(r);
    return rc;
}

static void what_is_no_reply_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "$-2\r\n",
            ":1x\r\n", "*-2\r\n", "*1\r\n!\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct coney_error err = {.text = ""};
        if (read_all(bad[i], 1024, &err) != CONEY_ESYNTAX)
            fail_msg("accepted \"%s\"", bad[i]);
        assert_true(strlen(err.text) > 0);
    }
}

static void a_reply_beyond_the_limits_is_refused(void **state)
{
    (void)state;
    struct coney_error err;
    assert_int_equal(read_all("$2000\r\nabcdefghijklmnop", 10, &err), CONEY_ELIMIT);
    assert_int_equal(read_all("*2000000000\r\n", 1024, &err), CONEY_ENOMEM);
}

static void allocations_fail_one_by_one(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct redis_reader *r = redis_reader_new(1024);
        struct redis_reply *reply = NULL;
        enum coney_rc rc;
        assert_int_equal(redis_reader_feed(r, replies, sizeof(replies) - 1), CONEY_OK);
        test_fail_allocation(n);
        do {
            redis_reply_free(reply);
            rc = redis_reader_next(r, &reply, NULL);
        } while (rc == CONEY_OK && reply);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        redis_reader_free(r);
        if (!has_failed) {
            assert_int_equal(rc, CONEY_OK);
            return;
        }
        assert_int_equal(rc, CONEY_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_command_is_its_words_with_their_lengths),
            cmocka_unit_test(replies_come_in_pieces_cut_anywhere),
            cmocka_unit_test(a_reader_may_end_in_the_middle),
            cmocka_unit_test(what_is_no_reply_is_refused),
            cmocka_unit_test(a_reply_beyond_the_limits_is_refused),
            cmocka_unit_test(allocations_fail_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
