/* SPDX-License-Identifier: MIT */
/* test_revocation.c - entries of the stream of revocations. */
#include "message/revocation.h"
#include "unit/messages.h"

static const int64_t NOW_US = 1795176393946851;

static void an_entry_is_read_as_it_was_written(void **state)
{
    (void)state;
    json_t *ids = json_pack("[s,s]", "a", "b");
    json_t *headers = json_pack("{s:[s,i]}", "tenant", "acme", 5);
    const struct revocation r = {
            .node = "coney@h", .at_us = NOW_US, .ids = ids, .headers = headers};
    struct revocation back;
    struct envelope e;

    assert_int_equal(revocation_encode(&r, &e), CONEY_OK);
    assert_string_equal(e.body.data,
            "{\"version\": 1, \"at\": 1795176393.946851, \"node\": \"coney@h\", \"ids\": "
            "[\"a\", \"b\"], \"headers\": {\"tenant\": [\"acme\", 5]}}");
    assert_int_equal(e.properties.delivery_mode, DELIVERY_PERSISTENT);
    assert_int_equal(revocation_decode(&e, &back, NULL), CONEY_OK);
    assert_int_equal(back.at_us, NOW_US);
    assert_string_equal(back.node, "coney@h");
    assert_true(json_equal(back.ids, ids));
    assert_true(json_equal(back.headers, headers));
    assert_null(back.marker);
    revocation_fini(&back);
    envelope_fini(&e);
    json_decref(ids);
    json_decref(headers);
}

static void a_marker_revokes_nothing(void **state)
{
    (void)state;
    const struct revocation r = {.at_us = NOW_US, .marker = "m-1"};
    struct revocation back;
    struct envelope e;

    assert_int_equal(revocation_encode(&r, &e), CONEY_OK);
    assert_int_equal(revocation_decode(&e, &back, NULL), CONEY_OK);
    assert_string_equal(back.marker, "m-1");
    assert_null(back.ids);
    assert_null(back.headers);
    assert_null(back.node);
    revocation_fini(&back);
    envelope_fini(&e);
}

static void what_could_not_be_read_back_is_not_written(void **state)
{
    (void)state;
    json_t *ids = json_pack("[s,i]", "a", 5);
    json_t *headers = json_pack("{s:s}", "tenant", "acme");
    struct envelope e;
    struct revocation r = {.at_us = NOW_US, .ids = ids};
    assert_int_equal(revocation_encode(&r, &e), CONEY_EINVAL);
    r = (struct revocation){.at_us = NOW_US, .headers = headers};
    assert_int_equal(revocation_encode(&r, &e), CONEY_EINVAL);
    json_decref(ids);
    json_decref(headers);
}

static void other_entries_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "[]", "{}", "{\"version\": 2, \"at\": 5.0}",
            "{\"version\": 1}", "{\"version\": 1, \"at\": \"now\"}",
            "{\"version\": 1, \"at\": 1e300}",
            "{\"version\": 1, \"at\": 5.0, \"ids\": 7}",
            "{\"version\": 1, \"at\": 5.0, \"ids\": [7]}",
            "{\"version\": 1, \"at\": 5.0, \"headers\": {\"a\": \"b\"}}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct revocation back;
        struct envelope e;
        struct coney_error err;
        assert_int_equal(envelope_init(&e), CONEY_OK);
        e.properties.content_type = "application/json";
        set_body(&e, bodies[i], strlen(bodies[i]));
        assert_int_equal(revocation_decode(&e, &back, &err), CONEY_ESYNTAX);
        assert_null(back.root);
        envelope_fini(&e);
    }
}

static void stamps_come_as_an_object_or_as_pairs(void **state)
{
    (void)state;
    json_t *wanted = json_pack("{s:[s,s]}", "k", "v1", "v2");
    json_t *forms[] = {
            json_pack("{s:[s,s]}", "k", "v1", "v2"),
            json_pack("[s,s]", "k=v1", "k=v2"),
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        json_t *stamps = revocation_stamps(forms[i]);
        assert_true(json_equal(stamps, wanted));
        json_decref(stamps);
        json_decref(forms[i]);
    }
    json_t *one = json_pack("{s:s}", "k", "v1");
    json_t *stamps = revocation_stamps(one);
    assert_string_equal(
            json_string_value(json_array_get(json_object_get(stamps, "k"), 0)), "v1");
    json_decref(stamps);
    json_decref(one);
    json_decref(wanted);
}

static void other_stamps_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
            "5", "\"k=v\"", "[\"novalue\"]", "[\"=v\"]", "[5]"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_error_t err;
        json_t *v = json_loads(texts[i], JSON_DECODE_ANY, &err);
        assert_null(revocation_stamps(v));
        json_decref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_entry_is_read_as_it_was_written),
            cmocka_unit_test(a_marker_revokes_nothing),
            cmocka_unit_test(what_could_not_be_read_back_is_not_written),
            cmocka_unit_test(other_entries_are_refused),
            cmocka_unit_test(stamps_come_as_an_object_or_as_pairs),
            cmocka_unit_test(other_stamps_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
