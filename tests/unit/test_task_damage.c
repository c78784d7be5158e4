/* SPDX-License-Identifier: MIT */
/*
 * test_task_damage.c - messages with flipped bytes, changed types and missing ends are
 * refused in an orderly way, and what is not refused may safely go round again.
 */
#include "base/rng.h"
#include "message/task.h"
#include "unit/poison_judge.h"

static void damage_body(struct envelope *e, struct rng *r)
{
    char *copy = arena_alloc(e->arena, e->body.len + 1);
    memcpy(copy, e->body.data, e->body.len);
    for (uint64_t n = rng_below(r, 4); n > 0 && e->body.len > 0; n--)
        copy[rng_below(r, e->body.len)] = (char)rng_next(r);
    e->body.data = copy;
    if (rng_below(r, 4) == 0)
        e->body.len = rng_below(r, e->body.len + 1);
}

static void damage_header(struct envelope *e, struct rng *r)
{
    static const char types[] = "VtbBsuIilfdDSxTFA";
    struct field *f = &e->headers.fields[rng_below(r, e->headers.count)];

    if (rng_below(r, 6) == 0) {
        e->headers.count -= rng_below(r, e->headers.count);
        return;
    }
    if (f->type == FIELD_STRING && rng_below(r, 2)) {
        struct bytes copy = arena_copy(e->arena, f->value.text);
        if (copy.len > 0)
            ((char *)(uintptr_t)copy.data)[rng_below(r, copy.len)] = (char)rng_next(r);
        f->value.text = copy;
        return;
    }
    f->type = (uint8_t)types[rng_below(r, sizeof(types) - 1)];
    memset(&f->value, 0, sizeof(f->value));
    if (f->type == FIELD_STRING || f->type == FIELD_BYTES)
        f->value.text = bytes_of(rng_below(r, 2) ? "2030-01-02T03:04:05" : "");
    else if (f->type == FIELD_TABLE || f->type == FIELD_ARRAY)
        f->value.table.count = 0;
    else if (f->type == FIELD_BOOL)
        f->value.boolean = rng_below(r, 2);
    else
        f->value.integer = rng_below(r, 2) ? (int64_t)rng_next(r) : 1;
}

/* Rows of the table that pass the decoder must not go round: those about names, times and
 * limits. What the body holds stays as its sender wrote it. */
static void assert_fit_to_go_round(const struct envelope *e)
{
    const struct table *h = &e->headers;
    int64_t retries;
    const struct field *limits = table_find(h, "timelimit");
    const struct field *expires = table_find(h, "expires");

    assert_true(table_text(h, "task").len > 0 && table_text(h, "id").len > 0);
    assert_true(table_integer(h, "retries", &retries) && retries >= 0);
    assert_null(time_flaw(h, "eta"));
    assert_string_equal(e->properties.content_type, "application/json");
    if (limits && limits->type != FIELD_VOID) {
        assert_int_equal(limits->type, FIELD_ARRAY);
        assert_int_not_equal(limits->value.table.count, 1);
    }
    if (expires && expires->type != FIELD_VOID) {
        assert_int_equal(expires->type, FIELD_STRING);
        assert_true(expires->value.text.len >= 19);
    }
}

static void damaged_messages_are_refused_cleanly_or_harmless(void **state)
{
    (void)state;
    enum { ROUNDS = 30000 };
    const struct message_limits limits = message_limits_default();
    const struct task_again again = {.retries = 1, .eta_us = 1795179833003744};
    struct rng rng;
    int fine = 0;

    rng_seed(&rng, 77);
    for (int i = 0; i < ROUNDS; i++) {
        struct envelope e = captured_task();
        struct task_request *r;
        struct envelope out;
        if (rng_below(&rng, 2))
            damage_body(&e, &rng);
        else
            for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
                damage_header(&e, &rng);
        enum coney_rc rc = task_decode(&e, &limits, &r, NULL);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX || rc == CONEY_ELIMIT);
        if (rc == CONEY_OK) {
            fine++;
            assert_int_equal(task_encode_again(&e, &again, &out, NULL), CONEY_OK);
            assert_fit_to_go_round(&out);
            envelope_fini(&out);
        }
        task_request_free(r);
        envelope_fini(&e);
    }
    assert_in_range(fine, ROUNDS / 10, ROUNDS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(damaged_messages_are_refused_cleanly_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
