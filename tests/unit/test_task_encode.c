/* SPDX-License-Identifier: MIT */
/* test_task_encode.c - a new task looks like Celery's own, or is refused by field. */
#include "message/task.h"
#include "unit/messages.h"

#include <stdlib.h>

#define NOW_US INT64_C(1795179833003744) /* 2026-11-20T13:03:53.003744Z */

static struct envelope encoded(const struct task_spec *s)
{
    struct envelope e;
    struct rng rng;
    struct coney_error err;
    rng_seed(&rng, 1);
    if (task_encode(s, NOW_US, &rng, &e, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return e;
}

/* The refusal's text must name @word. */
static void assert_refused(const struct task_spec *s, enum coney_rc rc, const char *word)
{
    struct envelope e;
    struct rng rng;
    struct coney_error err = {.text = ""};
    rng_seed(&rng, 1);
    assert_int_equal(task_encode(s, NOW_US, &rng, &e, &err), rc);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not name %s", err.text, word);
    assert_null(e.arena);
    envelope_fini(&e);
}

static struct task_spec plain_spec(void)
{
    struct task_spec s = task_spec_none();
    s.task = "proj.add";
    return s;
}

static const struct field *header(const struct envelope *e, size_t i)
{
    assert_true(i < e->headers.count);
    return &e->headers.fields[i];
}

/* Name and wire type of each header, in Celery's order. */
static void the_headers_are_celerys_in_order_and_type(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        char type;
    } rows[] = {{"lang", 'S'}, {"task", 'S'}, {"id", 'S'}, {"shadow", 'V'}, {"eta", 'V'},
            {"expires", 'V'}, {"group", 'V'}, {"group_index", 'V'}, {"retries", 'I'},
            {"timelimit", 'A'}, {"root_id", 'S'}, {"parent_id", 'V'}, {"argsrepr", 'S'},
            {"kwargsrepr", 'S'}, {"origin", 'V'}, {"ignore_result", 'V'},
            {"replaced_task_nesting", 'I'}, {"stamped_headers", 'V'}, {"stamps", 'F'}};
    struct task_spec s = plain_spec();
    struct envelope e = encoded(&s);

    assert_int_equal(e.headers.count, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < e.headers.count; i++) {
        assert_int_equal(header(&e, i)->key.len, strlen(rows[i].name));
        assert_memory_equal(header(&e, i)->key.data, rows[i].name, strlen(rows[i].name));
        assert_int_equal(header(&e, i)->type, rows[i].type);
    }
    assert_string_equal(table_text(&e.headers, "lang").data, "c");
    assert_string_equal(table_text(&e.headers, "argsrepr").data, "()");
    const struct table *limits = &table_find(&e.headers, "timelimit")->value.table;
    assert_int_equal(limits->count, 2);
    assert_int_equal(limits->fields[0].type, FIELD_VOID);
    assert_int_equal(limits->fields[1].type, FIELD_VOID);
    envelope_fini(&e);
}

static void the_properties_serve_python_and_people(void **state)
{
    (void)state;
    struct task_spec s = plain_spec();
    struct envelope e = encoded(&s);
    const struct properties *p = &e.properties;
    const char *id = table_text(&e.headers, "id").data;

    assert_int_equal(strlen(id), 36);
    assert_string_equal(p->content_type, "application/json");
    assert_string_equal(p->content_encoding, "utf-8");
    assert_string_equal(p->correlation_id, id);
    assert_string_equal(p->message_id, id);
    assert_string_equal(table_text(&e.headers, "root_id").data, id);
    assert_string_equal(p->reply_to, "");
    assert_string_equal(p->type, "proj.add");
    assert_string_equal(p->app_id, "coney");
    assert_int_equal(p->delivery_mode, DELIVERY_PERSISTENT);
    assert_int_equal(p->priority, -1);
    assert_int_equal(p->timestamp_s, 1795179833);
    assert_null(p->expiration);
    assert_null(p->user_id);
    envelope_fini(&e);
}

static void the_body_is_pythons_text(void **state)
{
    (void)state;
    struct task_spec s = plain_spec();
    json_t *args = json_pack("[i,s]", 2, "h\xc3\xa9");
    json_t *kwargs = json_pack("{s:{s:n}}", "y", "z");
    struct envelope e = encoded(&s);
    assert_string_equal(e.body.data, "[[], {}, " PLAIN_EMBED "]");
    envelope_fini(&e);
    s.args = args;
    s.kwargs = kwargs;
    e = encoded(&s);
    assert_string_equal(
            e.body.data, "[[2, \"h\\u00E9\"], {\"y\": {\"z\": null}}, " PLAIN_EMBED "]");
    assert_int_equal(e.body.len, strlen(e.body.data));
    assert_string_equal(table_text(&e.headers, "argsrepr").data, "(2, 'h\xc3\xa9')");
    assert_string_equal(table_text(&e.headers, "kwargsrepr").data, "{'y': {'z': None}}");
    envelope_fini(&e);
    json_decref(args);
    json_decref(kwargs);
}

static void every_option_is_written(void **state)
{
    (void)state;
    struct envelope user;
    struct task_spec s = plain_spec();
    assert_int_equal(envelope_init(&user), CONEY_OK);
    set_header(&user, "x-custom", "v1");
    s.id = "the-id";
    s.eta_us = NOW_US + 3600 * INT64_C(1000000);
    s.expires_us = NOW_US + 7200 * INT64_C(1000000);
    s.time_limit_ms = 60000;
    s.soft_time_limit_ms = 50500;
    s.group_index = 4;
    s.group = "g";
    s.root_id = "r";
    s.parent_id = "p";
    s.shadow = "my.alias";
    s.reply_to = "q";
    s.origin = "gen1@host";
    s.app_id = "shop";
    s.priority = 5;
    s.ignore_result = TASK_RESULT_IGNORE;
    s.headers = &user.headers;
    struct envelope e = encoded(&s);
    const struct table *h = &e.headers;
    assert_string_equal(table_text(h, "id").data, "the-id");
    assert_string_equal(table_text(h, "eta").data, "2026-11-20T14:03:53.003744+00:00");
    assert_string_equal(
            table_text(h, "expires").data, "2026-11-20T15:03:53.003744+00:00");
    assert_string_equal(table_text(h, "group").data, "g");
    assert_int_equal(table_find(h, "group_index")->value.integer, 4);
    assert_string_equal(table_text(h, "root_id").data, "r");
    assert_string_equal(table_text(h, "parent_id").data, "p");
    assert_string_equal(table_text(h, "shadow").data, "my.alias");
    assert_string_equal(table_text(h, "origin").data, "gen1@host");
    assert_string_equal(table_text(h, "x-custom").data, "v1");
    assert_true(table_find(h, "ignore_result")->value.boolean);
    const struct table *limits = &table_find(h, "timelimit")->value.table;
    assert_int_equal(limits->fields[0].type, FIELD_I32);
    assert_int_equal(limits->fields[0].value.integer, 60);
    assert_int_equal(limits->fields[1].type, FIELD_F64);
    assert_true(limits->fields[1].value.number == 50.5);
    assert_string_equal(e.properties.expiration, "7200000");
    assert_string_equal(e.properties.reply_to, "q");
    assert_string_equal(e.properties.app_id, "shop");
    assert_int_equal(e.properties.priority, 5);
    envelope_fini(&e);
    envelope_fini(&user);
}

static void keeping_the_result_is_said_as_false(void **state)
{
    (void)state;
    struct task_spec s = plain_spec();
    s.ignore_result = TASK_RESULT_KEEP;
    struct envelope e = encoded(&s);
    const struct field *f = table_find(&e.headers, "ignore_result");
    assert_int_equal(f->type, FIELD_BOOL);
    assert_false(f->value.boolean);
    envelope_fini(&e);
}

static void the_expiration_is_whole_seconds_and_never_negative(void **state)
{
    (void)state;
    static const struct {
        int64_t after_us;
        const char *text; /* NULL: left out */
    } rows[] = {{0, "0"}, {-1, "0"}, {-INT64_C(3600000000), "0"}, {999999, "0"},
            {1000000, "1000"}, {1999999, "1000"},
            {INT64_C(315360000000000), "315360000000"}, {INT64_C(315360001000000), NULL},
            {TIME_MAX_US - NOW_US, NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct task_spec s = plain_spec();
        s.expires_us = NOW_US + rows[i].after_us;
        struct envelope e = encoded(&s);
        if (rows[i].text)
            assert_string_equal(e.properties.expiration, rows[i].text);
        else
            assert_null(e.properties.expiration);
        assert_int_equal(table_find(&e.headers, "expires")->type, FIELD_STRING);
        envelope_fini(&e);
    }
}

static void each_bad_name_is_refused_by_field(void **state)
{
    (void)state;
    char large[257];
    memset(large, 'x', 256);
    large[256] = '\0';
    const char *const bad[] = {large, "\xff", "cut \xe2\x82"};
    struct task_spec spec = plain_spec();
    struct {
        const char **field;
        const char *name;
    } rows[] = {{&spec.id, "id"}, {&spec.task, "task"}, {&spec.group, "group"},
            {&spec.root_id, "root_id"}, {&spec.parent_id, "parent_id"},
            {&spec.shadow, "shadow"}, {&spec.reply_to, "reply_to"},
            {&spec.origin, "origin"}, {&spec.app_id, "app_id"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            *rows[i].field = bad[k];
            assert_refused(&spec, CONEY_EINVAL, rows[i].name);
        }
        *rows[i].field = large + 1; /* 255 bytes are fine */
        struct envelope e = encoded(&spec);
        envelope_fini(&e);
        spec = plain_spec();
    }
    spec.task = "";
    assert_refused(&spec, CONEY_EINVAL, "task");
    spec.task = NULL;
    assert_refused(&spec, CONEY_EINVAL, "task");
    spec = plain_spec();
    spec.id = "";
    assert_refused(&spec, CONEY_EINVAL, "id");
}

static void each_bad_number_is_refused_by_field(void **state)
{
    (void)state;
    struct task_spec spec = plain_spec();
    struct {
        int64_t *field;
        const char *name;
        int64_t bad[3];
    } rows[] = {{&spec.eta_us, "eta", {INT64_MAX, TIME_MAX_US + 1, TIME_MIN_US - 1}},
            {&spec.expires_us, "expires", {INT64_MAX, TIME_MAX_US + 1, TIME_MIN_US - 1}},
            {&spec.time_limit_ms, "time_limit", {0, -2, INT64_MAX}},
            {&spec.soft_time_limit_ms, "soft_time_limit", {0, -2, INT64_MAX}},
            {&spec.group_index, "group_index", {-2, INT64_MIN, INT64_MAX}}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < 3; k++) {
            *rows[i].field = rows[i].bad[k];
            assert_refused(&spec, CONEY_EINVAL, rows[i].name);
        }
        spec = plain_spec();
    }
    spec.priority = 256;
    assert_refused(&spec, CONEY_EINVAL, "priority");
    spec.priority = -2;
    assert_refused(&spec, CONEY_EINVAL, "priority");
    spec = plain_spec();
    spec.ignore_result = (enum task_ignore_result)9;
    assert_refused(&spec, CONEY_EINVAL, "ignore_result");
}

/* An array of @levels arrays inside one another. */
static json_t *nested(unsigned levels)
{
    json_t *v = json_array();
    while (--levels > 0)
        v = json_pack("[o]", v);
    return v;
}

static void bad_json_is_refused_by_place(void **state)
{
    (void)state;
    struct task_spec s = plain_spec();
    json_t *array = json_pack("[{s:s,s:i}]", "__type__", "money", "__value__", 1);
    json_t *object = json_pack("{s:O}", "x", array);
    json_t *embed = json_pack("{s:[{s:s}]}", "callbacks", "task", "t");

    s.args = object;
    assert_refused(&s, CONEY_EINVAL, "args");
    s.args = array;
    assert_refused(&s, CONEY_EINVAL, "args: __type__ \"money\"");
    s.args = NULL;
    s.kwargs = array;
    assert_refused(&s, CONEY_EINVAL, "kwargs");
    s.kwargs = object;
    assert_refused(&s, CONEY_EINVAL, "kwargs: __type__ \"money\"");
    s.kwargs = NULL;
    s.embed = embed;
    assert_refused(&s, CONEY_EINVAL, "callbacks[0]");
    s.embed = object;
    assert_refused(&s, CONEY_EINVAL, "embed");
    json_decref(array);
    json_decref(object);
    json_decref(embed);
}

static void what_is_encoded_is_within_the_decoders_limits(void **state)
{
    (void)state;
    struct task_spec s = plain_spec();
    struct message_limits limits = message_limits_default();
    struct task_request *r;

    json_t *deepest = nested(limits.depth_max - 1);
    s.args = deepest;
    struct envelope e = encoded(&s);
    assert_int_equal(task_decode(&e, &limits, &r, NULL), CONEY_OK);
    task_request_free(r);
    envelope_fini(&e);
    json_decref(deepest);
    json_t *deeper = nested(limits.depth_max);
    s.args = deeper;
    assert_refused(&s, CONEY_ELIMIT, "args");
    json_decref(deeper);

    char *large = malloc(limits.body_max + 1);
    memset(large, 'x', limits.body_max);
    large[limits.body_max] = '\0';
    json_t *largest = json_pack("[s]", large);
    s.args = largest;
    assert_refused(&s, CONEY_ELIMIT, "16777216");
    json_decref(largest);
    free(large);
}

static void a_users_header_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"task", "chord", "update", "x-death", "CC", ""};
    struct task_spec s = plain_spec();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct envelope user;
        assert_int_equal(envelope_init(&user), CONEY_OK);
        set_header(&user, bad[i], "x");
        s.headers = &user.headers;
        assert_refused(&s, CONEY_EINVAL, bad[i]);
        envelope_fini(&user);
    }
    struct field f = {.key = bytes_of("when"), .type = FIELD_TIME};
    struct table t = {.fields = &f, .count = 1, .capacity = 1};
    s.headers = &t;
    assert_refused(&s, CONEY_EINVAL, "header \"when\"");
}

static void a_clock_that_is_ages_off_is_not_written_down(void **state)
{
    (void)state;
    static const int64_t odd[] = {-1, TIME_MAX_US + 1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct task_spec s = plain_spec();
        struct envelope e;
        struct rng rng;
        rng_seed(&rng, 1);
        s.expires_us = 0;
        assert_int_equal(task_encode(&s, odd[i], &rng, &e, NULL), CONEY_OK);
        assert_int_equal(e.properties.timestamp_s, -1);
        assert_true(e.properties.expiration == NULL || odd[i] == -1);
        envelope_fini(&e);
    }
}

static void encoding_says_when_memory_is_short(void **state)
{
    (void)state;
    struct task_spec s = plain_spec();
    struct rng rng;
    char *large = malloc(6001);
    memset(large, 'x', 6000);
    large[6000] = '\0';
    json_t *args = json_pack("[s]", large);
    s.args = args;
    rng_seed(&rng, 1);
    for (unsigned n = 1;; n++) {
        struct envelope e;
        test_fail_allocation(n);
        enum coney_rc rc = task_encode(&s, NOW_US, &rng, &e, NULL);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        envelope_fini(&e);
        if (!has_failed) {
            assert_true(n > 5);
            break;
        }
    }
    json_decref(args);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_headers_are_celerys_in_order_and_type),
            cmocka_unit_test(the_properties_serve_python_and_people),
            cmocka_unit_test(the_body_is_pythons_text),
            cmocka_unit_test(every_option_is_written),
            cmocka_unit_test(keeping_the_result_is_said_as_false),
            cmocka_unit_test(the_expiration_is_whole_seconds_and_never_negative),
            cmocka_unit_test(each_bad_name_is_refused_by_field),
            cmocka_unit_test(each_bad_number_is_refused_by_field),
            cmocka_unit_test(bad_json_is_refused_by_place),
            cmocka_unit_test(what_is_encoded_is_within_the_decoders_limits),
            cmocka_unit_test(a_users_header_is_refused_by_name),
            cmocka_unit_test(a_clock_that_is_ages_off_is_not_written_down),
            cmocka_unit_test(encoding_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
