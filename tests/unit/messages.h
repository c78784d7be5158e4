/* SPDX-License-Identifier: MIT */
/* messages.h - envelopes for the tests of the message room, as a Python client fills
 * them. */
#ifndef CONEY_TESTS_MESSAGES_H
#define CONEY_TESTS_MESSAGES_H

#include "base/envelope.h"
#include "test.h"

#include <string.h>

#define PLAIN_EMBED \
    "{\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}"
#define PLAIN_BODY "[[2, 3], {}, " PLAIN_EMBED "]"

static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){.data = text, .len = strlen(text)};
}

static inline void set_body(struct envelope *e, const void *data, size_t len)
{
    e->body = arena_copy(e->arena, (struct bytes){.data = data, .len = len});
    assert_non_null(e->body.data);
}

static inline void set_header(struct envelope *e, const char *key, const char *text)
{
    enum coney_rc rc = text ? table_set_text(&e->headers, e->arena, key, text)
                            : table_set_void(&e->headers, e->arena, key);
    assert_int_equal(rc, CONEY_OK);
}

static inline void set_integer_header(struct envelope *e, const char *key, int64_t value)
{
    assert_int_equal(table_set_integer(&e->headers, e->arena, key, value), CONEY_OK);
}

/* An array of @count fields, whose keys do not matter. */
static inline void set_array_header(
        struct envelope *e, const char *key, const struct field *elements, size_t count)
{
    struct field array = {.key = bytes_of(key), .type = FIELD_ARRAY};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
                table_append(&array.value.table, e->arena, &elements[i]), CONEY_OK);
    assert_int_equal(table_set(&e->headers, e->arena, &array), CONEY_OK);
}

/* The message Celery 5.6.3 sends for add.delay(2, 3). */
static inline struct envelope captured_task(void)
{
    static const char id[] = "bab6b8bb-b4ec-4335-8d5b-3c727a42b4c0";
    const struct field no_limits[2] = {{.type = FIELD_VOID}, {.type = FIELD_VOID}};
    struct field stamps = {.key = bytes_of("stamps"), .type = FIELD_TABLE};
    struct envelope e;

    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.properties.content_type = "application/json";
    e.properties.content_encoding = "utf-8";
    e.properties.correlation_id = id;
    e.properties.reply_to = "aae37a60-bf8c-3134-9636-7460aa7000ea";
    e.properties.delivery_mode = DELIVERY_PERSISTENT;
    e.properties.priority = 0;
    set_header(&e, "lang", "py");
    set_header(&e, "task", "proj.add");
    set_header(&e, "id", id);
    set_header(&e, "shadow", NULL);
    set_header(&e, "eta", NULL);
    set_header(&e, "expires", NULL);
    set_header(&e, "group", NULL);
    set_header(&e, "group_index", NULL);
    set_integer_header(&e, "retries", 0);
    set_array_header(&e, "timelimit", no_limits, 2);
    set_header(&e, "root_id", id);
    set_header(&e, "parent_id", NULL);
    set_header(&e, "argsrepr", "(2, 3)");
    set_header(&e, "kwargsrepr", "{}");
    set_header(&e, "origin", "gen4659@vm");
    assert_int_equal(
            table_set_bool(&e.headers, e.arena, "ignore_result", false), CONEY_OK);
    set_integer_header(&e, "replaced_task_nesting", 0);
    set_header(&e, "stamped_headers", NULL);
    assert_int_equal(table_set(&e.headers, e.arena, &stamps), CONEY_OK);
    set_body(&e, PLAIN_BODY, strlen(PLAIN_BODY));
    return e;
}

#endif /* CONEY_TESTS_MESSAGES_H */
