/* SPDX-License-Identifier: MIT */
/* test_check.c - what is wrong with single keys and values, and how it is said. */
#include "unit/with_config.h"

static void unknown_keys_are_told_with_the_nearest_one(void **state)
{
    (void)state;
    assert_mistakes("worker:\n  concurency: 8\n",
            "2:3: unknown key \"concurency\" in worker; did you mean \"concurrency\"?\n");
    assert_mistakes("tasks:\n  x:\n    retry: {maxx: 1}\n",
            "3:13: unknown key \"maxx\" in tasks.x.retry; did you mean \"max\"?\n");
    assert_mistakes("brocker: {}\n", "1:1: unknown key \"brocker\"; did you mean "
                                     "\"broker\"?\n");
}

static void everything_wrong_is_told_at_once_and_in_order(void **state)
{
    (void)state;
    assert_mistakes("worker:\n"
                    "  concurrency: many\n"
                    "  priority: fair\n"
                    "  plugins: [x.so, /y.so]\n"
                    "  drain_timeout: 60\n"
                    "  body_max: 1B\n"
                    "classes: 5\n"
                    "tasks:\n"
                    "  x: {command: [sleep, 5], rate_limit: 1, umask: 888}\n"
                    "  x: {}\n"
                    "beat: {timezone: Mars/Base}\n",
            "2:16: concurrency: found \"many\", allowed is a whole number from 1 to "
            "4096, or auto\n"
            "3:13: priority: found \"fair\", allowed is strict or weighted\n"
            "4:13: plugins: found \"x.so\", wanted is an absolute path, with a \"/\" in "
            "front\n"
            "5:18: drain_timeout: \"60\" has no unit: write 60ms, 60s, 60m, 60h, 60d or "
            "60w\n"
            "6:13: body_max: found \"1B\", allowed is a size such as 300M, 1K to 512M\n"
            "7:10: classes: found a single value, allowed is a map of names\n"
            "9:17: command: found \"sleep\", wanted is an absolute path, with a \"/\" in "
            "front\n"
            "9:40: rate_limit: \"1\" does not say per what: write 1/s, 1/m or 1/h\n"
            "9:50: umask: found \"888\", allowed is an octal number from 0 to 0777, such "
            "as 022\n"
            "10:3: the key \"x\" is repeated, it is already at line 9\n"
            "11:18: timezone: no time zone Mars/Base in /usr/share/zoneinfo\n");
}

static void a_value_of_another_kind_is_told(void **state)
{
    (void)state;
    assert_mistake(
            "worker: {plugins: /a.so}", "plugins: found \"/a.so\", allowed is a list");
    assert_mistake("worker: {concurrency: [8]}", "concurrency: found a list, allowed is");
    assert_mistake("worker: {concurrency: {}}", "concurrency: found a map, allowed is");
    assert_mistake("worker: {concurrency: }", "concurrency: found nothing, allowed is");
    assert_mistake("worker: {concurrency: ~}", "concurrency: found nothing, allowed is");
    assert_mistake("worker: [1]", "worker: found a list, allowed is a map of keys");
    assert_mistake("tasks: {x: 5}", "tasks.x: found a single value, allowed is a map");
    assert_mistake("5", "a configuration is a map of sections");
    assert_mistake("[a]", "a configuration is a map of sections");
    assert_mistake("tasks: {x: {command: /bin/true}}", "command: found \"/bin/true\"");
    assert_mistake("tasks: {x: {command: [/bin/true, [a]]}}", "command: found a list");
    assert_mistake("tasks: {x: {environment: [A]}}", "environment: found a list");
    assert_mistake("tasks: {x: {environment: {A: [b]}}}", "A: found a list");
    assert_mistake("tasks: {x: {ok_exit: 0}}", "ok_exit: found \"0\"");
    assert_mistake("schedule: {x: {task: y, every: 1s, args: {}}}", "args: found a map");
    assert_mistake(
            "schedule: {x: {task: y, every: 1s, kwargs: []}}", "kwargs: found a list");
}

static void numbers_stay_within_their_bounds(void **state)
{
    (void)state;
    assert_mistake("worker: {concurrency: 0}", "from 1 to 4096");
    assert_mistake("worker: {concurrency: 4097}", "from 1 to 4096");
    assert_mistake("worker: {concurrency: 99999999999999999999}", "from 1 to 4096");
    assert_mistake("worker: {concurrency: 1.5}", "a whole number");
    assert_mistake("worker: {concurrency: 0x8}", "a whole number");
    assert_mistake("worker: {concurrency: +8}", "a whole number");
    assert_mistake("tasks: {x: {retry: {factor: 0.5}}}", "a number from 1 to 1000");
    assert_mistake("tasks: {x: {retry: {factor: nan}}}", "a number from 1 to 1000");
    assert_mistake("tasks: {x: {retry: {factor: 1.2.3}}}", "a number from 1 to 1000");
    assert_mistake("tasks: {x: {priority: 256}}", "from 0 to 255, or none");
    assert_mistake("tasks: {x: {ok_exit: [0, 256]}}", "a list of numbers from 0 to 255");
    assert_mistake("tasks: {x: {umask: 01000}}", "octal");
    assert_mistake("broker: {heartbeat: 1500ms}", "whole seconds");
    assert_mistake("broker: {heartbeat: 500ms}", "1s to 1h");
    assert_mistake("broker: {connect_timeout: 2h}", "100ms to 1h");
}

static void truth_is_true_or_false(void **state)
{
    (void)state;
    assert_mistake("results: {extended: yes}", "allowed is true or false");
    assert_mistake("results: {extended: 1}", "allowed is true or false");
    assert_mistake("results: {extended: True}", "allowed is true or false");
}

static void none_is_only_for_keys_that_can_do_without(void **state)
{
    (void)state;
    assert_mistake("broker: {heartbeat: none}", "is no duration");
    assert_mistake("worker: {concurrency: none}", "or auto");
    struct config *c = config_of("worker: {instance: \"none\"}");
    assert_string_equal(c->worker.instance, "none"); /* in quotes it is a name */
    config_free(c);
    c = config_of("{\"worker\": {\"held_max\": \"auto\"}, \"broker\": {\"tls\": {\"ca\": "
                  "\"none\"}}}");
    assert_int_equal(c->worker.held_max, 0); /* JSON has no other way to write it */
    assert_null(c->broker.tls.ca);
    config_free(c);
}

static void names_that_will_not_do_are_told(void **state)
{
    (void)state;
    assert_mistake("classes: {\"a b\": {}}", "1:11: classes: found \"a b\"");
    assert_mistake("queues: {\"a.*\": }", "1:10: queues: \"a.*\" can't be a queue");
    assert_mistake("queues: {amq.x: }", "keeps for itself");
    assert_mistake("tasks: {\"\": {}}", "tasks: found an empty text");
    assert_mistake("tasks: {\"a\\nb\": {}}", "tasks: found a control character");
    assert_mistake("broker: {prefix: \"a b\"}", "prefix: found \"a b\"");
    assert_mistake("worker: {instance: a@b}", "instance: found \"a@b\"");
}

static void a_bad_url_does_not_tell_its_password(void **state)
{
    (void)state;
    assert_mistakes("broker: {urls: [\"http://me:s3cret@h/\"]}",
            "1:17: urls: the URL must begin with amqps:// or amqp://, as in "
            "amqps://user@host:5671/vhost\n");
    assert_mistakes("broker: {urls: \"amqp://me:s3cret@h/\"}",
            "1:16: urls: found a single value, allowed is a list of URLs such as "
            "[\"amqps://user@host/\"]\n");
    assert_mistake("broker: {urls: []}", "urls: found a list, allowed is a list of URLs");
}

static void an_empty_section_is_fine(void **state)
{
    (void)state;
    config_free(
            config_of("broker:\nworker: {}\nclasses:\nqueues:\ntasks:\n  x:\nbeat: ~\n"
                      "schedule:\n"));
}

static void a_syntax_error_is_told_alone(void **state)
{
    (void)state;
    assert_mistakes("wroker: 1\nbeat: {name: [}\n",
            "2:15: no YAML: did not find expected node content, while parsing a flow "
            "node that begins at line 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(unknown_keys_are_told_with_the_nearest_one),
            cmocka_unit_test(everything_wrong_is_told_at_once_and_in_order),
            cmocka_unit_test(a_value_of_another_kind_is_told),
            cmocka_unit_test(numbers_stay_within_their_bounds),
            cmocka_unit_test(truth_is_true_or_false),
            cmocka_unit_test(none_is_only_for_keys_that_can_do_without),
            cmocka_unit_test(names_that_will_not_do_are_told),
            cmocka_unit_test(a_bad_url_does_not_tell_its_password),
            cmocka_unit_test(an_empty_section_is_fine),
            cmocka_unit_test(a_syntax_error_is_told_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
