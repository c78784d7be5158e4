/* SPDX-License-Identifier: MIT */
/* test_generation.c - the names that task servers have told of. */
#include "test.h"
#include "worker/generation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char with_servers[] = "broker: {urls: [\"amqp://127.0.0.1:1/\"]}\n"
                                   "tasks:\n"
                                   "  \"core.*\": {server: [/bin/true]}\n"
                                   "  core.named: {}\n"
                                   "  \"shell.*\": {command: [/bin/true]}\n";
static const char with_fewer[] = "broker: {urls: [\"amqp://127.0.0.1:1/\"]}\n"
                                 "tasks: {\"core.a*\": {server: [/bin/true]}}\n";

static struct generation generation_of(const char *text)
{
    struct mistakes mistakes = {.count = 0};
    struct coney_error err;
    struct generation s = {.refs = 1};
    char *file = test_file(text);

    if (config_load(file, &s.config, &mistakes, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    unlink(file);
    free(file);
    return s;
}

static void done(struct generation *s)
{
    json_decref(s->known);
    config_free(s->config);
}

static void tell(struct generation *s, const char *names)
{
    generation_learn(s, (struct bytes){names, strlen(names)});
}

static bool knows(const struct generation *s, const char *name)
{
    const char **names = NULL;
    size_t count = generation_tasks(s, &names);
    bool found = false;

    for (size_t i = 0; i < count; i++)
        found = found || strcmp(names[i], name) == 0;
    free(names);
    return found;
}

static void what_a_server_tells_and_the_configuration_gives_it_is_known(void **state)
{
    struct generation s = generation_of(with_servers);
    (void)state;
    assert_true(knows(&s, "core.named"));
    assert_false(knows(&s, "core.add"));
    tell(&s,
            "[\"core.add\", \"core.named\", \"other.add\", \"shell.x\", \"celery.map\"]");
    assert_true(knows(&s, "core.add"));
    assert_false(knows(&s, "other.add"));
    assert_false(knows(&s, "shell.x"));
    assert_false(knows(&s, "celery.map"));
    tell(&s, "[\"core.mail\"]"); /* of another server */
    assert_true(knows(&s, "core.add"));
    assert_true(knows(&s, "core.mail"));
    done(&s);
}

static void nonsense_is_passed_over(void **state)
{
    static const char *const wrong[] = {"", "[", "{}", "[1, null, [\"core.x\"], {}]",
            "[\"\", \"core.\\u0000x\"]", "[[[\"core.x\"]]]", "5"};
    struct generation s = generation_of(with_servers);
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        tell(&s, wrong[i]);
    assert_int_equal(json_object_size(s.known), 0);
    done(&s);
}

static void a_reload_keeps_what_still_holds(void **state)
{
    struct generation old = generation_of(with_servers);
    struct generation s = generation_of(with_fewer);
    (void)state;
    generation_inherit(&s, &old);
    tell(&old, "[\"core.add\", \"core.mail\"]");
    generation_inherit(&s, &old);
    assert_true(knows(&s, "core.add"));
    assert_false(knows(&s, "core.mail"));
    done(&s);
    done(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_a_server_tells_and_the_configuration_gives_it_is_known),
            cmocka_unit_test(nonsense_is_passed_over),
            cmocka_unit_test(a_reload_keeps_what_still_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
