/* SPDX-License-Identifier: MIT */
/*
 * test_task_poison.c - nothing a Python worker dies of, drops or fails comes out of us.
 *
 * First the judge has to condemn one message for each row of the table it was written
 * from; then random specs, many of them hostile, are encoded and judged.
 */
#include "base/rng.h"
#include "message/task.h"
#include "unit/poison_judge.h"

/* --- the judge judged ----------------------------------------------------------------
 */

typedef void (*spoil_fn)(struct envelope *e);

static void body_of_two(struct envelope *e)
{
    set_body(e, "[[], {}]", 8);
}

static void empty_body(struct envelope *e)
{
    set_body(e, "", 0);
}

static void no_id(struct envelope *e)
{
    table_remove(&e->headers, "id");
}

static void no_content_type(struct envelope *e)
{
    e->properties.content_type = NULL;
}

static void empty_eta(struct envelope *e)
{
    set_header(e, "eta", "");
}

static void eta_of_words(struct envelope *e)
{
    set_header(e, "eta", "tomorrow");
}

static void eta_as_number(struct envelope *e)
{
    set_integer_header(e, "eta", 5);
}

static void one_limit(struct envelope *e)
{
    struct field f = {.type = FIELD_I32};
    f.value.integer = 5;
    set_array_header(e, "timelimit", &f, 1);
}

static void charset(struct envelope *e)
{
    e->properties.content_type = "application/json; charset=utf-8";
}

static void body_not_json(struct envelope *e)
{
    set_body(e, "[[], {}, {}", 11);
}

static void body_not_utf8(struct envelope *e)
{
    set_body(e, "[[\"\xff\"], {}, " PLAIN_EMBED "]", strlen(PLAIN_EMBED) + 14);
}

static void unknown_compression(struct envelope *e)
{
    set_header(e, "compression", "nothing/known");
}

static void unknown_type(struct envelope *e)
{
    static const char body[] =
            "[[{\"__type__\": \"money\", \"__value__\": 1}], {}, " PLAIN_EMBED "]";
    set_body(e, body, strlen(body));
}

static void null_kwargs(struct envelope *e)
{
    static const char body[] = "[[], null, " PLAIN_EMBED "]";
    set_body(e, body, strlen(body));
}

static void null_args(struct envelope *e)
{
    static const char body[] = "[null, {}, " PLAIN_EMBED "]";
    set_body(e, body, strlen(body));
}

static void null_retries(struct envelope *e)
{
    set_header(e, "retries", NULL);
}

static void text_retries(struct envelope *e)
{
    set_header(e, "retries", "1");
}

static void signature_without_options(struct envelope *e)
{
    static const char body[] =
            "[[], {}, {\"callbacks\": [{\"task\": \"t\", \"args\": [], \"kwargs\": {}}], "
            "\"errbacks\": null, \"chain\": null, \"chord\": null}]";
    set_body(e, body, strlen(body));
}

static void callbacks_as_object(struct envelope *e)
{
    static const char body[] = "[[], {}, {\"callbacks\": {}, \"errbacks\": null, "
                               "\"chain\": null, \"chord\": null}]";
    set_body(e, body, strlen(body));
}

static void task_as_number(struct envelope *e)
{
    set_integer_header(e, "task", 5);
}

static void short_integer(struct envelope *e)
{
    struct field f = {.key = bytes_of("x"), .type = FIELD_I16};
    assert_int_equal(table_set(&e->headers, e->arena, &f), CONEY_OK);
}

static void no_change(struct envelope *e)
{
    (void)e;
}

static void the_judge_condemns_every_row_of_the_table(void **state)
{
    (void)state;
    static const spoil_fn rows[] = {body_of_two, empty_body, no_id, no_content_type,
            empty_eta, eta_of_words, eta_as_number, one_limit, charset, body_not_json,
            body_not_utf8, unknown_compression, unknown_type, null_kwargs, null_args,
            null_retries, text_retries, signature_without_options, callbacks_as_object,
            task_as_number, short_integer, no_change};
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

    for (size_t i = 0; i < ROWS; i++) {
        struct task_spec s = task_spec_none();
        struct envelope e;
        struct rng rng;
        rng_seed(&rng, i);
        s.task = "t";
        assert_int_equal(task_encode(&s, 0, &rng, &e, NULL), CONEY_OK);
        rows[i](&e);
        assert_int_equal(flaw(&e) == NULL, i == ROWS - 1);
        envelope_fini(&e);
    }
}

/* --- random specs --------------------------------------------------------------------
 */

static char long_name[300];

static const char *any_name(struct rng *r)
{
    static const char *const names[] = {"", "a", "proj.add", "\xff", "\xc3", "h\xc3\xa9",
            "\xf0\x9f\x98\x80", "\xed\xa0\x80", "line\nbreak", "\"quoted\\", "null", "0",
            "../../etc", "\x01\x7f", "%s%n", "\xef\xbb\xbf", "{\"__type__\": 1}"};
    size_t pick = rng_below(r, 24);
    if (pick < sizeof(names) / sizeof(names[0]))
        return names[pick];
    if (pick < 20)
        return NULL;
    return long_name + sizeof(long_name) - 1 - 253 - rng_below(r, 5);
}

static int64_t any_time(struct rng *r)
{
    static const int64_t times[] = {TASK_NO_TIME, TASK_NO_TIME, TASK_NO_TIME, 0, -1, 1,
            INT64_MAX, INT64_MIN + 1, TIME_MIN_US, TIME_MAX_US, TIME_MIN_US - 1,
            TIME_MAX_US + 1, 1795179833003744};
    size_t pick = rng_below(r, 20);
    if (pick < sizeof(times) / sizeof(times[0]))
        return times[pick];
    return (int64_t)rng_below(r, UINT64_C(4000000000000000));
}

static int64_t any_limit(struct rng *r)
{
    static const int64_t limits[] = {TASK_NONE, TASK_NONE, 0, 1, 999, 1000, 60000, 1500,
            -2, INT64_MAX, INT64_MIN, 1000000000000, 1000000000001};
    return limits[rng_below(r, rng_below(r, 2) ? 8 : sizeof(limits) / sizeof(limits[0]))];
}

static json_t *any_value(struct rng *r, int depth);

static json_t *any_text(struct rng *r)
{
    static const char *const texts[] = {"", "x", "h\xc3\xa9", "\xf0\x9f\x98\x80",
            "\n\t\"\\", "__type__", "__value__", "NaN", "\x7f", "2020-01-02"};
    if (rng_below(r, 60) == 0)
        return json_string_nocheck("\xff");
    if (rng_below(r, 20) == 0)
        return json_stringn("a\0b", 3);
    return json_string(texts[rng_below(r, sizeof(texts) / sizeof(texts[0]))]);
}

static json_t *any_object(struct rng *r, int depth)
{
    static const char *const keys[] = {"a", "task", "args", "kwargs", "options",
            "callbacks", "h\xc3\xa9", "", "__type__", "__value__"};
    static const char *const tags[] = {"date", "bytes", "uuid", "money", "decimal", ""};
    json_t *v = json_object();

    if (rng_below(r, 12) == 0) {
        json_object_set_new(v, "__type__", json_string(tags[rng_below(r, 6)]));
        json_object_set_new(v, "__value__", any_value(r, depth - 1));
        return v;
    }
    for (uint64_t n = rng_below(r, 4); n > 0; n--)
        json_object_set_new(v, keys[rng_below(r, 10)], any_value(r, depth - 1));
    return v;
}

static json_t *any_array(struct rng *r, int depth)
{
    json_t *v = json_array();
    for (uint64_t n = rng_below(r, 4); n > 0; n--)
        json_array_append_new(v, any_value(r, depth - 1));
    return v;
}

static json_t *any_value(struct rng *r, int depth)
{
    switch (rng_below(r, depth > 0 ? 9 : 6)) {
    case 0:
        return json_integer((json_int_t)rng_next(r));
    case 1:
        return json_real(rng_below(r, 2) ? 1.7976931348623157e308 : rng_unit(r));
    case 2:
        return json_null();
    case 3:
        return json_boolean(rng_below(r, 2));
    case 4:
    case 5:
        return any_text(r);
    case 6:
        return any_array(r, depth);
    default:
        return any_object(r, depth);
    }
}

static json_t *any_signature(struct rng *r)
{
    static const char *const keys[] = {"args", "kwargs", "options"};
    json_t *v =
            json_pack("{s:s,s:[],s:{},s:{}}", "task", "t", "args", "kwargs", "options");
    size_t pick = rng_below(r, 20);
    if (pick < 3)
        json_object_del(v, keys[pick]);
    return v;
}

static json_t *any_embed(struct rng *r)
{
    static const char *const keys[] = {
            "callbacks", "errbacks", "chain", "chord", "extra"};
    json_t *v = json_object();

    if (rng_below(r, 30) == 0) {
        json_decref(v);
        return any_value(r, 1);
    }
    for (uint64_t n = rng_below(r, 3); n > 0; n--) {
        size_t key = rng_below(r, rng_below(r, 30) ? 4 : 5);
        json_t *s = any_signature(r);
        bool is_list = key < 3;
        if (rng_below(r, 15) == 0)
            is_list = !is_list;
        json_object_set_new(v, keys[key], is_list ? json_pack("[o]", s) : s);
    }
    return v;
}

static void any_headers(struct rng *r, struct envelope *e)
{
    static const char types[] = "VtIldSSFAbBsuifDxT";
    static const char *const keys[] = {"x-custom", "tenant", "h\xc3\xa9", "coney-x",
            "task", "chord", "CC", "x-death", "", "\xff", "compression"};

    for (uint64_t n = rng_below(r, 3); n > 0; n--) {
        size_t key = rng_below(r, rng_below(r, 8) ? 4 : sizeof(keys) / sizeof(keys[0]));
        struct field f = {.key = bytes_of(keys[key]),
                .type = (uint8_t)types[rng_below(r, rng_below(r, 8) ? 9 : 18)]};
        if (f.type == FIELD_STRING || f.type == FIELD_BYTES)
            f.value.text = bytes_of(rng_below(r, 20) ? "text" : "\xff");
        else if (f.type == FIELD_TABLE || f.type == FIELD_ARRAY)
            f.value.table = e->headers;
        else if (f.type == FIELD_F32 || f.type == FIELD_F64)
            f.value.number = rng_unit(r);
        else
            f.value.integer = (int64_t)rng_next(r);
        assert_int_equal(table_append(&e->headers, e->arena, &f), CONEY_OK);
    }
}

/* Mostly ordinary, so that many come through; each oddity in a share of its own. */
static struct task_spec any_spec(struct rng *r, struct envelope *headers)
{
    struct task_spec s = task_spec_none();
    const char **const names[] = {&s.id, &s.task, &s.group, &s.root_id, &s.parent_id,
            &s.shadow, &s.reply_to, &s.origin, &s.app_id};

    s.task = "proj.add";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (rng_below(r, 6) == 0)
            *names[i] = any_name(r);
    if (rng_below(r, 3) == 0)
        s.eta_us = any_time(r);
    if (rng_below(r, 3) == 0)
        s.expires_us = any_time(r);
    if (rng_below(r, 3) == 0)
        s.time_limit_ms = any_limit(r);
    if (rng_below(r, 3) == 0)
        s.soft_time_limit_ms = any_limit(r);
    if (rng_below(r, 4) == 0)
        s.group_index = any_limit(r);
    s.priority = (int)rng_below(r, rng_below(r, 10) ? 257 : 300) - 1;
    s.ignore_result = (enum task_ignore_result)rng_below(r, rng_below(r, 20) ? 3 : 4);
    if (rng_below(r, 2))
        s.args = rng_below(r, 20) ? any_array(r, 4) : any_value(r, 2);
    if (rng_below(r, 2))
        s.kwargs = rng_below(r, 20) ? any_object(r, 4) : any_value(r, 2);
    if (rng_below(r, 3) == 0)
        s.embed = any_embed(r);
    if (rng_below(r, 3) == 0)
        any_headers(r, headers);
    s.headers = &headers->headers;
    return s;
}

static void drop(const json_t *v)
{
    json_decref((json_t *)(uintptr_t)v);
}

static bool same_text(const char *a, const char *b)
{
    return !a || *a == '\0' ? !b : b && strcmp(a, b) == 0;
}

/* What was asked for must be what a worker reads. */
static void assert_same(const struct task_spec *s, const struct task_request *r)
{
    json_t *empty_array = json_array();
    json_t *empty_object = json_object();

    assert_true(!s->id || same_text(s->id, r->id));
    assert_string_equal(s->task, r->task);
    assert_true(same_text(s->shadow, r->shadow));
    if (!s->root_id)
        assert_string_equal(r->root_id, r->id);
    else
        assert_true(same_text(s->root_id, r->root_id));
    assert_true(same_text(s->parent_id, r->parent_id));
    assert_true(same_text(s->group, r->group));
    assert_true(same_text(s->origin, r->origin));
    assert_true(same_text(s->reply_to, r->reply_to));
    assert_string_equal(r->correlation_id, r->id);
    assert_true(s->eta_us == r->eta_us);
    assert_true(s->expires_us == r->expires_us);
    assert_int_equal(s->time_limit_ms, r->time_limit_ms);
    assert_int_equal(s->soft_time_limit_ms, r->soft_time_limit_ms);
    assert_int_equal(s->group_index, r->group_index);
    assert_int_equal(s->ignore_result, r->ignore_result);
    assert_int_equal(r->retries, 0);
    assert_true(json_equal(s->args ? s->args : empty_array, r->args));
    assert_true(json_equal(s->kwargs ? s->kwargs : empty_object, r->kwargs));
    assert_int_equal(json_object_size(r->embed), 4);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)s->embed, key, v)
            assert_true(json_equal(v, json_object_get(r->embed, key)));
    json_decref(empty_array);
    json_decref(empty_object);
}

static struct task_request *decoded(const struct envelope *e)
{
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    struct coney_error err;
    if (task_decode(e, &limits, &r, &err) != CONEY_OK)
        fail_msg("%s: %s", err.text, (const char *)e->body.data);
    return r;
}

static void assert_harmless(const struct envelope *e)
{
    const char *found = flaw(e);
    if (found)
        fail_msg("%s: %s", found, (const char *)e->body.data);
}

/* Encoded, judged, decoded, sent round again, judged again. */
static void follow(const struct task_spec *s, const struct envelope *e, struct rng *rng)
{
    struct envelope out;
    struct task_again again = {
            .retries = (int64_t)rng_below(rng, (uint64_t)INT32_MAX + 1),
            .eta_us = rng_below(rng, 2) ? TASK_NO_TIME : 1795179833003744};

    assert_harmless(e);
    struct task_request *r = decoded(e);
    assert_same(s, r);
    task_request_free(r);
    assert_int_equal(task_encode_again(e, &again, &out, NULL), CONEY_OK);
    assert_harmless(&out);
    r = decoded(&out);
    assert_int_equal(r->retries, again.retries);
    assert_true(r->eta_us == again.eta_us);
    task_request_free(r);
    envelope_fini(&out);
}

static void whatever_is_asked_for_nothing_harmful_comes_out(void **state)
{
    (void)state;
    enum { SPECS = 6000 };
    struct rng rng;
    int sent = 0;

    memset(long_name, 'n', sizeof(long_name) - 1);
    rng_seed(&rng, 2026);
    for (int i = 0; i < SPECS; i++) {
        struct envelope headers;
        struct envelope e;
        struct coney_error err = {.text = ""};
        assert_int_equal(envelope_init(&headers), CONEY_OK);
        struct task_spec s = any_spec(&rng, &headers);
        enum coney_rc rc = task_encode(&s, 1795179833003744, &rng, &e, &err);
        if (rc == CONEY_OK) {
            sent++;
            follow(&s, &e, &rng);
        } else {
            assert_true(rc == CONEY_EINVAL || rc == CONEY_ELIMIT);
            assert_string_not_equal(err.text, "");
        }
        envelope_fini(&e);
        envelope_fini(&headers);
        drop(s.args);
        drop(s.kwargs);
        drop(s.embed);
    }
    /* Both sides must have been seen often for this to mean anything. */
    assert_in_range(sent, SPECS / 5, SPECS * 4 / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_judge_condemns_every_row_of_the_table),
            cmocka_unit_test(whatever_is_asked_for_nothing_harmful_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
