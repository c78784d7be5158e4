/* SPDX-License-Identifier: MIT */
/*
 * test_canvas.c - what canvases come to: one capture of Celery's, the limits, and that
 * nothing is left behind when a canvas is refused. That they are Celery's in every field
 * is contract/canvas_agrees.py's business.
 */
#include "message/canvas.h"
#include "test.h"

#include <string.h>

#define TASK "{\"task\": \"proj.add\", \"args\": [], \"kwargs\": {}, \"options\": {}}"

static json_t *parsed(const char *text)
{
    json_error_t err;
    json_t *v = json_loads(text, 0, &err);
    if (!v)
        fail_msg("%s: %s", text, err.text);
    return v;
}

static struct canvas_context context(struct rng *rng)
{
    rng_seed(rng, 7);
    return (struct canvas_context){.parent_id = "parent", .root_id = "root", .rng = rng};
}

/* The chord of the captured "group-in-chain", as the first task's message carries it. */
static const char captured_step[] =
        "{\"task\": \"celery.chord\", \"args\": [], \"kwargs\": {\"kwargs\": {}, \"header\": "
        "{\"task\": \"celery.group\", \"args\": [], \"kwargs\": {\"tasks\": ["
        "{\"task\": \"proj.add\", \"args\": [2], \"kwargs\": {}, \"options\": {\"task_id\": "
        "\"3a081572\", \"reply_to\": \"c7cdf81d\", \"group_index\": 0}, \"subtask_type\": null,"
        " \"immutable\": false}, {\"task\": \"proj.add\", \"args\": [3], \"kwargs\": {}, "
        "\"options\": {\"task_id\": \"b6349c89\", \"reply_to\": \"c7cdf81d\", \"group_index\": "
        "1}, \"subtask_type\": null, \"immutable\": false}]}, \"options\": {\"task_id\": "
        "\"ca3dee9d\", \"root_id\": null, \"parent_id\": null}, \"subtask_type\": \"group\", "
        "\"immutable\": false}, \"body\": {\"task\": \"proj.tsum\", \"args\": [], \"kwargs\": "
        "{}, \"options\": {\"task_id\": \"3bdea784\", \"reply_to\": \"c7cdf81d\"}, "
        "\"subtask_type\": null, \"immutable\": false}}, \"options\": {\"task_id\": "
        "\"ca3dee9d\"}, \"subtask_type\": \"chord\", \"immutable\": false}";

/* The body as each of the two messages that the worker then sent carried it. */
static const char captured_body[] =
        "{\"task\": \"proj.tsum\", \"args\": [], \"kwargs\": {}, \"options\": {\"task_id\": "
        "\"3bdea784\", \"reply_to\": \"c7cdf81d\", \"chain\": [], \"parent_id\": \"parent\", "
        "\"root_id\": \"root\", \"group_id\": \"ca3dee9d\"}, \"subtask_type\": null, "
        "\"immutable\": false}";

static void a_captured_chord_step_is_sent_as_captured(void **state)
{
    (void)state;
    struct rng rng;
    const struct canvas_context c = context(&rng);
    struct canvas_plan p;
    json_t *chain = json_pack("[o]", parsed(captured_step));
    json_t *args = json_pack("[i]", 2);
    json_t *body = parsed(captured_body);
    json_t *children = parsed("[[[\"ca3dee9d\", null], [[[\"3a081572\", null], null], "
                              "[[\"b6349c89\", null], null]]]]");

    canvas_plan_init(&p);
    assert_int_equal(canvas_apply_next(&p, &c, chain, args, NULL), CONEY_OK);
    assert_true(canvas_plan_has_chord(&p));
    assert_int_equal(p.count, 3);
    assert_int_equal(p.actions[0].kind, CANVAS_SET_SIZE);
    assert_string_equal(p.actions[0].group, "ca3dee9d");
    assert_int_equal(p.actions[0].size, 2);
    for (int i = 1; i < 3; i++) {
        const json_t *s = p.actions[i].value;
        assert_int_equal(p.actions[i].kind, CANVAS_SEND);
        assert_true(json_equal(signature_option(s, "chord"), body));
        assert_string_equal(signature_text(s, "group_id"), "ca3dee9d");
        assert_int_equal(json_integer_value(signature_option(s, "group_index")), i - 1);
        assert_int_equal(
                json_integer_value(json_array_get(json_object_get(s, "args"), 0)), 2);
        assert_int_equal(json_array_size(json_object_get(s, "args")), 2);
    }
    assert_true(json_equal(p.children, children));
    canvas_plan_fini(&p);
    json_decref(children);
    json_decref(body);
    json_decref(args);
    json_decref(chain);
}

static void what_is_no_signature_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
            "{}",
            "{\"task\": 5}",
            "{\"task\": \"\"}",
            "{\"task\": \"t\", \"args\": 5}",
            "{\"task\": \"t\", \"options\": []}",
            "{\"task\": \"celery.group\", \"subtask_type\": \"group\"}",
            "{\"task\": \"celery.chain\", \"subtask_type\": \"chain\", \"kwargs\": "
            "{\"tasks\": [" TASK ", {}]}}",
            "{\"task\": \"celery.chain\", \"subtask_type\": \"chain\", \"kwargs\": "
            "{\"tasks\": {}}}",
            "{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"kwargs\": "
            "{\"header\": [" TASK "]}}",
            "{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"kwargs\": "
            "{\"header\": 5, \"body\": " TASK "}}",
            "{\"task\": \"celery.chunks\", \"subtask_type\": \"chunks\", \"kwargs\": "
            "{\"task\": " TASK ", \"it\": [1, 2], \"n\": 0}}",
    };
    struct rng rng;
    const struct canvas_context c = context(&rng);
    struct canvas_plan p;
    json_t *good = parsed(TASK);

    canvas_plan_init(&p);
    assert_int_equal(
            canvas_apply(&p, &c, &(struct canvas_call){.signature = good}, NULL, NULL),
            CONEY_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coney_error err = {.text = ""};
        json_t *s = parsed(rows[i]);
        if (canvas_apply(&p, &c, &(struct canvas_call){.signature = s}, NULL, &err) !=
                CONEY_EINVAL)
            fail_msg("taken: %s", rows[i]);
        assert_true(err.text[0] != '\0');
        assert_int_equal(p.count, 1);
        assert_int_equal(p.tasks, 1);
        assert_int_equal(json_array_size(p.children), 1);
        json_decref(s);
    }
    canvas_plan_fini(&p);
    json_decref(good);
}

static json_t *nested(const char *type, unsigned depth)
{
    json_t *s = parsed(TASK);
    for (unsigned i = 0; i < depth; i++)
        s = json_pack("{s:s, s:{s:[o]}, s:s}", "task", "celery.x", "kwargs", "tasks", s,
                "subtask_type", type);
    return s;
}

static void depth_and_size_have_limits(void **state)
{
    (void)state;
    struct rng rng;
    const struct canvas_context c = context(&rng);
    struct canvas_plan p;
    json_t *deep = nested("group", CANVAS_DEPTH_MAX);
    json_t *deeper = nested("chain", CANVAS_DEPTH_MAX + 1);
    json_t *wide = json_pack("{s:s, s:{s:[]}, s:s}", "task", "celery.group", "kwargs",
            "tasks", "subtask_type", "group");
    json_t *tasks = json_object_get(json_object_get(wide, "kwargs"), "tasks");

    canvas_plan_init(&p);
    assert_int_equal(
            canvas_apply(&p, &c, &(struct canvas_call){.signature = deep}, NULL, NULL),
            CONEY_OK);
    assert_int_equal(
            canvas_apply(&p, &c, &(struct canvas_call){.signature = deeper}, NULL, NULL),
            CONEY_ELIMIT);
    canvas_plan_fini(&p);
    for (int i = 0; i < CANVAS_TASKS_MAX; i++)
        json_array_append_new(tasks, parsed(TASK));
    assert_int_equal(
            canvas_apply(&p, &c, &(struct canvas_call){.signature = wide}, NULL, NULL),
            CONEY_OK);
    assert_int_equal(p.count, CANVAS_TASKS_MAX);
    canvas_plan_fini(&p);
    json_array_append_new(tasks, parsed(TASK));
    assert_int_equal(
            canvas_apply(&p, &c, &(struct canvas_call){.signature = wide}, NULL, NULL),
            CONEY_ELIMIT);
    assert_int_equal(p.count, 0);
    canvas_plan_fini(&p);
    json_decref(deep);
    json_decref(deeper);
    json_decref(wide);
}

static void the_result_of_a_chain_is_its_last_with_all_before(void **state)
{
    (void)state;
    struct rng rng;
    const struct canvas_context c = context(&rng);
    struct canvas_plan p;
    json_t *result = NULL;
    json_t *s = parsed(
            "{\"task\": \"celery.chain\", \"subtask_type\": \"chain\", "
            "\"kwargs\": {\"tasks\": [{\"task\": \"a\", \"options\": {\"task_id\": "
            "\"1\"}}, {\"task\": \"b\", \"options\": {\"task_id\": \"2\"}}]}}");
    json_t *want = parsed("[[\"2\", [[\"1\", null], null]], null]");

    canvas_plan_init(&p);
    assert_int_equal(
            canvas_apply(&p, &c, &(struct canvas_call){.signature = s}, &result, NULL),
            CONEY_OK);
    assert_true(json_equal(result, want));
    assert_int_equal(p.count, 1);
    json_decref(result);
    json_decref(want);
    json_decref(s);
    canvas_plan_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_captured_chord_step_is_sent_as_captured),
            cmocka_unit_test(what_is_no_signature_is_refused_and_leaves_nothing),
            cmocka_unit_test(depth_and_size_have_limits),
            cmocka_unit_test(the_result_of_a_chain_is_its_last_with_all_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
