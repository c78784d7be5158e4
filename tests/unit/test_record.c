/* SPDX-License-Identifier: MIT */
/* test_record.c - what is encoded comes back; what is cut or garbled is refused. */
#include "base/rng.h"
#include "board/record.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static char program[] = "/usr/bin/env", option[] = "--json", empty[] = "";
static char language[] = "LANG=C.UTF-8";
static char *argv_items[] = {program, option, empty};
static char *environment_items[] = {language};
static const int ok_items[] = {0, 3};
static const int retry_items[] = {75};

static struct record_job full_job(void)
{
    return (struct record_job){.id = "7f3a",
            .task = "notify.send_sms",
            .root_id = "root",
            .queue = "coney.high",
            .retries = 2,
            .redelivered = true,
            .wants_rss = true,
            .soft_ms = 60000,
            .hard_ms = RECORD_NONE,
            .handler = RECORD_COMMAND,
            .command = {.argv = {argv_items, 3},
                    .directory = "/srv",
                    .environment = {environment_items, 1},
                    .ok_exit = {ok_items, 2},
                    .retry_exit = {retry_items, 1},
                    .max_output = 1 << 20,
                    .umask = 027},
            .body = {"[[1],{},null]", 13}};
}

static struct record_outcome full_outcome(void)
{
    return (struct record_outcome){.kind = RECORD_RETRY,
            .value = {"5", 1},
            .error_type = "SmsError",
            .error_text = "gateway said 503",
            .error_module = "shop.errors",
            .error_args = {"[503]", 5},
            .traceback = "line 1",
            .children = {"[]", 2},
            .no_result = true,
            .publish = {"[{}]", 4},
            .tasks = {"[\"a\"]", 5},
            .again = {"[[2], {}]", 9},
            .delay_ms = 1500,
            .max_retries = 7,
            .started_us = 1732110242123456,
            .duration_ms = 12,
            .rss_kib = 4096,
            .max_rss_kib = 8192,
            .exit_status = 75,
            .signal = 0,
            .stderr_tail = {"oh\0no", 5}};
}

static struct bytes bytes_of(const struct buffer *b)
{
    return (struct bytes){buffer_data(b), buffer_len(b)};
}

static void encode_job(const struct record_job *job, struct buffer *out)
{
    struct coney_error err;
    buffer_init(out, 1 << 20);
    assert_int_equal(record_job_encode(job, out, &err), CONEY_OK);
}

static void a_command_job_comes_back_whole(void **state)
{
    (void)state;
    struct record_job job = full_job(), back;
    struct buffer b;
    struct arena *arena = arena_new(0);
    encode_job(&job, &b);
    assert_int_equal(record_job_decode(bytes_of(&b), arena, &back, NULL), CONEY_OK);
    assert_string_equal(back.id, "7f3a");
    assert_string_equal(back.task, "notify.send_sms");
    assert_string_equal(back.root_id, "root");
    assert_null(back.parent_id);
    assert_string_equal(back.queue, "coney.high");
    assert_int_equal(back.retries, 2);
    assert_true(back.redelivered);
    assert_true(back.wants_rss);
    assert_int_equal(back.soft_ms, 60000);
    assert_int_equal(back.hard_ms, RECORD_NONE);
    assert_int_equal(back.handler, RECORD_COMMAND);
    assert_int_equal(back.command.argv.count, 3);
    assert_string_equal(back.command.argv.items[1], "--json");
    assert_string_equal(back.command.argv.items[2], "");
    assert_null(back.command.argv.items[3]); /* as exec wants it */
    assert_string_equal(back.command.directory, "/srv");
    assert_string_equal(back.command.environment.items[0], "LANG=C.UTF-8");
    assert_int_equal(back.command.ok_exit.count, 2);
    assert_int_equal(back.command.ok_exit.items[1], 3);
    assert_int_equal(back.command.retry_exit.items[0], 75);
    assert_int_equal(back.command.reject_exit.count, 0);
    assert_int_equal(back.command.max_output, 1 << 20);
    assert_int_equal(back.command.umask, 027);
    assert_int_equal(back.body.len, 13);
    assert_string_equal(back.body.data, "[[1],{},null]");
    arena_free(arena);
    buffer_fini(&b);
}

static void a_server_job_brings_its_context_along(void **state)
{
    (void)state;
    struct record_job job = full_job(), back;
    struct buffer b;
    struct arena *arena = arena_new(0);
    job.handler = RECORD_SERVER;
    job.command.start_ms = 60000;
    job.context = (struct bytes){"{\"eta\": null}", 13};
    encode_job(&job, &b);
    assert_int_equal(record_job_decode(bytes_of(&b), arena, &back, NULL), CONEY_OK);
    assert_int_equal(back.handler, RECORD_SERVER);
    assert_string_equal(back.command.argv.items[0], "/usr/bin/env");
    assert_string_equal(back.command.directory, "/srv");
    assert_int_equal(back.command.start_ms, 60000);
    assert_string_equal(back.context.data, "{\"eta\": null}");
    assert_string_equal(back.body.data, "[[1],{},null]");
    job.command.argv.count = 0;
    buffer_clear(&b);
    assert_int_equal(record_job_encode(&job, &b, NULL), CONEY_EINVAL);
    arena_free(arena);
    buffer_fini(&b);
}

static void an_outcome_comes_back_whole(void **state)
{
    (void)state;
    struct record_outcome o = full_outcome(), back;
    struct buffer b;
    buffer_init(&b, 1 << 20);
    assert_int_equal(record_outcome_encode(&o, &b, NULL), CONEY_OK);
    assert_int_equal(record_outcome_decode(bytes_of(&b), &back, NULL), CONEY_OK);
    assert_int_equal(back.kind, RECORD_RETRY);
    assert_string_equal(back.value.data, "5");
    assert_string_equal(back.error_type, "SmsError");
    assert_string_equal(back.error_text, "gateway said 503");
    assert_string_equal(back.error_module, "shop.errors");
    assert_string_equal(back.error_args.data, "[503]");
    assert_string_equal(back.traceback, "line 1");
    assert_string_equal(back.children.data, "[]");
    assert_true(back.no_result);
    assert_string_equal(back.publish.data, "[{}]");
    assert_string_equal(back.tasks.data, "[\"a\"]");
    assert_string_equal(back.again.data, "[[2], {}]");
    assert_int_equal(back.delay_ms, 1500);
    assert_int_equal(back.max_retries, 7);
    assert_int_equal(back.started_us, 1732110242123456);
    assert_int_equal(back.duration_ms, 12);
    assert_int_equal(back.rss_kib, 4096);
    assert_int_equal(back.max_rss_kib, 8192);
    assert_int_equal(back.exit_status, 75);
    assert_int_equal(back.stderr_tail.len, 5);
    assert_memory_equal(back.stderr_tail.data, "oh\0no", 5);
    buffer_fini(&b);
}

static void a_long_log_line_is_cut(void **state)
{
    (void)state;
    char text[RECORD_LOG_MAX + 100];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct record_log line = {LOG_LEVEL_WARNING, text}, back;
    struct buffer b;
    buffer_init(&b, 1 << 20);
    assert_int_equal(record_log_encode(&line, &b, NULL), CONEY_OK);
    assert_int_equal(record_log_decode(bytes_of(&b), &back, NULL), CONEY_OK);
    assert_int_equal(back.level, LOG_LEVEL_WARNING);
    assert_int_equal(strlen(back.text), RECORD_LOG_MAX);
    buffer_fini(&b);
}

static void what_must_be_there_is_asked_for_before_it_is_sent(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1 << 20);
    struct record_job job = full_job();
    job.task = NULL;
    assert_int_equal(record_job_encode(&job, &b, NULL), CONEY_EINVAL);
    job = full_job();
    job.command.argv.count = 0;
    assert_int_equal(record_job_encode(&job, &b, NULL), CONEY_EINVAL);
    job = full_job();
    job.command.umask = 01000;
    assert_int_equal(record_job_encode(&job, &b, NULL), CONEY_EINVAL);
    job = full_job();
    job.command.environment.count = RECORD_LIST_MAX + 1;
    assert_int_equal(record_job_encode(&job, &b, NULL), CONEY_EINVAL);

    struct record_outcome o = full_outcome();
    o.error_type = NULL;
    assert_int_equal(record_outcome_encode(&o, &b, NULL), CONEY_EINVAL);
    o.kind = RECORD_IGNORE;
    assert_int_equal(record_outcome_encode(&o, &b, NULL), CONEY_OK);
    o.stderr_tail = (struct bytes){"", RECORD_STDERR_MAX + 1};
    assert_int_equal(record_outcome_encode(&o, &b, NULL), CONEY_EINVAL);
    buffer_fini(&b);
}

static void a_record_above_the_maximum_is_refused(void **state)
{
    (void)state;
    struct record_job job = full_job();
    struct buffer b;
    buffer_init(&b, 100);
    assert_int_equal(record_job_encode(&job, &b, NULL), CONEY_ELIMIT);
    buffer_fini(&b);
}

/* Decode @len bytes from a block of exactly that size, so that a sanitizer sees every
 * byte read beyond it. */
static enum coney_rc decode_exactly(const uint8_t *data, size_t len, bool is_job)
{
    struct record_job job;
    struct record_outcome outcome;
    struct arena *arena = arena_new(0);
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    struct bytes in = {copy, len};
    enum coney_rc rc = is_job ? record_job_decode(in, arena, &job, NULL)
                              : record_outcome_decode(in, &outcome, NULL);
    free(copy);
    arena_free(arena);
    return rc;
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct record_job job = full_job();
    struct record_outcome o = full_outcome();
    struct buffer b;
    encode_job(&job, &b);
    for (size_t len = 0; len < buffer_len(&b); len++)
        assert_int_equal(decode_exactly(buffer_data(&b), len, true), CONEY_ESYNTAX);
    buffer_clear(&b);
    assert_int_equal(record_outcome_encode(&o, &b, NULL), CONEY_OK);
    for (size_t len = 0; len < buffer_len(&b); len++)
        assert_int_equal(decode_exactly(buffer_data(&b), len, false), CONEY_ESYNTAX);
    assert_int_equal(buffer_append(&b, "x", 1), CONEY_OK);
    assert_int_equal(
            decode_exactly(buffer_data(&b), buffer_len(&b), false), CONEY_ESYNTAX);
    buffer_fini(&b);
}

static void garbled_records_are_refused_or_harmless(void **state)
{
    (void)state;
    struct record_job job = full_job();
    struct record_outcome o = full_outcome();
    struct buffer jobs, outcomes;
    struct rng rng;
    unsigned refused = 0;
    rng_seed(&rng, 11);
    encode_job(&job, &jobs);
    buffer_init(&outcomes, 1 << 20);
    assert_int_equal(record_outcome_encode(&o, &outcomes, NULL), CONEY_OK);

    for (int i = 0; i < 20000; i++) {
        struct buffer *from = i % 2 ? &jobs : &outcomes;
        uint8_t garbled[1024];
        size_t len = buffer_len(from);
        memcpy(garbled, buffer_data(from), len);
        for (uint64_t n = rng_below(&rng, 4) + 1; n > 0; n--)
            garbled[rng_below(&rng, len)] = (uint8_t)rng_next(&rng);
        enum coney_rc rc = decode_exactly(garbled, len, i % 2);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX);
        refused += rc == CONEY_ESYNTAX;
    }
    assert_true(refused > 5000);
    buffer_fini(&jobs);
    buffer_fini(&outcomes);
}

static void a_text_with_a_zero_in_it_is_refused(void **state)
{
    (void)state;
    struct record_job job = full_job();
    struct buffer b;
    encode_job(&job, &b);
    assert_int_equal(buffer_data(&b)[4], '7'); /* the id, behind its length */
    buffer_data(&b)[5] = '\0';
    assert_int_equal(
            decode_exactly(buffer_data(&b), buffer_len(&b), true), CONEY_ESYNTAX);
    buffer_fini(&b);
}

static void decoding_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct record_job job = full_job(), back;
    struct buffer b;
    encode_job(&job, &b);
    struct arena *arena = arena_new(8); /* a page for each list */
    for (unsigned n = 1;; n++) {
        test_fail_allocation(n);
        enum coney_rc rc = record_job_decode(bytes_of(&b), arena, &back, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_OK);
        if (!failed)
            break;
    }
    arena_free(arena);
    buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_command_job_comes_back_whole),
            cmocka_unit_test(a_server_job_brings_its_context_along),
            cmocka_unit_test(an_outcome_comes_back_whole),
            cmocka_unit_test(a_long_log_line_is_cut),
            cmocka_unit_test(what_must_be_there_is_asked_for_before_it_is_sent),
            cmocka_unit_test(a_record_above_the_maximum_is_refused),
            cmocka_unit_test(a_record_cut_anywhere_is_refused),
            cmocka_unit_test(garbled_records_are_refused_or_harmless),
            cmocka_unit_test(a_text_with_a_zero_in_it_is_refused),
            cmocka_unit_test(decoding_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
