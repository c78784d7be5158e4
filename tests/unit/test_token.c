/* SPDX-License-Identifier: MIT */
/* test_token.c - the token's body: what is written comes back, what is not ours does not.
 */
#include "beat/token.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH "5e0d6c0b-7a42-4c55-9d0b-0c3f6a1e8b27"

static struct token *sample(void)
{
    struct token *t;
    assert_int_equal(token_new(2, &t), CONEY_OK);
    t->rank = (struct token_rank){.epoch = 4, .seq = 17};
    t->watermark_us = 1795184640000000;
    t->entries[0] = (struct token_entry){
            .name = "weekly \"r\xc3\xa9sum\xc3\xa9\"", .seen_us = 5, .mark_us = 9};
    t->entries[1] = (struct token_entry){
            .name = "nightly", .seen_us = 7, .mark_us = TOKEN_NO_MARK};
    strcpy(t->entries[0].hash, HASH);
    strcpy(t->entries[1].hash, HASH);
    return t;
}

static enum coney_rc decode(const char *text, struct token **out, struct coney_error *err)
{
    return token_decode((struct bytes){.data = text, .len = strlen(text)}, out, err);
}

static void what_is_written_comes_back(void **state)
{
    (void)state;
    struct token *t = sample(), *back = NULL;
    struct buffer body;

    buffer_init(&body, TOKEN_SIZE_MAX);
    assert_int_equal(token_encode(t, &body), CONEY_OK);
    struct bytes bytes = {.data = buffer_data(&body), .len = buffer_len(&body)};
    assert_int_equal(token_decode(bytes, &back, NULL), CONEY_OK);
    assert_true(back->rank.epoch == 4 && back->rank.seq == 17);
    assert_true(back->watermark_us == t->watermark_us);
    assert_int_equal(back->count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct token_entry *e = token_find(back, t->entries[i].name);
        assert_non_null(e);
        assert_string_equal(e->hash, HASH);
        assert_true(e->seen_us == t->entries[i].seen_us);
        assert_true(e->mark_us == t->entries[i].mark_us);
    }
    assert_null(token_find(back, "monthly"));
    token_free(back);
    token_free(t);
    buffer_fini(&body);
}

static void the_later_epoch_counts_then_the_greater_seq(void **state)
{
    (void)state;
    const struct token_rank old = {.epoch = 1, .seq = 900},
                            young = {.epoch = 2, .seq = 1},
                            younger = {.epoch = 2, .seq = 2};
    assert_true(token_rank_compare(old, young) < 0);
    assert_true(token_rank_compare(young, old) > 0);
    assert_true(token_rank_compare(young, younger) < 0);
    assert_true(token_rank_compare(younger, young) > 0);
    assert_int_equal(token_rank_compare(young, young), 0);
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
            "",
            "token",
            "[]",
            "7",
            "{}",
            "{\"version\": 0, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, \"entries\": {}}",
            "{\"version\": \"1\", \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, "
            "\"entries\": {}}",
            "{\"version\": 1, \"epoch\": -1, \"seq\": 1, \"watermark_us\": 1, \"entries\": {}}",
            "{\"version\": 1, \"epoch\": 1.5, \"seq\": 1, \"watermark_us\": 1, "
            "\"entries\": {}}",
            "{\"version\": 1, \"epoch\": 9223372036854775807, \"seq\": 1, "
            "\"watermark_us\": 1, \"entries\": {}}",
            "{\"version\": 1, \"epoch\": 1, \"watermark_us\": 1, \"entries\": {}}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": "
            "9223372036854775807, \"entries\": {}}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, \"entries\": []}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, "
            "\"entries\": {\"a\": 1}}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, "
            "\"entries\": {\"a\": {\"hash\": \"short\", \"seen_us\": 1}}}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, "
            "\"entries\": {\"a\": {\"hash\": \"" HASH "\"}}}",
            "{\"version\": 1, \"epoch\": 1, \"seq\": 1, \"watermark_us\": 1, "
            "\"entries\": {\"a\": {\"hash\": \"" HASH "\", \"seen_us\": 1, \"mark_us\": "
            "\"x\"}}}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct coney_error err = {.rc = CONEY_OK};
        struct token *t = (struct token *)&err; /* must be cleared */
        assert_int_equal(decode(bad[i], &t, &err), CONEY_ESYNTAX);
        assert_null(t);
        assert_int_equal(err.rc, CONEY_ESYNTAX);
        assert_true(err.text[0] != '\0');
    }
}

static void what_is_too_deep_or_too_large_is_refused(void **state)
{
    (void)state;
    struct token *t;
    assert_int_equal(
            decode("{\"version\": 1, \"entries\": {\"a\": {\"hash\": [1]}}}", &t, NULL),
            CONEY_ELIMIT);

    size_t size = TOKEN_SIZE_MAX + 2;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size - 1);
    text[size - 1] = '\0';
    assert_int_equal(decode(text, &t, NULL), CONEY_ELIMIT);
    free(text);
}

static void a_later_version_is_told_from_rubbish(void **state)
{
    (void)state;
    struct coney_error err;
    struct token *t;
    assert_int_equal(
            decode("{\"version\": 2, \"shards\": [1]}", &t, &err), CONEY_EREFUSED);
    assert_non_null(strstr(err.text, "version 2"));
}

static void no_more_is_written_than_can_be_read(void **state)
{
    (void)state;
    static char names[TOKEN_ENTRIES_MAX + 1][16];
    struct token *t, *back = NULL;
    struct buffer body;

    buffer_init(&body, TOKEN_SIZE_MAX + 1);
    assert_int_equal(token_new(TOKEN_ENTRIES_MAX + 1, &t), CONEY_OK);
    for (size_t i = 0; i < t->count; i++) {
        snprintf(names[i], sizeof(names[i]), "entry-%zu", i);
        t->entries[i] =
                (struct token_entry){.name = names[i], .seen_us = 1, .mark_us = 2};
        strcpy(t->entries[i].hash, HASH);
    }
    assert_int_equal(token_encode(t, &body), CONEY_ELIMIT);
    t->count--;
    assert_int_equal(token_encode(t, &body), CONEY_OK);
    struct bytes bytes = {.data = buffer_data(&body), .len = buffer_len(&body)};
    assert_int_equal(token_decode(bytes, &back, NULL), CONEY_OK);
    assert_int_equal(back->count, TOKEN_ENTRIES_MAX);
    token_free(back);
    token_free(t);
    buffer_fini(&body);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char text[] = "{\"version\": 1, \"epoch\": 1, \"seq\": 1, "
                               "\"watermark_us\": 1, \"entries\": {\"a\": {\"hash\": "
                               "\"" HASH "\", \"seen_us\": 1}}}";
    for (unsigned n = 1;; n++) {
        struct token *t;
        test_fail_allocation(n);
        enum coney_rc rc = decode(text, &t, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_true((rc == CONEY_OK) == (t != NULL));
        token_free(t);
        if (!failed)
            break;
        assert_true(rc == CONEY_ENOMEM || rc == CONEY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_written_comes_back),
            cmocka_unit_test(the_later_epoch_counts_then_the_greater_seq),
            cmocka_unit_test(what_is_no_token_is_refused),
            cmocka_unit_test(what_is_too_deep_or_too_large_is_refused),
            cmocka_unit_test(a_later_version_is_told_from_rubbish),
            cmocka_unit_test(no_more_is_written_than_can_be_read),
            cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
