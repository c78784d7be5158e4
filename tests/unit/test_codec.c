/* SPDX-License-Identifier: MIT */
/* test_codec.c - tables and properties go out and come back the same, or not at all. */
#include "amqp/codec.h"
#include "amqp/frame.h"
#include "base/rng.h"
#include "scripted_peer.h"
#include "test.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct scan_limits limits = {.depth_max = 32, .fields_max = 8192};

struct fixture {
    struct arena *arena;
    amqp_pool_t pool;
    struct rng rng;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->arena = arena_new(0);
    init_amqp_pool(&f->pool, 0);
    rng_seed(&f->rng, 42);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    empty_amqp_pool(&f->pool);
    arena_free(f->arena);
    free(f);
    return 0;
}

static struct bytes literal(const char *text)
{
    return (struct bytes){.data = text, .len = strlen(text)};
}

/* Encode the envelope's properties; the bytes are the pool's. */
static enum coney_rc encode(
        struct fixture *f, const struct envelope *e, struct bytes *out)
{
    amqp_basic_properties_t view;
    size_t size;
    enum coney_rc rc = codec_view_properties(e, &f->pool, &view, &size);
    if (rc != CONEY_OK)
        return rc;
    amqp_bytes_t room = {.len = size, .bytes = amqp_pool_alloc(&f->pool, size)};
    /* The predicted size is exact: one byte less would not do. */
    assert_int_equal(amqp_encode_properties(AMQP_BASIC_CLASS, &view, room), size);
    *out = (struct bytes){.data = room.bytes, .len = size};
    return CONEY_OK;
}

static void decode(struct fixture *f, struct bytes data, struct envelope *e,
        enum codec_headers expected)
{
    enum codec_headers taken;
    assert_int_equal(envelope_init(e), CONEY_OK);
    assert_int_equal(codec_read_properties(data, &limits, &f->pool, e, &taken), CONEY_OK);
    assert_int_equal(taken, expected);
}

static void assert_tables_equal(const struct table *a, const struct table *b);

static void assert_fields_equal(const struct field *a, const struct field *b)
{
    assert_int_equal(a->key.len, b->key.len);
    assert_memory_equal(a->key.data, b->key.data, a->key.len);
    assert_int_equal(a->type, b->type);
    switch ((char)a->type) {
    case FIELD_VOID:
        break;
    case FIELD_BOOL:
        assert_int_equal(a->value.boolean, b->value.boolean);
        break;
    case FIELD_F32:
    case FIELD_F64:
        assert_memory_equal(&a->value.number, &b->value.number, sizeof(double));
        break;
    case FIELD_DECIMAL:
        assert_int_equal(a->value.decimal.scale, b->value.decimal.scale);
        assert_int_equal(a->value.decimal.digits, b->value.decimal.digits);
        break;
    case FIELD_STRING:
    case FIELD_BYTES:
        assert_int_equal(a->value.text.len, b->value.text.len);
        assert_memory_equal(a->value.text.data, b->value.text.data, a->value.text.len);
        break;
    case FIELD_TABLE:
    case FIELD_ARRAY:
        assert_tables_equal(&a->value.table, &b->value.table);
        break;
    default:
        assert_true(a->value.integer == b->value.integer);
        break;
    }
}

static void assert_tables_equal(const struct table *a, const struct table *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_fields_equal(&a->fields[i], &b->fields[i]);
}

/* --- random tables --------------------------------------------------------------------
 */

static struct bytes random_bytes(struct fixture *f, uint64_t len_max)
{
    size_t len = (size_t)rng_below(&f->rng, len_max + 1);
    char *p = arena_alloc(f->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)rng_next(&f->rng);
    return (struct bytes){.data = p, .len = len};
}

static int64_t random_integer(struct fixture *f, unsigned bits, bool is_signed)
{
    uint64_t n = rng_next(&f->rng) >> (64 - bits);
    if (is_signed && bits < 64)
        return (int64_t)n - ((int64_t)1 << (bits - 1));
    return (int64_t)n;
}

static struct table random_table(struct fixture *f, unsigned depth, bool has_keys);

static struct field random_field(struct fixture *f, unsigned depth, bool has_key)
{
    static const char types[] = "VtbBsuIilfdDSxTFA";
    struct field v = {.key = {.data = "", .len = 0}};
    size_t choices = strlen(types) - (depth == 0 ? 2 : 0);

    if (has_key)
        v.key = random_bytes(f, rng_below(&f->rng, 10) == 0 ? 255 : 12);
    v.type = (enum field_type)types[rng_below(&f->rng, choices)];
    switch ((char)v.type) {
    case FIELD_VOID:
        break;
    case FIELD_BOOL:
        v.value.boolean = rng_below(&f->rng, 2) == 1;
        break;
    case FIELD_I8:
    case FIELD_U8:
        v.value.integer = random_integer(f, 8, v.type == FIELD_I8);
        break;
    case FIELD_I16:
    case FIELD_U16:
        v.value.integer = random_integer(f, 16, v.type == FIELD_I16);
        break;
    case FIELD_I32:
    case FIELD_U32:
        v.value.integer = random_integer(f, 32, v.type == FIELD_I32);
        break;
    case FIELD_F32:
        v.value.number = (double)(float)(rng_unit(&f->rng) * 1e6 - 5e5);
        break;
    case FIELD_F64:
        v.value.number = rng_unit(&f->rng) * 1e12 - 5e11;
        break;
    case FIELD_DECIMAL:
        v.value.decimal.scale = (uint8_t)rng_next(&f->rng);
        v.value.decimal.digits = (uint32_t)rng_next(&f->rng);
        break;
    case FIELD_STRING:
    case FIELD_BYTES:
        v.value.text = random_bytes(f, 300);
        break;
    case FIELD_TABLE:
    case FIELD_ARRAY:
        v.value.table = random_table(f, depth - 1, v.type == FIELD_TABLE);
        break;
    default:
        v.value.integer = random_integer(f, 64, true);
        break;
    }
    return v;
}

static struct table random_table(struct fixture *f, unsigned depth, bool has_keys)
{
    struct table t = {.fields = NULL};
    for (uint64_t n = rng_below(&f->rng, 6); n > 0; n--) {
        struct field v = random_field(f, depth, has_keys);
        assert_int_equal(table_append(&t, f->arena, &v), CONEY_OK);
    }
    return t;
}

static const char *random_text(struct fixture *f)
{
    if (rng_below(&f->rng, 3) == 0)
        return NULL;
    size_t len = (size_t)rng_below(&f->rng, 256);
    char *text = arena_alloc(f->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(1 + rng_below(&f->rng, 255));
    return text;
}

static struct properties random_properties(struct fixture *f)
{
    struct properties p = properties_none();
    const char **texts[] = {&p.content_type, &p.content_encoding, &p.correlation_id,
            &p.reply_to, &p.expiration, &p.message_id, &p.type, &p.user_id, &p.app_id};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = random_text(f);
    if (rng_below(&f->rng, 2) == 0)
        p.timestamp_s = (int64_t)(rng_next(&f->rng) >> 1);
    if (rng_below(&f->rng, 2) == 0)
        p.delivery_mode = (int)rng_below(&f->rng, 256);
    if (rng_below(&f->rng, 2) == 0)
        p.priority = (int)rng_below(&f->rng, 256);
    return p;
}

static void assert_text_equal(const char *a, const char *b)
{
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void assert_properties_equal(
        const struct properties *a, const struct properties *b)
{
    assert_text_equal(a->content_type, b->content_type);
    assert_text_equal(a->content_encoding, b->content_encoding);
    assert_text_equal(a->correlation_id, b->correlation_id);
    assert_text_equal(a->reply_to, b->reply_to);
    assert_text_equal(a->expiration, b->expiration);
    assert_text_equal(a->message_id, b->message_id);
    assert_text_equal(a->type, b->type);
    assert_text_equal(a->user_id, b->user_id);
    assert_text_equal(a->app_id, b->app_id);
    assert_true(a->timestamp_s == b->timestamp_s);
    assert_int_equal(a->delivery_mode, b->delivery_mode);
    assert_int_equal(a->priority, b->priority);
}

static void any_properties_and_headers_come_back_the_same(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 2000; round++) {
        struct envelope out = {
                .properties = random_properties(f), .headers = random_table(f, 4, true)};
        struct envelope back;
        struct bytes data = {.len = 0};
        assert_int_equal(encode(f, &out, &data), CONEY_OK);
        decode(f, data, &back, HEADERS_TAKEN);
        assert_properties_equal(&out.properties, &back.properties);
        assert_tables_equal(&out.headers, &back.headers);
        envelope_fini(&back);
        recycle_amqp_pool(&f->pool);
    }
}

/* --- limits ---------------------------------------------------------------------------
 */

static char *text_of(struct fixture *f, size_t len)
{
    char *text = arena_alloc(f->arena, len + 1);
    memset(text, 'x', len);
    return text;
}

static void a_key_of_256_bytes_is_refused_at_any_depth(void **state)
{
    struct fixture *f = *state;
    for (size_t len = 255; len <= 256; len++) {
        struct envelope e = {.properties = properties_none()};
        struct field inner = {.key = literal("t"), .type = FIELD_TABLE};
        struct bytes data = {.len = 0};
        assert_int_equal(
                table_set_void(&inner.value.table, f->arena, text_of(f, len)), CONEY_OK);
        assert_int_equal(table_append(&e.headers, f->arena, &inner), CONEY_OK);
        assert_int_equal(encode(f, &e, &data), len == 255 ? CONEY_OK : CONEY_EINVAL);
    }
}

static void a_property_of_256_bytes_is_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t len = 255; len <= 256; len++) {
        struct envelope e = {.properties = properties_none()};
        struct bytes data = {.len = 0};
        e.properties.app_id = text_of(f, len);
        assert_int_equal(encode(f, &e, &data), len == 255 ? CONEY_OK : CONEY_EINVAL);
    }
}

static void a_table_without_end_is_not_encoded(void **state)
{
    struct fixture *f = *state;
    struct table t = {.fields = NULL};
    size_t size = 0;
    amqp_table_t view;

    for (unsigned depth = 0; depth < TABLE_DEPTH_MAX; depth++) {
        assert_int_equal(codec_view_table(&t, &f->pool, &view, &size), CONEY_OK);
        struct table outer = {.fields = NULL};
        struct field v = {
                .key = literal("k"), .type = FIELD_ARRAY, .value = {.table = t}};
        assert_int_equal(table_append(&outer, f->arena, &v), CONEY_OK);
        t = outer;
    }
    assert_int_equal(codec_view_table(&t, &f->pool, &view, &size), CONEY_EINVAL);
}

static void a_type_that_does_not_exist_is_refused(void **state)
{
    struct fixture *f = *state;
    struct table t = {.fields = NULL};
    struct field v = {.key = literal("k"), .type = (enum field_type)'?'};
    size_t size = 0;
    amqp_table_t view;

    assert_int_equal(table_append(&t, f->arena, &v), CONEY_OK);
    assert_int_equal(codec_view_table(&t, &f->pool, &view, &size), CONEY_EINVAL);
}

static void an_unsigned_64_bit_header_is_read_as_a_signed_one(void **state)
{
    struct fixture *f = *state;
    struct envelope e;
    int64_t value;

    decode(f, (struct bytes){.data = "\x20\0\0\0\0\x0b\1kL\0\0\0\0\0\0\1\0", .len = 17},
            &e, HEADERS_TAKEN);
    assert_true(table_integer(&e.headers, "k", &value));
    assert_int_equal(value, 256);
    assert_int_equal(e.headers.fields[0].type, FIELD_I64);
    envelope_fini(&e);
}

/* --- bad input ------------------------------------------------------------------------
 */

/* content_type "text", headers of the depth, priority 3. */
static struct peer_bytes with_depth(unsigned depth)
{
    struct peer_bytes table = {.data = NULL};
    struct peer_bytes b = {.data = NULL};

    peer_number(&table, 0, 4);
    for (unsigned i = 1; i < depth; i++) {
        struct peer_bytes outer = {.data = NULL};
        peer_number(&outer, table.len + 3, 4);
        peer_raw(&outer, "\1kF", 3);
        peer_raw(&outer, table.data, table.len);
        peer_bytes_fini(&table);
        table = outer;
    }
    peer_number(&b, 1 << 15 | 1 << 13 | 1 << 11, 2);
    peer_raw(&b, "\4text", 5);
    peer_raw(&b, table.data, table.len);
    peer_number(&b, 3, 1);
    peer_bytes_fini(&table);
    return b;
}

static void headers_too_deep_do_not_cost_the_other_properties(void **state)
{
    struct fixture *f = *state;
    static const unsigned depths[] = {32, 33, 10000};
    for (size_t i = 0; i < 3; i++) {
        struct peer_bytes b = with_depth(depths[i]);
        struct envelope e;
        decode(f, (struct bytes){.data = b.data, .len = b.len}, &e,
                depths[i] <= 32 ? HEADERS_TAKEN : HEADERS_REFUSED);
        assert_string_equal(e.properties.content_type, "text");
        assert_int_equal(e.properties.priority, 3);
        assert_int_equal(e.headers.count, depths[i] <= 32 ? 1 : 0);
        envelope_fini(&e);
        peer_bytes_fini(&b);
    }
}

static void properties_cut_anywhere_are_refused_or_whole(void **state)
{
    struct fixture *f = *state;
    struct envelope whole = {
            .properties = random_properties(f), .headers = random_table(f, 3, true)};
    struct bytes data = {.len = 0};
    assert_int_equal(encode(f, &whole, &data), CONEY_OK);
    for (size_t len = 0; len < data.len; len++) {
        struct envelope e;
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, data.data, len);
        decode(f, (struct bytes){.data = copy, .len = len}, &e, HEADERS_REFUSED);
        assert_int_equal(e.headers.count, 0);
        envelope_fini(&e);
        free(copy);
    }
}

static void garbled_properties_never_crash(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 20000; round++) {
        struct envelope out = {.properties = properties_none()};
        struct bytes data = {.len = 0};
        struct envelope e;
        enum codec_headers taken;
        if (round % 50 == 0) {
            arena_free(f->arena);
            f->arena = arena_new(0);
        }
        out.headers = random_table(f, 3, true);
        assert_int_equal(encode(f, &out, &data), CONEY_OK);
        assert(data.len >= 2); /* the flags */
        uint8_t *copy = malloc(data.len);
        memcpy(copy, data.data, data.len);
        for (uint64_t n = 1 + rng_below(&f->rng, 3); n > 0; n--)
            copy[rng_below(&f->rng, data.len)] = (uint8_t)rng_next(&f->rng);
        data.data = copy;
        assert_int_equal(envelope_init(&e), CONEY_OK);
        assert_int_equal(
                codec_read_properties(data, &limits, &f->pool, &e, &taken), CONEY_OK);
        envelope_fini(&e);
        free(copy);
        recycle_amqp_pool(&f->pool);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(any_properties_and_headers_come_back_the_same),
            TEST(a_key_of_256_bytes_is_refused_at_any_depth),
            TEST(a_property_of_256_bytes_is_refused),
            TEST(a_table_without_end_is_not_encoded),
            TEST(a_type_that_does_not_exist_is_refused),
            TEST(an_unsigned_64_bit_header_is_read_as_a_signed_one),
            TEST(headers_too_deep_do_not_cost_the_other_properties),
            TEST(properties_cut_anywhere_are_refused_or_whole),
            TEST(garbled_properties_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
