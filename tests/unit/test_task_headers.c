/* SPDX-License-Identifier: MIT */
/* test_task_headers.c - each header in every type it may, and may not, have. */
#include "message/task_headers.h"
#include "unit/messages.h"

#include <math.h>
#include <stdio.h>

/* The result of reading the captured task with @f in place of its own. */
static enum coney_rc read_with(
        const struct field *f, struct task_request *r, struct coney_error *err)
{
    struct envelope e = captured_task();
    assert_int_equal(table_set(&e.headers, e.arena, f), CONEY_OK);
    *r = (struct task_request){.arena = arena_new(0)};
    enum coney_rc rc = task_headers_read(&e, 255, r, err);
    arena_free(r->arena);
    envelope_fini(&e);
    return rc;
}

static struct field of_type(const char *key, char type)
{
    struct field f = {.key = bytes_of(key), .type = (uint8_t)type};
    if (type == 'S' || type == 'x')
        f.value.text = bytes_of("text");
    return f;
}

/* @name is taken as each of the field types @fine, and refused by name as any other. */
static void assert_types(const char *name, const char *fine)
{
    for (const char *type = "VtbBsuIilfdDSxTFA"; *type; type++) {
        struct task_request r;
        struct coney_error err = {.text = ""};
        struct field f = of_type(name, *type);
        bool is_fine = strchr(fine, *type) != NULL;
        enum coney_rc rc = read_with(&f, &r, &err);
        if (rc != (is_fine ? CONEY_OK : CONEY_ESYNTAX))
            fail_msg("%s as %c: %s %s", name, *type, coney_rc_name(rc), err.text);
        assert_true(is_fine || strstr(err.text, name));
    }
}

static void each_header_takes_its_types_and_no_others(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"task", "S"}, {"id", "S"}, {"shadow", "SV"},
            {"root_id", "SV"}, {"parent_id", "SV"}, {"group", "SV"}, {"origin", "SV"},
            {"eta", "V"}, {"expires", "V"}, {"retries", "VbBsuIil"},
            {"group_index", "VbBsuIil"}, {"ignore_result", "Vt"}, {"timelimit", "VA"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_types(rows[i][0], rows[i][1]);
}

static void retries_and_group_index_have_a_range(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        enum coney_rc rc;
    } rows[] = {{0, CONEY_OK}, {1, CONEY_OK}, {INT32_MAX, CONEY_OK}, {-1, CONEY_ESYNTAX},
            {INT32_MAX + INT64_C(1), CONEY_ESYNTAX}, {INT64_MIN, CONEY_ESYNTAX}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct task_request r;
        struct field f = of_type("retries", 'l');
        f.value.integer = rows[i].value;
        assert_int_equal(read_with(&f, &r, NULL), rows[i].rc);
        if (rows[i].rc == CONEY_OK)
            assert_int_equal(r.retries, rows[i].value);
        f.key = bytes_of("group_index");
        assert_int_equal(read_with(&f, &r, NULL), rows[i].rc);
    }
}

static void times_that_kill_a_python_worker_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "tomorrow", "2030-01-02", "12345678",
            "2030-01-02T03:04:05+00:00 and so on and on and on and on and on and on"};
    static const char *const names[] = {"eta", "expires"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (size_t k = 0; k < 2; k++) {
            struct task_request r;
            struct coney_error err;
            struct field f = of_type(names[k], 'S');
            f.value.text = bytes_of(bad[i]);
            assert_int_equal(read_with(&f, &r, &err), CONEY_ESYNTAX);
            assert_non_null(strstr(err.text, names[k]));
        }
    }
    struct task_request r;
    struct field f = of_type("eta", 'S');
    f.value.text = (struct bytes){.data = "2030-01-02T03:04:05\0Z", .len = 21};
    assert_int_equal(read_with(&f, &r, NULL), CONEY_ESYNTAX);
}

/* The array is @elements itself: one read too many would find what stands behind. */
static enum coney_rc read_limits(
        struct field *elements, size_t count, struct task_request *r)
{
    struct field f = {.key = bytes_of("timelimit"), .type = FIELD_ARRAY};
    f.value.table = (struct table){.fields = elements, .count = count, .capacity = count};
    return read_with(&f, r, NULL);
}

static void a_time_limit_has_two_elements_or_none(void **state)
{
    (void)state;
    struct field nulls[3] = {
            {.type = FIELD_VOID}, {.type = FIELD_VOID}, {.type = FIELD_VOID}};
    struct task_request r;
    assert_int_equal(read_limits(nulls, 0, &r), CONEY_OK);
    assert_int_equal(r.time_limit_ms, TASK_NONE);
    assert_int_equal(read_limits(nulls, 1, &r), CONEY_ESYNTAX);
    assert_int_equal(read_limits(nulls, 2, &r), CONEY_OK);
    assert_int_equal(read_limits(nulls, 3, &r), CONEY_ESYNTAX);
}

static void a_time_limit_is_seconds_of_any_number_type(void **state)
{
    (void)state;
    static const struct {
        char type;
        double number;
        int64_t ms; /* -2: refused */
    } rows[] = {{'I', 60, 60000}, {'l', 1, 1000}, {'B', 5, 5000}, {'d', 1.5, 1500},
            {'f', 0.5, 500}, {'d', 0.0004, 1}, {'I', 0, TASK_NONE}, {'d', 0, TASK_NONE},
            {'I', -1, -2}, {'d', -0.5, -2}, {'d', INFINITY, -2}, {'d', NAN, -2},
            {'d', 1e300, -2}, {'l', 1e9, 1000000000000}, {'l', 1e9 + 1, -2}, {'S', 0, -2},
            {'t', 0, -2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct field pair[2] = {{.type = (uint8_t)rows[i].type}, {.type = FIELD_VOID}};
        struct task_request r;
        if (rows[i].type == 'd' || rows[i].type == 'f')
            pair[0].value.number = rows[i].number;
        else if (rows[i].type == 'S')
            pair[0].value.text = bytes_of("60");
        else
            pair[0].value.integer = (int64_t)rows[i].number;
        assert_int_equal(
                read_limits(pair, 2, &r), rows[i].ms == -2 ? CONEY_ESYNTAX : CONEY_OK);
        if (rows[i].ms != -2) {
            assert_int_equal(r.time_limit_ms, rows[i].ms);
            assert_int_equal(r.soft_time_limit_ms, TASK_NONE);
        }
    }
    struct field decimal[2] = {{.type = FIELD_VOID}, {.type = FIELD_DECIMAL}};
    struct task_request r;
    decimal[1].value.decimal.digits = 255;
    decimal[1].value.decimal.scale = 1;
    assert_int_equal(read_limits(decimal, 2, &r), CONEY_OK);
    assert_int_equal(r.soft_time_limit_ms, 25500);
}

static void names_are_text_of_a_sane_length(void **state)
{
    (void)state;
    static const char *const names[] = {
            "task", "id", "shadow", "root_id", "parent_id", "group", "origin"};
    char large[257];
    memset(large, 'x', sizeof(large));

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct task_request r;
        struct field f = of_type(names[i], 'S');
        f.value.text = (struct bytes){.data = large, .len = 255};
        assert_int_equal(read_with(&f, &r, NULL), CONEY_OK);
        f.value.text.len = 256;
        assert_int_equal(read_with(&f, &r, NULL), CONEY_ELIMIT);
        f.value.text = (struct bytes){.data = "a\0b", .len = 3};
        assert_int_equal(read_with(&f, &r, NULL), CONEY_ESYNTAX);
        f.value.text = bytes_of("\xff");
        assert_int_equal(read_with(&f, &r, NULL), CONEY_ESYNTAX);
        f.value.text = (struct bytes){.data = NULL, .len = 0};
        assert_int_equal(read_with(&f, &r, NULL), i < 2 ? CONEY_ESYNTAX : CONEY_OK);
    }
}

static void a_header_that_comes_twice_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"task", "id", "eta", "retries", "compression"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct envelope e = captured_task();
        struct task_request r = {.arena = arena_new(0)};
        struct coney_error err;
        struct field f = of_type(names[i], 'V');
        set_header(&e, "compression", NULL);
        assert_int_equal(table_append(&e.headers, e.arena, &f), CONEY_OK);
        assert_int_equal(task_headers_read(&e, 255, &r, &err), CONEY_ESYNTAX);
        assert_non_null(strstr(err.text, "twice"));
        arena_free(r.arena);
        envelope_fini(&e);
    }
}

static void the_first_complaint_stands_and_the_task_is_still_read(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct task_request r = {.arena = arena_new(0)};
    struct coney_error err;
    set_header(&e, "id", NULL);
    assert_int_equal(task_headers_read(&e, 255, &r, &err), CONEY_ESYNTAX);
    assert_string_equal(err.text, "no header id");
    assert_string_equal(r.task, "proj.add");
    arena_free(r.arena);
    envelope_fini(&e);
}

static void properties_that_are_not_text_are_refused(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct task_request r = {.arena = arena_new(0)};
    e.properties.reply_to = "\xff";
    assert_int_equal(task_headers_read(&e, 255, &r, NULL), CONEY_ESYNTAX);
    e.properties.reply_to = NULL;
    e.properties.correlation_id = "\xc3(";
    assert_int_equal(task_headers_read(&e, 255, &r, NULL), CONEY_ESYNTAX);
    arena_free(r.arena);
    envelope_fini(&e);
}

static void users_may_not_have_celerys_names_nor_the_brokers(void **state)
{
    (void)state;
    static const char *const reserved[] = {"task", "id", "compression", "stamps", "chord",
            "update", "get", "__class__", "CC", "x-death", "x-first-death-queue"};
    static const char *const fine[] = {"x-custom", "tasks", "Task", "tenant", "coney-x",
            "cc", "periodic_task_name", "x-deaths", "_"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        assert_true(task_headers_is_reserved(bytes_of(reserved[i])));
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        assert_false(task_headers_is_reserved(bytes_of(fine[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_header_takes_its_types_and_no_others),
            cmocka_unit_test(retries_and_group_index_have_a_range),
            cmocka_unit_test(times_that_kill_a_python_worker_are_refused),
            cmocka_unit_test(a_time_limit_has_two_elements_or_none),
            cmocka_unit_test(a_time_limit_is_seconds_of_any_number_type),
            cmocka_unit_test(names_are_text_of_a_sane_length),
            cmocka_unit_test(a_header_that_comes_twice_is_refused),
            cmocka_unit_test(the_first_complaint_stands_and_the_task_is_still_read),
            cmocka_unit_test(properties_that_are_not_text_are_refused),
            cmocka_unit_test(users_may_not_have_celerys_names_nor_the_brokers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
