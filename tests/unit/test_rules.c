/* SPDX-License-Identifier: MIT */
/* test_rules.c - what several keys must be to each other, and where a rule keeps silent.
 */
#include "unit/with_config.h"

static void names_that_point_nowhere_are_told_with_the_nearest(void **state)
{
    (void)state;
    assert_mistakes("queues: {q: {class: hihg}}\n",
            "1:21: class: there is no class \"hihg\"; did you mean \"high\"?\n");
    assert_mistakes("tasks: {x: {queue: lwo}}\n",
            "1:20: queue: there is no queue \"lwo\"; did you mean \"low\"?\n");
    assert_mistakes("tasks: {x.*: {queue: celery}}\n",
            "1:22: queue: there is no queue \"celery\"; there are high, default, low, "
            "coney.high, coney.default, coney.low\n");
    assert_mistakes("schedule: {x: {task: y, every: 1s, queue: hgh}}\n",
            "1:43: queue: there is no queue \"hgh\"; did you mean \"high\"?\n");
}

static void the_soft_limit_comes_before_the_hard_one(void **state)
{
    (void)state;
    assert_mistakes("tasks: {x: {soft_time_limit: 60s, time_limit: 1m}}\n",
            "1:30: soft_time_limit (60s) must be below time_limit (1m) for x\n");
    assert_mistake("tasks:\n  \"*\": {time_limit: 1m}\n  x: {soft_time_limit: 2m}\n",
            "3:24: soft_time_limit (2m) must be below time_limit (1m) for x");
    config_free(config_of("tasks: {x: {soft_time_limit: 1h}}"));
}

static void the_first_wait_is_not_above_the_longest(void **state)
{
    (void)state;
    assert_mistakes("tasks: {x: {retry: {base: 20m}}}\n",
            "1:27: retry: base (20m) is above cap (10m) for x: raise cap\n");
    assert_mistakes("tasks: {x: {retry: {cap: 1ms}}}\n",
            "1:26: retry: base (1s) is above cap (1ms) for x: raise cap\n");
    assert_mistakes("broker: {backoff: {base: 1m}}\n",
            "1:26: backoff: the first wait, base (1m), is longer than the longest, cap "
            "(30s)\n");
    assert_mistake("broker: {backoff: {cap: 100ms}}", "1:25: backoff: the first wait");
}

static void an_exit_code_has_one_meaning(void **state)
{
    (void)state;
    assert_mistakes("tasks: {x: {command: [/x], ok_exit: [0, 75]}}\n",
            "1:37: ok_exit and retry_exit of x both hold 75: one exit code, one "
            "meaning\n");
    assert_mistake("tasks: {x: {command: [/x], reject_exit: [0]}}",
            "1:41: ok_exit and reject_exit of x both hold 0");
    assert_mistake("tasks: {x: {command: [/x], retry_exit: [9], reject_exit: [9]}}",
            "retry_exit and reject_exit of x both hold 9");
    config_free(config_of("tasks: {x: {command: [/x], retry_exit: [], ok_exit: [75]}}"));
}

static void only_a_command_has_a_directory(void **state)
{
    (void)state;
    assert_mistakes("tasks: {x: {directory: /x}}\n",
            "1:13: directory: only for a command or server, and x has none\n");
    config_free(config_of("tasks: {\"*\": {directory: /x}, a.*: {umask: 077}}"));
    config_free(config_of(
            "tasks: {\"*\": {command: [/x]}, x: {directory: /x, ok_exit: [1]}}"));
}

static void a_task_has_one_handler(void **state)
{
    (void)state;
    assert_mistakes("tasks:\n  core.*:\n    command: [/x]\n    server: [/y]\n",
            "4:5: server: core.* has a command already (test.yaml:3), and a task has one "
            "handler\n");
    config_free(config_of("tasks: {core.*: {command: none, server: [/y]}}"));
    config_free(config_of("tasks: {core.*: {server: [/y]}, core.x: {command: [/x]}}"));
}

static void a_server_has_no_exit_codes(void **state)
{
    (void)state;
    assert_mistakes("tasks: {x: {server: [/y], ok_exit: [1]}}",
            "1:27: ok_exit: only for a command, and x has none\n");
    assert_mistakes("tasks: {x: {command: [/y], start_timeout: 1s}}",
            "1:28: start_timeout: only for a server, and x has none\n");
    config_free(config_of("tasks: {x: {server: [/y], directory: /x, umask: 077, "
                          "start_timeout: 5s, environment: {A: b}}}"));
}

static void runners_are_not_reserved_twice(void **state)
{
    (void)state;
    assert_mistakes(
            "worker: {concurrency: 3}\nclasses: {a: {reserve: 2}, b: {reserve: 2}, "
            "c: {}}\n",
            "2:41: reserve: all classes together reserve 4 runners, of 3 (concurrency)\n");
    assert_mistakes("worker: {concurrency: 3}\nclasses: {a: {reserve: 3}, b: {}}\n",
            "2:24: reserve: all 3 runners (concurrency) are reserved, so \"b\" would never "
            "run\n");
    config_free(config_of(
            "worker: {concurrency: 3}\nclasses: {a: {reserve: 2}, b: {reserve: 1}}\n"));
    assert_mistake("worker: {concurrency: 9}\nclasses: {a: {reserve: 3, max_running: 2}}",
            "reserve: 3 runners for \"a\", which may only use 2 (max_running)");
}

static void a_queue_is_described_once_and_as_what_it_can_be(void **state)
{
    (void)state;
    assert_mistakes("queues:\n  coney.high:\n  high:\n",
            "3:3: queues: \"high\" and \"coney.high\" (test.yaml:2) are the same queue\n");
    assert_mistakes("queues: {high: {max_priority: 5}}\n",
            "1:31: max_priority: only for a classic queue (type: classic)\n");
    config_free(config_of("queues: {high: {max_priority: 5, type: classic}}"));
    config_free(config_of(
            "broker: {queue_type: classic}\nqueues: {high: {max_priority: 5}}"));
}

static void names_of_our_own_objects_are_no_task_queues(void **state)
{
    (void)state;
    assert_mistake(
            "queues: {coney.dead: }", "1:10: \"coney.dead\" can't be a task queue");
    assert_mistake("queues: {coney.v1.delay.03: }", "can't be a task queue");
    assert_mistake("queues: {coney.beat.main: }", "can't be a task queue");
    assert_mistake("classes: {dead: {}, a: {}}", "1:11: \"coney.dead\" can't be");
    config_free(config_of("queues: {dead: , other.dead: }"));
}

static void tls_files_make_sense_together(void **state)
{
    (void)state;
    assert_mistake("broker: {urls: [\"amqps://h\"], tls: {cert: /c}}",
            "cert: a certificate needs its private key");
    assert_mistake("broker: {urls: [\"amqps://h\"], tls: {key: /c}}",
            "key: a private key needs its certificate");
    assert_mistake("broker: {urls: [\"amqps://h\"], auth: external}",
            "auth: external needs amqps:// URLs and a client certificate");
    assert_mistake("broker: {tls: {ca: /c}}", "no URL begins with amqps://");
    assert_mistake("results: {url: \"redis://h\", tls: {ca: /c}}",
            "the URL does not begin with rediss://");
    assert_mistake("results: {url: \"rediss://h\", tls: {cert: /c}}",
            "cert: a certificate needs its private key");
    assert_mistake("results: {url: \"rediss://h\", tls: {key: /c}}",
            "key: a private key needs its certificate");
    assert_mistake("results: {password_file: /p}", "only for a redis[s]:// URL");
    config_free(config_of("broker: {urls: [\"amqp://h\", \"amqps://h\"], auth: external, "
                          "tls: {cert: /c, key: /k}}"));
}

static void a_rule_is_silent_about_what_was_mistaken_anyway(void **state)
{
    (void)state;
    assert_mistakes("worker: {concurrency: lots}\nclasses: {a: {reserve: 4000}, b: {}}\n",
            "1:23: concurrency: found \"lots\", allowed is a whole number from 1 to 4096, "
            "or auto\n");
    assert_mistakes("tasks: {x: {soft_time_limit: 20m, time_limit: 1hour}}\n",
            "1:47: time_limit: \"1hour\" is no duration: write a number and ms, s, m, h, "
            "d or w, as in 1h30m\n");
    assert_mistakes("tasks: {x: {comand: [/x], directory: /x}}\n",
            "1:13: unknown key \"comand\" in tasks.x; did you mean \"command\"?\n");
    assert_mistakes("schedule: {x: {tsk: y, every: 1s}}\n",
            "1:16: unknown key \"tsk\" in schedule.x; did you mean \"task\"?\n");
}

static void mistakes_of_every_stage_are_told_together(void **state)
{
    (void)state;
    assert_mistakes("worker: {concurency: 1}\n"
                    "queues: {q: {class: hihg}}\n"
                    "tasks: {x: {queue: lwo}, y: {soft_time_limit: 2m, time_limit: 1m}}\n"
                    "schedule: {z: {every: 1s}}\n",
            "1:10: unknown key \"concurency\" in worker; did you mean \"concurrency\"?\n"
            "2:21: class: there is no class \"hihg\"; did you mean \"high\"?\n"
            "3:20: queue: there is no queue \"lwo\"; did you mean \"low\"?\n"
            "3:47: soft_time_limit (2m) must be below time_limit (1m) for y\n"
            "4:12: schedule: \"z\" names no task\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_that_point_nowhere_are_told_with_the_nearest),
            cmocka_unit_test(the_soft_limit_comes_before_the_hard_one),
            cmocka_unit_test(the_first_wait_is_not_above_the_longest),
            cmocka_unit_test(an_exit_code_has_one_meaning),
            cmocka_unit_test(only_a_command_has_a_directory),
            cmocka_unit_test(a_task_has_one_handler),
            cmocka_unit_test(a_server_has_no_exit_codes),
            cmocka_unit_test(runners_are_not_reserved_twice),
            cmocka_unit_test(a_queue_is_described_once_and_as_what_it_can_be),
            cmocka_unit_test(names_of_our_own_objects_are_no_task_queues),
            cmocka_unit_test(tls_files_make_sense_together),
            cmocka_unit_test(a_rule_is_silent_about_what_was_mistaken_anyway),
            cmocka_unit_test(mistakes_of_every_stage_are_told_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
