/* SPDX-License-Identifier: MIT */
/* test_embed.c - what follows a task: loose when read, strict when written. */
#include "message/embed.h"
#include "test.h"

#include <string.h>

#define WHOLE "{\"task\":\"t\",\"args\":[],\"kwargs\":{},\"options\":{}}"
#define BARE  "{\"task\":\"t\"}"

static const struct {
    const char *text;
    enum coney_rc read;
    enum coney_rc write;
} rows[] = {
        {"null", CONEY_OK, CONEY_OK},
        {"{}", CONEY_OK, CONEY_OK},
        {"{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}", CONEY_OK,
                CONEY_OK},
        {"{\"callbacks\":[],\"chain\":[]}", CONEY_OK, CONEY_OK},
        {"{\"callbacks\":[" WHOLE "," WHOLE "],\"chord\":" WHOLE "}", CONEY_OK, CONEY_OK},
        {"{\"errbacks\":[" BARE "]}", CONEY_OK, CONEY_EINVAL},
        {"{\"chord\":" BARE "}", CONEY_OK, CONEY_EINVAL},
        {"{\"something\":1}", CONEY_OK, CONEY_EINVAL},
        {"[]", CONEY_ESYNTAX, CONEY_EINVAL},
        {"\"x\"", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"callbacks\":" WHOLE "}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"errbacks\":\"x\"}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"chain\":[" WHOLE ",null]}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"chain\":[{}]}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"chain\":[{\"task\":\"\"}]}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"chain\":[{\"task\":5}]}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"chord\":[" WHOLE "]}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"chord\":false}", CONEY_ESYNTAX, CONEY_EINVAL},
        {"{\"callbacks\":[{\"task\":\"t\",\"args\":[],\"kwargs\":{}}]}", CONEY_OK,
                CONEY_EINVAL},
        {"{\"callbacks\":[{\"task\":\"t\",\"args\":{},\"kwargs\":{},\"options\":{}}]}",
                CONEY_OK, CONEY_EINVAL},
        {"{\"callbacks\":[{\"task\":\"t\",\"args\":[],\"kwargs\":null,\"options\":{}}]}",
                CONEY_OK, CONEY_EINVAL},
};

static void each_shape_is_read_and_written_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coney_error err = {.text = ""};
        json_t *v = json_loads(rows[i].text, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        if (embed_check_read(v, &err) != rows[i].read)
            fail_msg("reading %s: %s", rows[i].text, err.text);
        if (embed_check_write(v, &err) != rows[i].write)
            fail_msg("writing %s: %s", rows[i].text, err.text);
        json_decref(v);
    }
    assert_int_equal(embed_check_write(NULL, NULL), CONEY_OK);
}

static void an_error_names_the_place(void **state)
{
    (void)state;
    struct coney_error err;
    json_t *v = json_loads("{\"errbacks\":[" WHOLE "," BARE "]}", 0, NULL);
    assert_int_equal(embed_check_write(v, &err), CONEY_EINVAL);
    assert_string_equal(err.text, "embed: errbacks[1] is a signature without args");
    json_decref(v);
}

static void all_four_keys_are_always_written_in_celerys_order(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } texts[] = {
            {"null",
                    "{\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}"},
            {"{\"chord\":null,\"chain\":[]}",
                    "{\"callbacks\": null, \"errbacks\": null, \"chain\": [], \"chord\": null}"}};
    for (size_t i = 0; i < 2; i++) {
        struct buffer b;
        json_t *v = json_loads(texts[i].from, JSON_DECODE_ANY, NULL);
        buffer_init(&b, 1000);
        assert_int_equal(embed_write(v, &b), CONEY_OK);
        assert_int_equal(buffer_append(&b, "", 1), CONEY_OK);
        assert_string_equal((char *)buffer_data(&b), texts[i].to);
        buffer_fini(&b);
        json_decref(v);
    }
}

static void a_full_buffer_is_said_wherever_it_ends(void **state)
{
    (void)state;
    json_t *v = json_loads("{\"callbacks\":[" WHOLE "],\"chord\":" WHOLE "}", 0, NULL);
    struct buffer b;
    size_t max = 0;
    enum coney_rc rc;

    do {
        buffer_init(&b, max++);
        rc = embed_write(v, &b);
        buffer_fini(&b);
        assert_true(rc == CONEY_OK || rc == CONEY_ELIMIT);
    } while (rc != CONEY_OK);
    assert_in_range(max, 150, 300);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_shape_is_read_and_written_or_refused),
            cmocka_unit_test(an_error_names_the_place),
            cmocka_unit_test(all_four_keys_are_always_written_in_celerys_order),
            cmocka_unit_test(a_full_buffer_is_said_wherever_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
